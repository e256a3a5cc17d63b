"""How far two statistics lie apart, with the error that the pairing leaves.

Replicates of the same address saw the same data, so that what they share drops out. A statistic T
of n replicates errs, but for terms of order 1/n, by the mean of its influence on each; the
difference of two by the mean of the difference of theirs. The jackknife gives both without
formulas: leave replicate i out of both sides and take the spread of the n differences. A change
that moves every replicate alike has no error at all. Without pairing the errors of the two sides
add up in squares.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, inf, isnan, nan
from typing import NamedTuple, Protocol

import numpy as np

from cibench.measures.core import jackknife, leave_one_out_sd, mean, standard_deviation
from cibench.model import Array


class Apart(Protocol):
    """Describe what is judged: a difference, its error and its limits at any level."""

    @property
    def value(self) -> float:
        """Return the difference, after minus before."""

    @property
    def error(self) -> float:
        """Return its Monte Carlo standard error."""

    def limits(self, alpha: float) -> tuple[float, float]:
        """Return the interval that misses with a chance of alpha."""

    def beyond(self, margin: float) -> float:
        """Return how many errors the value lies beyond the margin, 0 within."""


class Left(NamedTuple):
    """Hold a statistic and its n values that leave one replicate out."""

    value: float
    each: Array


@dataclass(frozen=True)
class Difference:
    """Hold a difference with its standard error; the limits are Student's with `df`."""

    value: float
    error: float
    df: float

    def limits(self, alpha: float) -> tuple[float, float]:
        """Return the interval that misses with a chance of alpha; without an error all there is."""
        if self.error == 0:
            return self.value, self.value
        if isnan(self.error):
            return -inf, inf
        from scipy.special import stdtrit

        reach = -float(stdtrit(self.df, alpha / 2)) * self.error
        return self.value - reach, self.value + reach

    def beyond(self, margin: float) -> float:
        """Return how many errors the value lies beyond the margin, 0 within."""
        over = abs(self.value) - margin
        if not over > 0 or isnan(self.error):
            return 0.0
        return over / self.error if self.error else inf


@np.errstate(all="ignore")
def left_mean(x: Array) -> Left:
    """Return the mean, with each number left out in turn; of equal numbers exactly that."""
    value = mean(x)
    return Left(value, value + (value - x) / (x.size - 1) if x.size > 1 else np.full(x.size, nan))


def left_sd(x: Array) -> Left:
    """Return the standard deviation, with each number left out in turn."""
    return Left(standard_deviation(x), leave_one_out_sd(x))


def apart(before: Left, after: Left, *, paired: bool) -> Difference:
    """Return the difference of two statistics of the same replicates, or of different ones."""
    value = after.value - before.value
    if paired:
        return Difference(value, jackknife(after.each - before.each), before.each.size - 1)
    return _independent(value, jackknife(before.each), jackknife(after.each), before, after)


def apart_in_units(before: Left, after: Left, unit: Left, *, paired: bool) -> Difference:
    """Return the difference over a unit that is itself a statistic of the replicates before."""
    value = (after.value - before.value) / unit.value
    if paired:
        each = (after.each - before.each) / unit.each
        return Difference(value, jackknife(each), before.each.size - 1)
    mine = jackknife((after.value - before.each) / unit.each)
    return _independent(value, mine, jackknife(after.each / unit.value), before, after)


def level(before: Left, unit: Left | None = None) -> Difference:
    """Return a statistic before, over a unit of the same replicates if any, with its error."""
    if unit is not None:
        before = Left(before.value / unit.value, before.each / unit.each)
    return Difference(before.value, jackknife(before.each), before.each.size - 1)


def _independent(value: float, mine: float, other: float, before: Left, after: Left) -> Difference:
    """Add the errors of two sides; the degrees of freedom are Welch's."""
    error = hypot(mine, other)
    squares = (mine**4 / max(before.each.size - 1, 1), other**4 / max(after.each.size - 1, 1))
    df = error**4 / sum(squares) if error and sum(squares) else inf
    return Difference(value, error, df if df < inf else 1e9)
