"""Checks of truths that are functionals of potential outcomes: ratios, quantiles, restricted means.

Such a functional of few rows is biased, so all draws are pooled and it is computed of all their
rows at once; its error is that of a jackknife that leaves out a group of whole draws at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, sqrt

import numpy as np

from cibench.contracts.common import at_defaults, label, require, small_draw
from cibench.contracts.pooled_truth import CLOSE, SIGMAS, Question, Reading
from cibench.metrics.scales import onto
from cibench.model.design import Scenario
from cibench.model.types import Array, Draw, Target, Truth

GROUPS = 24
"""Groups of draws that the jackknife leaves out in turn."""


def has_functional(target: Target) -> bool:
    """Say whether the estimand is computed of potential outcomes at all."""
    return target.estimand.definition.functional is not None


def logarithms(target: Target) -> str:
    """Say behind numbers whose logarithms they are, "" where they are none."""
    return " (logarithms)" if target.estimand.logarithmic else ""


def require_possible(target: Target, truth: Truth, where: str) -> None:
    """Demand a finite truth with an error, above zero where it is scored by its logarithm."""
    value, mcse = truth
    sound = isfinite(value) and isfinite(mcse) and mcse >= 0
    require(sound, where, f"the truth of {target} is {value} with mcse {mcse}")
    complaint = f"the truth of {target} is {value:g}, which has no logarithm"
    require(value > 0 or not target.estimand.logarithmic, where, complaint)


def recomputing(target: Target, truth: Truth, pilots: Sequence[Draw]) -> Question:
    """Ask for the functional of all rows that the target averages over.

    Values, truth included, are on the scale on which the estimand is scored.
    """
    put = onto(target.estimand.scoring)

    def gauge(draw: Draw) -> Array:
        return _rows(draw, target)

    def read(statistics: Array | list[Array]) -> list[Reading]:
        value, se = _jackknifed(list(statistics), target)
        return [Reading("the estimand of the outcomes drawn", value, max(SIGMAS * se, CLOSE))]

    spread = 1.0  # of logarithms, where 2 % off is 0.02 whatever the ratio
    if target.estimand.scale != "log":  # as far as one row moves it, which is so of means, too
        rows = np.concatenate([_rows(draw, target) for draw in pilots])
        spread = _jackknifed(np.array_split(rows, GROUPS), target)[1] * sqrt(len(rows))
    value = float(put(np.array(truth.value)))
    error = truth.mcse / truth.value if target.estimand.scale == "log" else truth.mcse
    return Question(gauge, read, Truth(value, abs(error)), spread, pooled=False)


def _jackknifed(parts: Sequence[Array], target: Target) -> tuple[float, float]:
    """Return the value of all rows and its error, by leaving out a group of parts at a time."""
    groups = [parts[i::GROUPS] for i in range(min(GROUPS, len(parts)))]
    left = np.array([
        _value([p for j, g in enumerate(groups) if j != i for p in g], target)
        for i in range(len(groups))
    ])  # fmt: skip
    squares = float(np.sum((left - left.mean()) ** 2))
    return _value(parts, target), sqrt((left.size - 1) / left.size * squares)


def _rows(draw: Draw, target: Target) -> Array:
    """Return outcomes with treatment, without it and weights, a row for each that is averaged."""
    rows, weights = draw.rows_of(target)
    treated, untreated = (v if rows is None else v[rows] for v in draw.outcomes(target))
    own = np.ones(len(treated)) if weights is None else weights
    return np.column_stack([treated, untreated, own])


def _value(parts: Sequence[Array], target: Target) -> float:
    treated, untreated, weights = np.concatenate(parts).T
    alike = bool(np.ptp(weights) == 0)
    value = target.estimand.value_of(treated, untreated, None if alike else weights)
    return float(onto(target.estimand.scoring)(np.array(value)))


def check_null(scenario: Scenario) -> None:
    """Demand of every estimand that it has its value of no effect where treatment does nothing."""
    at = at_defaults(scenario)
    draw = small_draw(at)
    for target in at.targets():
        estimand = target.estimand
        if estimand.null is None or not has_functional(target):
            continue
        _, untreated = draw.outcomes(target)
        rows, weights = draw.rows_of(target)
        own = untreated if rows is None else untreated[rows]
        value = estimand.value_of(own, own, weights)
        if np.isfinite(value):
            complaint = (
                f"{target}: no effect is said to be {estimand.null:g}, but its functional of equal "
                f"outcomes is {value:g}"
            )
            near = abs(value - estimand.null) <= CLOSE * max(1.0, abs(estimand.null))
            require(near, label(at), complaint)
