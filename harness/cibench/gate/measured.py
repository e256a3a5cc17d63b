"""The measures of estimates and standard errors, before and after, with the difference's error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import exp, hypot

import numpy as np

from cibench.gate.differences import (
    Apart,
    Difference,
    Left,
    apart,
    apart_in_units,
    left_mean,
    left_sd,
    level,
)
from cibench.gate.pairing import Pair
from cibench.gate.sample import FEWEST, Sides, Unit, sides, unit, varies
from cibench.measures.answers import answers
from cibench.measures.core import leave_one_out_mean
from cibench.model import Array


@dataclass(frozen=True)
class Measured:
    """Hold one measure: its value on both sides, their difference, and the level before.

    Ratios and lengths differ by logarithms. `level` is the value before on the scale of the
    difference, with its error, where better and worse are told from it.
    """

    name: str
    before: float
    after: float
    difference: Apart
    level: Apart | None = None


def of_estimates(pair: Pair, *, moments: bool) -> Iterator[Measured]:
    """Yield the change of the mean estimate, of the bias, the limits and the standard errors.

    In pairs with one truth the mean estimate and the bias change alike; what the bias adds is
    whether it got worse. Without `moments` the SE ratio and the CV of the SE are left out.
    """
    both = sides(pair, "estimate", "truth")
    if both.given:
        one, other = (t - theta for t, theta in (both.before, both.after))
        theta = both.before[1]
        scale = unit(one, theta, _fallback(theta, pair), moments=moments)
        means = left_mean(scale.tamed(one)), left_mean(scale.tamed(other))
        change = apart_in_units(*means, scale.size, paired=both.paired)
        start = _with_truth(level(means[0], scale.size), pair, scale)
        values = start.value, start.value + change.value
        yield Measured("estimate", *values, change)
        yield Measured("bias", *values, change, start)
        yield from _limits(pair, scale)
    if moments:
        yield from _standard_errors(pair)
    yield from _logarithms("std_error", sides(pair, "std_error"), lambda s: s)
    for name, ends in (
        ("length", ("ci_low", "ci_high")),
        ("band_length", ("band_low", "band_high")),
    ):
        yield from _logarithms(name, sides(pair, *ends), lambda low, high: high - low)


def _fallback(theta: Array, pair: Pair) -> float:
    """Return the unit where errors do not vary: a standard error, the truth's size, or one."""
    own = answers(pair.before)["std_error"]
    own = own[own > 0]
    return float(own.mean()) if own.size else float(np.abs(theta).max(initial=0)) or 1.0


def _with_truth(start: Difference, pair: Pair, scale: Unit) -> Difference:
    """Add the truth's own error to a bias; both sides share it, so that differences lack it."""
    own = float(np.nan_to_num(pair.before["truth_mcse"]).max(initial=0)) / scale.size.value
    return Difference(start.value, hypot(start.error, own), start.df)


def _limits(pair: Pair, scale: Unit) -> Iterator[Measured]:
    """Yield how far the limits lie from the estimate, in the unit of the estimates."""
    size = scale.size.value
    for name, end, sign in (("lower_limit", "ci_low", -1), ("upper_limit", "ci_high", 1)):
        both = sides(pair, "estimate", end)
        reach = _finite([sign * (limit - t) for t, limit in (both.before, both.after)], both.paired)
        if min(each.size for each in reach) < FEWEST:
            continue
        reach = [np.minimum(each, 2 * scale.reach * size) for each in reach]
        means = [left_mean(each) for each in reach]
        # The unit's own error, a few per cent of it, would be a few per cent of the difference.
        fixed = Left(size, np.full(reach[0].size, size))
        change = apart_in_units(means[0], means[1], fixed, paired=both.paired)
        yield Measured(name, means[0].value / size, means[1].value / size, change)


def _standard_errors(pair: Pair) -> Iterator[Measured]:
    both = sides(pair, "estimate", "truth", "std_error")
    if not both.given:
        return
    if all(varies(t - theta, theta) for t, theta, _ in (both.before, both.after)):
        ratios = [_log_ratio(*columns) for columns in (both.before, both.after)]
        values = [float(np.exp(ratio.value)) for ratio in ratios]
        change = apart(ratios[0], ratios[1], paired=both.paired)
        yield Measured("se_ratio", values[0], values[1], change, level(ratios[0]))
    spread = [_variation(columns[2]) for columns in (both.before, both.after)]
    change = apart(spread[0], spread[1], paired=both.paired)
    yield Measured("se_cv", spread[0].value, spread[1].value, change)


@np.errstate(all="ignore")
def _log_ratio(t: Array, theta: Array, s: Array) -> Left:
    """Return the logarithm of the model SE over the empirical SE, and what leaves one out."""
    squares = np.square(s)
    model, spread = np.float64(squares.mean()), left_sd(t - theta)
    each = np.log(leave_one_out_mean(squares)) / 2 - np.log(spread.each)
    return Left(float(np.log(model) / 2 - np.log(spread.value)), each)


@np.errstate(all="ignore")
def _variation(s: Array) -> Left:
    mean, spread = left_mean(s), left_sd(s)
    return Left(float(np.float64(spread.value) / mean.value), spread.each / mean.each)


def _logarithms(name: str, both: Sides, size: Callable[..., Array]) -> Iterator[Measured]:
    """Yield the change of the mean logarithm of positive finite sizes."""
    logs = _finite([_log(size(*columns)) for columns in (both.before, both.after)], both.paired)
    if min(each.size for each in logs) >= FEWEST:
        means = [left_mean(each) for each in logs]
        change = apart(means[0], means[1], paired=both.paired)
        yield Measured(name, exp(means[0].value), exp(means[1].value), change)


@np.errstate(all="ignore")
def _log(x: Array) -> Array:
    return np.asarray(np.log(x))


def _finite(columns: list[Array], paired: bool) -> list[Array]:
    """Return what is finite of each side, of pairs what is finite on both."""
    if paired:
        usable = np.isfinite(columns[0]) & np.isfinite(columns[1])
        return [column[usable] for column in columns]
    return [column[np.isfinite(column)] for column in columns]
