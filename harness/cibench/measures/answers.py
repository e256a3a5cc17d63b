"""What a group of replicate rows has to offer a measure, and why it has nothing, if so.

A group holds its rows as columns, in replicate order; NaN is what a row does not have, and `ok`
marks the rows that were answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan

import numpy as np

from cibench.measures.attribution import PARTS
from cibench.measures.core import Score, blank
from cibench.model import Array

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
