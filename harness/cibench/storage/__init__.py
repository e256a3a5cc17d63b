"""Keep a run's rows: shards that grow, what is stored already, and what must be set aside."""
