"""Estimators that answer from another process: other languages, other environments."""
