"""Say, as a statistical gate, whether an estimator changed since its baseline was saved."""
