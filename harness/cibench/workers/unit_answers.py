"""Answers that have a number for each unit or row: read, checked and reduced to a row's columns.

Effects on single units are too many to be stored. What a row keeps of them are distances from the
true effects, what limits hold, how predictions are calibrated, whether they rank units as the
effects do, and what treating by them would bring; and curves by tenths of the units, which the
report draws.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from cibench.model.types import Array, Draw, Estimate, Problem, Target, Truth
from cibench.utils.shapes import ORDINARY

TENTHS = 10
DIGITS = 4
"""Of what is drawn and not computed with."""


class Unusable(Exception):  # noqa: N818 - carries a status and a reason, as data
    """Say that an answer cannot be used: its status and the reason."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, eq=False)
class UnitAnswer:
    """Hold the effects that an estimator answers unit by unit, limits and whom it would treat."""

    effects: Array
    low: Array | None
    high: Array | None
    treat: Array


def read_units(estimate: Estimate, target: Target, problem: Problem) -> UnitAnswer | None:
    """Return the answer for each point, None where nobody asked; raises Unusable where it is none.

    An answer of one number is that number for each.
    """
    if not target.estimand.of_units:
        if estimate.effects is not None:
            raise Unusable("failed", f"gave effects of units where {target} is asked")
        return None
    count = len(problem.points)
    if estimate.effects is None:
        if estimate.value is None:
            raise Unusable("failed", "gave no effects of units, and no value for all of them")
        effects = np.full(count, float(estimate.value))
    else:
        effects = _row("effects", estimate.effects, count)
    low, high = _limits(estimate, count)
    treat = effects > problem.cost
    if estimate.treat is not None:
        treat = np.asarray(estimate.treat)
        if treat.shape != (count,) or treat.dtype.kind != "b":
            raise Unusable("failed", f"treat is no row of {count} truth values")
    return UnitAnswer(effects, low, high, treat)


def _limits(estimate: Estimate, count: int) -> tuple[Array | None, Array | None]:
    low, high = estimate.effects_low, estimate.effects_high
    if low is None and high is None:
        return None, None
    if low is None or high is None:
        raise Unusable("failed", "gave one limit of effects without the other")
    low = _row("effects_low", low, count, infinite=True)
    high = _row("effects_high", high, count, infinite=True)
    wrong = (low > high) | (low == np.inf) | (high == -np.inf)
    if wrong.any():
        raise Unusable("failed", f"limits of effects in the wrong order at point {wrong.argmax()}")
    return low, high


def _row(name: str, values: object, count: int, *, infinite: bool = False) -> Array:
    try:
        numbers = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise Unusable("failed", f"{name} are no numbers") from None
    if numbers.shape != (count,):
        raise Unusable("failed", f"{name} have the shape {numbers.shape}, of {count} asked")
    fine = np.abs(numbers) <= ORDINARY
    if infinite:
        fine |= np.isinf(numbers)
    if not fine.all():
        raise Unusable("nonfinite", f"{name} are not all finite")
    return numbers


def read_weights(estimate: Estimate, target: Target, problem: Problem) -> Array | None:
    """Return the weights of the rows that an answer is about, None where it names none.

    Raises Unusable where they are no weights, or units are asked and not rows.
    """
    if estimate.weights is None:
        return None
    if target.estimand.of_units:
        raise Unusable("failed", f"gave weights of rows where {target} is asked of units")
    rows = len(next(iter(problem.columns.values())))
    weights = _row("weights", estimate.weights, rows)
    if (weights < 0).any() or not weights.any():
        raise Unusable("failed", "weights of rows are zero or more, and not all zero")
    return weights


class Chosen(NamedTuple):
    """Hold the truth of the rows that a method has chosen, and its distance from what was asked."""

    truth: Truth
    drift: float


