"""A group of replicate rows: what it has to offer each measure, and all measures of it.

A group holds its rows as columns, in replicate order; NaN is what a row does not have, and `ok`
marks the rows that were answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan

import numpy as np

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
from cibench.metrics.core import BLANK, Score, blank, proportion, with_truth_errors
from cibench.metrics.intervals import (
    bias_eliminated_coverage,
    ci_length,
    coverage,
    covers,
    interval_score,
    lower_noncoverage,
    rejection,
    type_m,
    type_s,
    upper_noncoverage,
)
from cibench.metrics.posterior import crps, pit_dispersion, pit_mean
from cibench.metrics.shortfall import PARTS, attribution, lost_to_failures
from cibench.metrics.standard_errors import model_se, se_ratio
from cibench.model.types import Array

Group = Mapping[str, Array]

POINTS, LIMITS = ("estimate", "truth"), ("ci_low", "ci_high", "outside")
SETS, WALD = (*LIMITS, "truth"), ("estimate", "truth", "std_error", *LIMITS)

NEEDS = {
    **dict.fromkeys(
        ("bias", "relative_bias", "mse", "rmse", "empirical_se", "median_bias", "mad",
         "mae", "precision_gain"), POINTS),
    **dict.fromkeys(
        ("coverage", "coverage_with_failures", "interval_score", "lower_noncoverage",
         "upper_noncoverage", "coverage_common", "shortfall", "shortfall_failures"), SETS),
    **dict.fromkeys(("bias_eliminated_coverage", "type_s", "type_m"), (*POINTS, *LIMITS)),
    **dict.fromkeys(("ci_length", "rejection"), LIMITS),
    **dict.fromkeys((f"shortfall_{part}" for part in PARTS), WALD),
    "model_se": ("std_error",), "se_ratio": (*POINTS, "std_error"),
    "size_adjusted_power": ("estimate", "std_error"),
    "simultaneous_coverage": ("band_low", "band_high", "truth"),
    "crps": ("crps",), "pit_mean": ("pit",), "pit_dispersion": ("pit",),
}  # fmt: skip
"""The columns that a measure of an estimator rests on."""


def present(group: Group, *names: str) -> list[Array]:
    """Return columns at the rows where all of them are given."""
    columns = [group[name] for name in names]
    there = ~np.isnan(columns[0])
    for column in columns[1:]:
        there &= ~np.isnan(column)
    return columns if there.all() else [column[there] for column in columns]


def answers(group: Group) -> Group:
    """Return the answered rows."""
    ok = group["ok"]
    return group if ok.all() else {name: column[ok] for name, column in group.items()}


def explained(name: str, score: Score, group: Group) -> Score:
    """Give a blank score its reason, from what the group's answers do not have."""
    if not isnan(score.value) or score.why:
        return score
    given = answers(group)
    if not given["ok"].size:
        return blank("no replicate was answered")
    lacking = [n for n in NEEDS[name] if np.isnan(given[n]).all()]
    if lacking:
        return blank(f"no {' and no '.join(lacking)}")
    together = present(given, *NEEDS[name])[0].size
    return blank("numbers too large" if together else "no row has all that it needs")


BY_LEVEL = ("interval_score", "shortfall", *(f"shortfall_{part}" for part in PARTS))
NO_LEVEL, NO_MOMENTS = "no level between 0 and 1", "the estimates have no finite moments"


def measure_diagnostic(group: Group) -> dict[str, Score]:
    """Return the share of the data sets that did not pass, as `rejection`."""
    (passed,) = present(answers(group), "passed")
    return {"rejection": proportion(int((passed == 0).sum()), passed.size)}


