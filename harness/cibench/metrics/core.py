"""What every measure shares: the score, means, proportions, the jackknife, the truth's error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import hypot, nan, sqrt
from statistics import NormalDist

import numpy as np

from cibench.model.types import Array

Z95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Score:
    """Hold a measure, its Monte Carlo standard error and, of a proportion, its Wilson limits.

    The limits are at 95 %. NaN stands for what is not known, from one replicate for instance;
    `why` says why the value is blank where the reason is not merely that there are no numbers.
    """

    value: float
    mcse: float
    low: float = nan
    high: float = nan
    why: str = ""


def blank(why: str) -> Score:
    """Return the score that is not known, with the reason."""
    return Score(nan, nan, why=why)


BLANK = blank("")

NO_SPREAD = "one replicate has no spread"
ALL_EQUAL = "all errors are equal"


@np.errstate(all="ignore")
def mean(x: Array) -> float:
    """Return the mean, NaN of nothing; of equal numbers exactly that number."""
    if not x.size:
        return nan
    # The rounded mean of equal numbers may differ from them, and a zero spread would not be zero.
    if x[0] == x[-1] and (x == x[0]).all():
        return float(x[0])
    return float(np.add.reduce(x)) / x.size


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


def proportion(count: float, total: float) -> Score:
    """Return count / total, with error sqrt(p (1 - p) / n) and Wilson's limits.

    Source: Wilson (1927), JASA 22. At 0 and 1 the error is zero and only the limits speak. An
    effective number of tries need not be whole.
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
    """Evaluate `measure` at the truth and add the truth's own error, as `with_truth_errors`."""
    return with_truth_errors(lambda theta: {"": measure(theta)}, truth, truth_mcse)[""]


def with_truth_errors(
    measure: Callable[[Array], dict[str, Score]], truth: Array, truth_mcse: float = 0.0
) -> dict[str, Score]:
    """Evaluate measures at the truth and add the truth's own error to theirs.

    `truth_mcse` is the error that the truths of all replicates share. The measures are taken at
    the truth plus and minus that error; half the difference is added in quadrature. Wilson limits
    stay as they are.
    """
    scores = measure(truth)
    if not truth_mcse or not truth.size:
        return scores
    above, below = measure(truth + truth_mcse), measure(truth - truth_mcse)
    return {
        name: replace(score, mcse=hypot(score.mcse, (above[name].value - below[name].value) / 2))
        for name, score in scores.items()
    }
