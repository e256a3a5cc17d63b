"""The built-in scenarios, one file per family."""
