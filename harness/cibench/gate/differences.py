"""How far two statistics or two shares lie apart, with the error that the pairing leaves.

Replicates of the same address saw the same data, so that what they share drops out. A statistic T
of n replicates errs, but for terms of order 1/n, by the mean of its influence on each; the
difference of two by the mean of the difference of theirs. The jackknife gives both without
formulas: leave replicate i out of both sides and take the spread of the n differences. A change
that moves every replicate alike has no error at all. Without pairing the errors of the two sides
add up in squares.

A gate looks far into the tail: of two hundred intervals at an overall level of 0.002 each may
fail in one run of 100,000. There Wald's interval of a rare share is far off and so is a score
interval, for counts are skewed. The signed root of the profile likelihood ratio is not: by full
enumeration, for 200 to 3,000 replicates, shares from 0 to 0.3 and margins of 0.002 and 0.01, the
chance of exceeding the nominal 1e-3 and 1e-5 is at most 1.8 times the nominal one, and for rare
shares below it. Source: Barndorff-Nielsen and Cox (1994), Inference and Asymptotics, chapter 4.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from math import copysign, hypot, inf, isnan, log, nan, sqrt
from statistics import NormalDist
from typing import NamedTuple, Protocol

import numpy as np

from cibench.metrics.core import jackknife, leave_one_out_sd, mean, standard_deviation
from cibench.model.types import Array


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


HUGE = 1e9
"""Stands for an infinite root or slope where a search needs numbers."""


class Shares(ABC):
    """Hold counts whose share, or difference of shares, is asked for."""

    lowest = -1.0

    @property
    @abstractmethod
    def value(self) -> float:
        """Return the share or the difference, after minus before."""

    @property
    @abstractmethod
    def error(self) -> float:
        """Return its Monte Carlo standard error."""

    @abstractmethod
    def fit(self, at: float) -> float:
        """Return the log likelihood at a value, over what else is unknown; -inf if impossible."""

    def root(self, at: float) -> float:
        """Return how many standard normal errors the value lies above `at`."""
        best, here = self.fit(self.value), self.fit(at)
        gap = 2 * (best - here) if here > -inf else HUGE
        return copysign(sqrt(max(gap, 0.0)), self.value - at)

    def limits(self, alpha: float) -> tuple[float, float]:
        """Return the interval that misses with a chance of alpha: where the root is small."""
        z = -NormalDist().inv_cdf(alpha / 2)
        return self._where(z, self.lowest), self._where(-z, 1.0)

    def _where(self, z: float, end: float) -> float:
        from scipy.optimize import brentq

        if abs(self.root(end)) <= abs(z):
            return end
        return float(brentq(lambda at: self.root(at) - z, self.value, end, xtol=1e-10))

    def beyond(self, margin: float) -> float:
        """Return how many errors the value lies beyond the margin, 0 within."""
        if abs(self.value) <= margin:
            return 0.0
        return abs(self.root(copysign(margin, self.value)))


@dataclass(frozen=True)
class OneShare(Shares):
    """Hold one share: `count` of `n`."""

    count: int
    n: int
    lowest = 0.0

    @property
    def value(self) -> float:
        """Return the share."""
        return self.count / self.n

    @property
    def error(self) -> float:
        """Return sqrt(p (1 - p) / n)."""
        return sqrt(self.value * (1 - self.value) / self.n)

    def fit(self, at: float) -> float:
        """Return the binomial log likelihood of the share."""
        return _times(self.count, at) + _times(self.n - self.count, 1 - at)


@dataclass(frozen=True)
class PairedShares(Shares):
    """Hold what became of `n` pairs: `gained` are yes only after, `lost` only before."""

    gained: int
    lost: int
    n: int

    @property
    def value(self) -> float:
        """Return the share after minus the share before."""
        return (self.gained - self.lost) / self.n

    @property
    def error(self) -> float:
        """Return sqrt((b + c) / n - d^2) / sqrt n, d the difference."""
        return sqrt(max((self.gained + self.lost) / self.n - self.value**2, 0.0) / self.n)

    def fit(self, at: float) -> float:
        """Return the trinomial log likelihood, the lost share chosen as fits best.

        With d = `at` >= 0, b gained and c lost, the lost share x solves
        2 n x^2 - ((b + c)(1 - d) - 2 d (n - b)) x - c d (1 - d) = 0.
        """
        if at < 0:
            return PairedShares(self.lost, self.gained, self.n).fit(-at)
        b, c, n = self.gained, self.lost, self.n
        linear = (b + c) * (1 - at) - 2 * at * (n - b)
        x = (linear + sqrt(linear**2 + 8 * n * c * at * (1 - at))) / (4 * n)
        x = max(x, 0.0)
        return _times(b, x + at) + _times(c, x) + _times(n - b - c, 1 - 2 * x - at)


@dataclass(frozen=True)
class TwoShares(Shares):
    """Hold two independent shares: `count` of `n` before and `count_after` of `n_after`."""

    count: int
    n: int
    count_after: int
    n_after: int

    @property
    def value(self) -> float:
        """Return the share after minus the share before."""
        return self.count_after / self.n_after - self.count / self.n

    @property
    def error(self) -> float:
        """Return the root of the sum of both squared errors."""
        before, after = OneShare(self.count, self.n), OneShare(self.count_after, self.n_after)
        return sqrt(before.error**2 + after.error**2)

    def fit(self, at: float) -> float:
        """Return both binomial log likelihoods, the share before chosen as fits best."""
        p = self._best(max(0.0, -at), min(1.0, 1.0 - at), at)
        before = _times(self.count, p) + _times(self.n - self.count, 1 - p)
        q = p + at
        return before + _times(self.count_after, q) + _times(self.n_after - self.count_after, 1 - q)

    def _best(self, low: float, high: float, at: float) -> float:
        """Return the share before at which the likelihood is highest: its slope falls."""
        from scipy.optimize import brentq

        if self._slope(low, at) <= 0:
            return low
        if self._slope(high, at) >= 0:
            return high
        return float(brentq(self._slope, low, high, args=(at,), xtol=1e-12))

    def _slope(self, p: float, at: float) -> float:
        """Return the derivative of the log likelihood by the share before."""
        q = p + at
        up = _over(self.count, p) + _over(self.count_after, q)
        return (
            up - _over(self.n - self.count, 1 - p) - _over(self.n_after - self.count_after, 1 - q)
        )


@dataclass(frozen=True)
class Widened:
    """Hold a share, or a difference of shares, that `move` may be off for the truth's own error.

    More replicates do not make that part smaller. It is added in quadrature to the reach of the
    limits on either side, as many errors of it as a normal law's.
    """

    shares: Shares
    move: float

    @property
    def value(self) -> float:
        """Return the share or the difference, at the truth as stated."""
        return self.shares.value

    @property
    def error(self) -> float:
        """Return its standard error, the truth's part with it."""
        return hypot(self.shares.error, self.move)

    def limits(self, alpha: float) -> tuple[float, float]:
        """Return the interval that misses with a chance of alpha."""
        low, high = self.shares.limits(alpha)
        far = -NormalDist().inv_cdf(alpha / 2) * self.move
        ends = self.value - hypot(self.value - low, far), self.value + hypot(high - self.value, far)
        return max(ends[0], self.shares.lowest), min(ends[1], 1.0)

    def beyond(self, margin: float) -> float:
        """Return how many errors the value lies beyond the margin, 0 within."""
        over, roots = abs(self.value) - margin, self.shares.beyond(margin)
        if not over > 0 or not roots > 0:
            return 0.0
        return over / hypot(over / roots, self.move)


def widened(at_truth: Shares, at_ends: Iterable[Shares]) -> Apart:
    """Return shares with the truth's own error: by the farther of what they are at its two ends."""
    move = max((abs(end.value - at_truth.value) for end in at_ends), default=0.0)
    return Widened(at_truth, move) if move else at_truth


def _over(count: int, share: float) -> float:
    if not count:
        return 0.0
    return min(count / share, HUGE) if share > 0 else HUGE


def _times(count: int, share: float) -> float:
    """Return count * log(share), where none of nothing is no surprise."""
    if not count:
        return 0.0
    return count * log(share) if share > 0 else -inf
