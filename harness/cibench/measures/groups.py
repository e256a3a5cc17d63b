"""All measures of one group of replicate rows, each from the rows that have what it needs.

A group holds its rows as columns, in replicate order; NaN is what a row does not have, and `ok`
marks the rows that were answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from cibench.measures.accuracy import bias, empirical_se, mse, relative_bias, rmse
from cibench.measures.core import Score, proportion, with_truth_error
from cibench.measures.sets import bias_eliminated_coverage, ci_length, coverage, rejection
from cibench.measures.uncertainty import model_se, se_ratio
from cibench.model import Array

Group = Mapping[str, Array]


def present(group: Group, *names: str) -> list[Array]:
    """Return columns at the rows where all of them are given."""
    there = ~np.isnan([group[name] for name in names]).any(axis=0)
    return [group[name][there] for name in names]


def answered(group: Group, *names: str) -> list[Array]:
    """Return columns at the answered rows where all of them are given."""
    ok = group["ok"]
    return present({name: group[name][ok] for name in names}, *names)


def measure_diagnostic(group: Group) -> dict[str, Score]:
    """Return the share of the data sets that did not pass, as `rejection`."""
    (passed,) = answered(group, "passed")
    return {"rejection": proportion(int((passed == 0).sum()), passed.size)}


def measure_estimator(group: Group, truth_mcse: float) -> dict[str, Score]:
    """Return every measure of an estimator's answers; `truth_mcse` is their truths' own error."""
    return _of_estimates(group, truth_mcse) | _of_sets(group, truth_mcse)


def _of_estimates(group: Group, truth_mcse: float) -> dict[str, Score]:
    t, theta = answered(group, "estimate", "truth")
    return {
        "bias": with_truth_error(partial(bias, t), theta, truth_mcse),
        "relative_bias": with_truth_error(partial(relative_bias, t), theta, truth_mcse),
        "mse": with_truth_error(partial(mse, t), theta, truth_mcse),
        "rmse": with_truth_error(partial(rmse, t), theta, truth_mcse),
        "empirical_se": empirical_se(t, theta),
        "model_se": model_se(*answered(group, "std_error")),
        "se_ratio": se_ratio(*answered(group, "estimate", "truth", "std_error")),
    }


def _of_sets(group: Group, truth_mcse: float) -> dict[str, Score]:
    low, high, theta, outside = answered(group, "ci_low", "ci_high", "truth", "outside")
    alone = answered(group, "ci_low", "ci_high", "outside")
    around = answered(group, "ci_low", "ci_high", "estimate", "truth", "outside")
    held = partial(coverage, low, high, outside=outside)
    scores = {
        "coverage": with_truth_error(held, theta, truth_mcse),
        "bias_eliminated_coverage": bias_eliminated_coverage(*around),
        "ci_length": ci_length(*alone),
        "rejection": rejection(*alone),
    }
    # Who answers without limits has no coverage; who never answers has covered nothing.
    if low.size or not group["ok"].any():
        of_all = partial(held, total=group["ok"].size)
        scores["coverage_with_failures"] = with_truth_error(of_all, theta, truth_mcse)
    return scores
