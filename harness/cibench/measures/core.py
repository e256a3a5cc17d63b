"""What every measure shares: the score, means, proportions, the jackknife, the truth's error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import hypot, isnan, nan, sqrt
from statistics import NormalDist

import numpy as np

from cibench.model import Array

Z95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Score:
    """Hold a measure, its Monte Carlo standard error and, of a proportion, its Wilson limits.

    The limits are at 95 %. NaN stands for what is not known, from one replicate for instance.
    """

    value: float
    mcse: float
    low: float = nan
    high: float = nan


BLANK = Score(nan, nan)


@np.errstate(all="ignore")
def mean(x: Array) -> float:
    """Return the mean, NaN of nothing; of equal numbers exactly that number."""
    if not x.size:
        return nan
    # The rounded mean of equal numbers may differ from them, and a zero spread would not be zero.
    return float(x[0] if (x == x[0]).all() else x.mean())


@np.errstate(all="ignore")
def sum_of_squares(x: Array) -> float:
    """Return the sum of squared deviations from the mean."""
    return float(np.square(x - mean(x)).sum())


def standard_deviation(x: Array) -> float:
    """Return the standard deviation with n - 1 below, NaN of fewer than two numbers."""
    return sqrt(sum_of_squares(x) / (x.size - 1)) if x.size > 1 else nan


def mean_score(x: Array) -> Score:
    """Return the mean of `x`, with error S / sqrt n."""
    return Score(mean(x), standard_deviation(x) / sqrt(x.size)) if x.size else BLANK


def root(square: Score) -> Score:
    """Return the square root of a score that is not negative, with its delta-method error."""
    value = sqrt(square.value)
    return Score(value, square.mcse / (2 * value) if value else square.mcse)


@np.errstate(all="ignore")
def jackknife(leave_one_out: Array) -> float:
    """Return the centred jackknife's standard error from the n values that leave one out.

    NaN where one of them is not finite: the statistic then hangs on a single replicate.
    """
    n = leave_one_out.size
    return sqrt((n - 1) / n * sum_of_squares(leave_one_out)) if n else nan


@np.errstate(all="ignore")
def leave_one_out_sd(x: Array) -> Array:
    """Return the n standard deviations of `x` that leave one number out, NaN if n < 3."""
    n = x.size
    if n < 3:
        return np.full(n, nan)
    squares = np.square(x - mean(x))
    rest = squares.sum() - squares * (n / (n - 1))
    # Taking a dominant square from the sum would leave nothing but rounding error.
    widest = int(squares.argmax())
    rest[widest] = sum_of_squares(np.delete(x, widest))
    return np.asarray(np.sqrt(np.maximum(rest, 0) / (n - 2)))


@np.errstate(all="ignore")
def leave_one_out_mean(x: Array) -> Array:
    """Return the n means of nonnegative `x` that leave one number out, NaN if n < 2."""
    n = x.size
    if n < 2:
        return np.full(n, nan)
    rest = x.sum() - x
    largest = int(x.argmax())
    rest[largest] = np.delete(x, largest).sum()  # see leave_one_out_sd
    return np.asarray(np.maximum(rest, 0) / (n - 1))


def proportion(count: int, total: int) -> Score:
    """Return count / total, with error sqrt(p (1 - p) / n) and Wilson's limits.

    Source: Wilson (1927), JASA 22. At 0 and 1 the error is zero and only the limits speak.
    """
    if not total:
        return BLANK
    p = count / total
    shrink = 1 / (1 + Z95**2 / total)
    centre = shrink * (p + Z95**2 / (2 * total))
    reach = shrink * Z95 * sqrt(p * (1 - p) / total + Z95**2 / (4 * total**2))
    low = centre - reach if count else 0.0
    high = centre + reach if count < total else 1.0
    return Score(p, sqrt(p * (1 - p) / total), low, high)


def with_truth_error(
    measure: Callable[[Array], Score], truth: Array, truth_mcse: float = 0.0
) -> Score:
    """Evaluate `measure` at the truth and add the truth's own error to the measure's.

    `truth_mcse` is the error that the truths of all replicates share. The measure is taken at the
    truth plus and minus that error; half the difference is added in quadrature. Wilson limits
    stay as they are.
    """
    score = measure(truth)
    if not truth_mcse or isnan(score.value):
        return score
    moved = measure(truth + truth_mcse).value - measure(truth - truth_mcse).value
    return replace(score, mcse=hypot(score.mcse, moved / 2))
