"""The built-in estimators, one file per library or method family."""
