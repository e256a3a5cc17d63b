"""Checks of truths that are functionals of potential outcomes: ratios, quantiles, restricted means.

Such a functional of few rows is biased, so all draws are pooled and it is computed of all their
rows at once; its error is that of a jackknife that leaves out a group of whole draws at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

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


def recomputing(target: Target, truth: Truth, pilots: Sequence[Draw]) -> Question:
    """Ask for the functional of all rows that the target averages over.

    Values, truth included, are on the scale on which the estimand is scored.
    """
    put = onto(target.estimand.scoring)

    def gauge(draw: Draw) -> Array:
        return _rows(draw, target)

    def read(statistics: Array | list[Array]) -> list[Reading]:
        parts = list(statistics)
        value = _value(parts, target)
        groups = [parts[i::GROUPS] for i in range(min(GROUPS, len(parts)))]
        left = [
            _value([p for j, g in enumerate(groups) if j != i for p in g], target)
            for i in range(len(groups))
        ]
        count = len(left)
        se = sqrt((count - 1) / count * float(np.sum((np.array(left) - np.mean(left)) ** 2)))
        return [Reading("the estimand of the outcomes drawn", value, max(SIGMAS * se, CLOSE))]

    outcomes = np.concatenate([_rows(draw, target)[:, :2].ravel() for draw in pilots])
    spread = 1.0 if target.estimand.scale == "log" else float(np.std(outcomes))
    value = float(put(np.array(truth.value)))
    error = truth.mcse / truth.value if target.estimand.scale == "log" else truth.mcse
    return Question(gauge, read, Truth(value, abs(error)), spread, pooled=False)


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
    """Demand of every estimand that it has its value of no effect where treatment does nothing.

    Demand a truth above zero, too, where errors are those of logarithms.
    """
    at = at_defaults(scenario)
    draw = small_draw(at)
    for target in at.targets():
        estimand = target.estimand
        if estimand.null is None or not has_functional(target) or estimand == "MEAN":
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