def chosen_truth(target: Target, weights: Array, draw: Draw, wanted: Truth | None) -> Chosen:
    """Return the truth of the rows an answer is about; on the scale of errors for the distance.

    Raises Unusable where the estimand is no functional of potential outcomes.
    """
    try:
        own = replace(draw, target={target: weights}).value(target)
    except ValueError as error:
        raise Unusable("failed", f"chose rows where {error}") from None
    drift = math.nan
    if wanted is not None:
        drift = own - wanted.value
        if target.estimand.logarithmic:
            drift = math.log(own / wanted.value) if own > 0 and wanted.value > 0 else math.nan
    return Chosen(Truth(own), drift)


def reduce_units(answer: UnitAnswer, draw: Draw, cost: float) -> dict[str, Any]:
    """Return what a row keeps of effects on single units, beside the true ones.

    `pehe` is the root of their mean squared error (Hill 2011, Journal of Computational and
    Graphical Statistics 20). Calibration is the line of true on predicted effects. `autoc` and
    `qini` are areas under the curve of the mean effect on the share u of units with the largest
    predictions less that on all, weighted by 1 and by u (Yadlowsky and others 2025, Journal of the
    American Statistical Association 120); ties share their places. `policy_value` is the gain per
    unit, cost paid, of treating as the answer says, `regret` what it lacks of the best.
    """
    subjects = draw.subjects
    true, predicted = subjects.unit_effects, answer.effects
    gain = true - cost
    best, own = float(np.maximum(gain, 0).mean()), float((gain * answer.treat).mean())
    columns: dict[str, Any] = {
        "pehe": float(np.sqrt(np.mean(np.square(predicted - true)))),
        "policy_value": own, "regret": best - own,
    }  # fmt: skip
    spread = float(np.var(predicted))
    if spread > (1e-12 * np.abs(predicted).max(initial=0)) ** 2:
        slope = float(np.mean((predicted - predicted.mean()) * true)) / spread
        columns["calibration_slope"] = slope
        columns["calibration_intercept"] = float(true.mean() - slope * predicted.mean())
    above = _above_mean(predicted, true)
    columns["autoc"] = float(above.mean())
    columns["qini"] = float(np.mean(above * np.arange(1, predicted.size + 1) / predicted.size))
    covered = None
    if answer.low is not None and answer.high is not None:
        covered = (answer.low <= true) & (true <= answer.high)
        columns["unit_coverage"] = float(covered.mean())
        columns["unit_length"] = float(np.mean(answer.high - answer.low))
    curves = _curves(predicted, gain, true, covered, subjects.propensity)
    columns["unit_curves"] = json.dumps(curves)
    return columns


def _above_mean(predicted: Array, true: Array) -> Array:
    """Return for each k the mean effect on the k largest predictions, less that on all."""
    _, group = np.unique(-predicted, return_inverse=True)
    means = np.bincount(group, true) / np.bincount(group)
    ranked = means[np.sort(group)]  # units of equal predictions stand in no order
    above: Array = np.cumsum(ranked) / np.arange(1, predicted.size + 1) - true.mean()
    return above


def _curves(
    predicted: Array, gain: Array, true: Array, covered: Array | None, propensity: Array | None
) -> Mapping[str, list[list[float]]]:
    """Return by tenths: predicted and true effects, shares treated and gains, coverage by chance.

    Units stand in the order of predictions, of their chance of treatment for the last.
    """
    order = np.argsort(predicted, kind="stable")
    parts = [part for part in np.array_split(order, TENTHS) if part.size]
    down = np.cumsum(gain[order[::-1]]) / predicted.size
    ends = np.unique(np.linspace(1, predicted.size, TENTHS + 1).astype(int)) - 1
    curves = {
        "calibration": [_means(predicted, parts), _means(true, parts)],
        "policy": [_short(np.r_[0, (ends + 1) / predicted.size]), _short(np.r_[0, down[ends]])],
    }
    if covered is not None and propensity is not None:
        order = np.argsort(propensity, kind="stable")
        parts = [part for part in np.array_split(order, TENTHS) if part.size]
        curves["coverage"] = [_means(propensity, parts), _means(covered.astype(float), parts)]
    return curves


def _means(values: Array, parts: list[Array]) -> list[float]:
    return _short(np.array([values[part].mean() for part in parts]))


def _short(values: Array) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in values]