def measure_estimator(
    group: Group, truth_mcse: float, level: float, moments: bool = True
) -> dict[str, Score]:
    """Return every measure of an estimator's answers that needs no other group.

    `truth_mcse` is the truths' own error, `level` the nominal coverage; without finite `moments`
    a shortfall is not attributed.
    """
    given = answers(group)
    scores = (
        _of_estimates(given, truth_mcse)
        | _of_sets(given, truth_mcse, level)
        | _of_posteriors(given)
        | _with_failures(group, given, truth_mcse)
    )
    if 0 < level < 1:
        scores |= _shortfall(given, scores["coverage"], truth_mcse, level)
    else:
        scores |= dict.fromkeys(BY_LEVEL, blank(NO_LEVEL))
    if not moments:
        scores |= dict.fromkeys((f"shortfall_{p}" for p in PARTS), blank(NO_MOMENTS))
    return {name: explained(name, score, given) for name, score in scores.items()}


def _of_estimates(given: Group, truth_mcse: float) -> dict[str, Score]:
    t, theta = present(given, *POINTS)
    measured = (bias, relative_bias, mse, rmse, median_bias, mad, mae)
    scores = with_truth_errors(
        lambda truth: {measure.__name__: measure(t, truth) for measure in measured},
        theta, truth_mcse,
    )  # fmt: skip
    return scores | {
        "empirical_se": empirical_se(t, theta),
        "model_se": model_se(*present(given, "std_error")),
        "se_ratio": se_ratio(*present(given, *NEEDS["se_ratio"])),
    }


def _of_sets(given: Group, truth_mcse: float, level: float) -> dict[str, Score]:
    low, high, outside, theta = present(given, *SETS)
    t, truths, lows, highs, outsides = present(given, *POINTS, *LIMITS)
    alone = present(given, *LIMITS)

    def at(theta: Array) -> dict[str, Score]:
        sided = (lower_noncoverage, upper_noncoverage)
        return {measure.__name__: measure(low, high, theta, outside) for measure in sided} | {
            "coverage": coverage(low, high, theta, outside),
            "interval_score": interval_score(low, high, theta, level, outside),
        }

    def significant(truths: Array) -> dict[str, Score]:
        wrong = (type_s, type_m)
        return {measure.__name__: measure(t, truths, lows, highs, outsides) for measure in wrong}

    return {
        **with_truth_errors(at, theta, truth_mcse),
        **with_truth_errors(significant, truths, truth_mcse),
        "bias_eliminated_coverage": bias_eliminated_coverage(lows, highs, t, truths, outsides),
        "ci_length": ci_length(*alone),
        "rejection": rejection(*alone),
    }


def _of_posteriors(given: Group) -> dict[str, Score]:
    (scores,), (pit,) = present(given, "crps"), present(given, "pit")
    return {"crps": crps(scores), "pit_mean": pit_mean(pit), "pit_dispersion": pit_dispersion(pit)}


def _with_failures(group: Group, given: Group, truth_mcse: float) -> dict[str, Score]:
    low, high, outside, theta = present(given, *SETS)
    total, answered = group["ok"].size, given["ok"].size

    def at(theta: Array) -> dict[str, Score]:
        covered = int(covers(low, high, theta, outside).sum())
        # Who answers without limits has no coverage; who never answers has covered nothing.
        counted = low.size or not answered
        return {
            "shortfall_failures": lost_to_failures(covered, low.size, total),
            "coverage_with_failures": proportion(covered, total) if counted else BLANK,
        }

    return with_truth_errors(at, theta, truth_mcse)


def _shortfall(given: Group, held: Score, truth_mcse: float, level: float) -> dict[str, Score]:
    """Return what the coverage `held` lacks and its parts."""
    t, theta, s, low, high, outside = present(given, *WALD)
    parts = dict.fromkeys(PARTS, blank("some limits stand without estimate or std_error"))
    if not t.size or t.size == present(given, *SETS)[0].size:
        parts = with_truth_errors(
            lambda truth: attribution(t, truth, s, low, high, level, outside), theta, truth_mcse
        )
    shares = {f"shortfall_{part}": score for part, score in parts.items()}
    return {"shortfall": Score(level - held.value, held.mcse), **shares}
