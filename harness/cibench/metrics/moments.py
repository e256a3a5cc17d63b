"""Whether averages over replicates can be believed, or one replicate makes the sum of squares."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan, log, sqrt
from typing import Any

import numpy as np

from cibench.metrics.core import standard_deviation
from cibench.model.types import Array

TENTH = 0.1
FEWEST = 30
"""With fewer replicates a law with moments and one without look the same."""

ROUNDING = 1e-12
NOISE = 1e-11
"""A spread that is no more than this share of what varies is rounding error."""


@np.errstate(all="ignore")
def largest_share(t: Array, theta: Array) -> float:
    """Return the largest squared deviation of an error from their mean over the sum of all.

    It is 0 where all is rounding error. A bias hides nothing: it has no part in the deviations.
    """
    return _largest(t - theta - np.mean(t - theta), theta) if t.size else 0.0


def _largest(numbers: Array, size: Array) -> float:
    squares = np.square(numbers)
    total = float(squares.sum())
    if not squares.size or not np.sqrt(squares.max()) > ROUNDING * np.abs(size).max():
        return 0.0
    return float(squares.max()) / total


def light_share(n: int) -> float:
    """Return the share that one of `n` light-tailed errors hardly ever exceeds.

    The lightest laws have no say here: in a hundred normal errors one makes more than a tenth of
    the sum of squares in one cell out of seven. The boundary is the double exponential law of
    variance 1, whose tail is P(|e| > x) = exp(-sqrt 2 x): by Bonferroni the largest of n exceeds
    x = log(1000 n) / sqrt 2 with a chance of at most 1/1000. The squares of the others add up to
    n, with standard deviation sqrt(5 n), and one of those is taken off: x^2 / (n - sqrt(5 n) +
    x^2). From about 920 replicates on that is less than a tenth.
    """
    square = (log(1000 * n) / sqrt(2)) ** 2
    return square / (n - sqrt(5 * n) + square)


def heavy(share: float, n: int) -> bool:
    """Say whether one of `n` replicates makes more of the sum of squares than moments allow.

    That is more than a tenth, with at least 30 replicates, and where they are few, more than a
    light-tailed law would now and then show by chance (`light_share`).
    """
    return n >= FEWEST and share > max(TENTH, light_share(n))


def noiseless(score: Mapping[Any, Any]) -> bool:
    """Say whether a score's estimates vary by no more than rounding, as in data without noise."""
    spread = float(score.get("empirical_se", np.nan))
    if isnan(spread) or score["answered"] < 2:
        return False
    return rounded(spread, max(abs(score["truth"]), abs(score["bias"])))


def on_target(score: Mapping[Any, Any]) -> bool:
    """Say whether a score's bias is no more than rounding: of the truth, or of a computed zero."""
    return bool(abs(score["bias"]) <= max(NOISE * abs(score["truth"]), ROUNDING))


def rounded(spread: float, size: float) -> bool:
    """Say whether numbers of that size vary by no more than rounding."""
    return bool(spread <= NOISE * size)


def vary(t: Array, theta: Array) -> bool:
    """Say whether errors vary by more than rounding, of which one or none does not."""
    if t.size < 2:
        return False
    size = max(float(np.abs(t).max()), float(np.abs(theta).max()))
    return not rounded(standard_deviation(t - theta), size)


SQUARES = "of the sum of squared standard errors"


@np.errstate(all="ignore")
def dominated(s: Array, squares: str = SQUARES) -> str:
    """Say which share of the sum of squares one of some sizes makes, "" where none does.

    The same rule as for estimates: a mean of such numbers settles on nothing. The sizes are
    standard errors, where `squares` does not name the sum of others.
    """
    share = _largest(s, np.zeros(1))
    return f"one replicate makes {100 * share:.0f} % {squares}" if heavy(share, s.size) else ""
