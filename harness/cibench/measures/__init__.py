"""The measures: each takes the arrays of a cell's answers and returns a value with its error."""

from __future__ import annotations

from cibench.measures.accuracy import bias, empirical_se, mse, relative_bias, rmse
from cibench.measures.core import BLANK, Score, jackknife, mean, proportion, with_truth_error
from cibench.measures.sets import (
    bias_eliminated_coverage,
    ci_length,
    coverage,
    covers,
    failure_rate,
    rejection,
)
from cibench.measures.uncertainty import model_se, se_ratio

__all__ = [
    "BLANK", "Score", "bias", "bias_eliminated_coverage", "ci_length", "coverage", "covers",
    "empirical_se", "failure_rate", "jackknife", "mean", "model_se", "mse", "proportion",
    "rejection", "relative_bias", "rmse", "se_ratio", "with_truth_error",
]  # fmt: skip
