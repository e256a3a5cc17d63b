"""What scoring is made of: shards read, rows cut into groups, groups measured, lines written."""
