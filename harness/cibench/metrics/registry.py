"""Every measure that is scored, in the order of the table."""

from __future__ import annotations

MEASURES = {
    "bias": False, "relative_bias": False, "mse": False, "rmse": False, "empirical_se": False,
    "model_se": False, "se_ratio": False, "coverage": True, "coverage_with_failures": True,
    "bias_eliminated_coverage": True, "ci_length": False, "rejection": True, "failure_rate": True,
    "median_bias": False, "mad": False, "mae": False, "interval_score": False,
    "lower_noncoverage": True, "upper_noncoverage": True, "type_s": True, "type_m": False,
    "precision_gain": False, "coverage_common": True, "simultaneous_coverage": True,
    "size_adjusted_power": True, "crps": False, "pit_mean": False, "pit_dispersion": False,
    "shortfall": False, "shortfall_bias": False, "shortfall_se": False, "shortfall_shape": False,
    "shortfall_failures": False,
}  # fmt: skip
"""The measures in the order of the table; True says: a proportion, with Wilson limits."""
