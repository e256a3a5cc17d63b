"""Audit a twin, or anybody's rows: rules, structure, likeness to the seed, a report."""
