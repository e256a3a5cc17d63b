"""The measures: each takes the arrays of a cell's answers and returns a value with its error."""

from __future__ import annotations

from cibench.metrics.accuracy import (
    bias,
    empirical_se,
    mad,
    mae,
    median_bias,
    mse,
    relative_bias,
    rmse,
)
from cibench.metrics.core import (
    BLANK,
    Score,
    jackknife,
    mean,
    proportion,
    with_truth_error,
    with_truth_errors,
)
from cibench.metrics.intervals import (
    bias_eliminated_coverage,
    ci_length,
    coverage,
    covers,
    failure_rate,
    interval_score,
    lower_noncoverage,
    rejection,
    simultaneous_coverage,
    type_m,
    type_s,
    upper_noncoverage,
)
from cibench.metrics.moments import heavy, largest_share, light_share
from cibench.metrics.posterior import crps, pit_dispersion, pit_mean
from cibench.metrics.shortfall import attribution, lost_to_failures
from cibench.metrics.standard_errors import model_se, precision_gain, se_ratio, size_adjusted_power

__all__ = [
    "BLANK", "Score", "attribution", "bias", "bias_eliminated_coverage", "ci_length", "coverage",
    "covers", "crps", "empirical_se", "failure_rate", "heavy", "interval_score", "jackknife",
    "largest_share", "light_share", "lost_to_failures", "lower_noncoverage", "mad", "mae", "mean",
    "median_bias", "model_se", "mse", "pit_dispersion", "pit_mean", "precision_gain",
    "proportion", "rejection", "relative_bias", "rmse", "se_ratio", "simultaneous_coverage",
    "size_adjusted_power", "type_m", "type_s", "upper_noncoverage", "with_truth_error",
    "with_truth_errors",
]  # fmt: skip
