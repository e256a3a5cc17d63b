"""What metrics share: the score, means, medians, proportions, the jackknife, the truth's error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
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

    >>> import numpy as np
    >>> from cibench.metrics import METRICS
    >>> score = METRICS["rmse"](np.array([0.4, 0.7, 0.6]), np.array([0.5, 0.5, 0.5]))
    >>> round(score.value, 3), round(score.mcse, 3), score.low
    (0.141, 0.035, nan)
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
    return _mean(x)


@np.errstate(all="ignore")
def standard_deviation(x: Array) -> float:
    """Return the standard deviation with n - 1 below, NaN of fewer than two numbers."""
    return sqrt(_squares(x, _mean(x)) / (x.size - 1)) if x.size > 1 else nan


@np.errstate(all="ignore")
def mean_score(x: Array) -> Score:
    """Return the mean of `x`, with error S / sqrt n."""
    n, value = x.size, _mean(x)
    if n < 2:
        return Score(value, nan)
    return Score(value, sqrt(_squares(x, value) / (n - 1)) / sqrt(n))


def _mean(x: Array) -> float:
    if not x.size:
        return nan
    # The rounded mean of equal numbers may differ from them, and a zero spread would not be zero.
    if x[0] == x[-1] and (x == x[0]).all():
        return float(x[0])
    return float(np.add.reduce(x)) / x.size


def _squares(x: Array, centre: float) -> float:
    """Return the sum of squared deviations from the centre."""
    return float(np.add.reduce(np.square(x - centre)))


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
    return sqrt((n - 1) / n * _squares(leave_one_out, _mean(leave_one_out))) if n else nan


@np.errstate(all="ignore")
def leave_one_out_sd(x: Array) -> Array:
    """Return the n standard deviations of `x` that leave one number out, NaN if n < 3."""
    n = x.size
    if n < 3:
        return np.full(n, nan)
    squares = np.square(x - _mean(x))
    rest = squares.sum() - squares * (n / (n - 1))
    # Taking a dominant square from the sum would leave nothing but rounding error.
    widest = int(squares.argmax())
    others = np.delete(x, widest)
    rest[widest] = _squares(others, _mean(others))
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


@np.errstate(all="ignore")
def median_score(x: Array) -> Score:
    """Return the median of `x`, with an error that needs no density and no moments.

    It is the standard deviation of the medians of resamples, in closed form: the middle one of n
    draws with replacement is the i-th value with the probability that a beta variable with both
    parameters (n + 1)/2 lies between (i - 1)/n and i/n. Values beyond 2.5 binomial standard
    deviations, 1.25 sqrt n places, from the middle count as the value there, which takes 1.1 % of a
    normal law's deviation that is given back: they are hardly ever the median, and may be anywhere.
    Unlike a distance of order statistics this is of the right size for laws of few values too: the
    median of n signs is one or the other. Source: Maritz and Jarrett (1978), JASA 73; Harrell and
    Davis (1982), Biometrika 69, for an even n. Of one value there is no error.
    """
    n = x.size
    if not n:
        return BLANK
    ordered = np.sort(x)
    value = float(ordered[(n - 1) // 2] / 2 + ordered[n // 2] / 2)
    if n == 1:
        return Score(value, nan)
    lower = max(0, round((n - 1) / 2 - WITHIN / 2 * sqrt(n)))
    inner = np.clip(ordered, ordered[lower], ordered[n - 1 - lower]) - value
    weights = _of_the_median(n)
    centre = float(weights @ inner)
    return Score(value, sqrt(float(weights @ np.square(inner - centre))) / _SPREAD_WITHIN)


WITHIN = 2.5
_UNIT = NormalDist()
_SPREAD_WITHIN = sqrt(
    2 * _UNIT.cdf(WITHIN) - 1 - 2 * WITHIN * _UNIT.pdf(WITHIN)
    + WITHIN**2 * 2 * _UNIT.cdf(-WITHIN)
)  # fmt: skip
"""The standard deviation of a standard normal law whose ends are drawn in to `WITHIN`."""


@lru_cache(maxsize=32)
def _of_the_median(n: int) -> Array:
    """Return the probabilities that each of n ordered values is the median of a resample."""
    from scipy.special import betainc

    return np.asarray(np.diff(betainc((n + 1) / 2, (n + 1) / 2, np.arange(n + 1) / n)))


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
    the truth plus and minus that error; the larger move is added in quadrature, since a coverage
    that is highest at the truth as stated falls to either side. Wilson limits stay as they are.
    """
    scores = measure(truth)
    if not truth_mcse or not truth.size:
        return scores
    above, below = measure(truth + truth_mcse), measure(truth - truth_mcse)
    return {name: widened(score, above[name], below[name]) for name, score in scores.items()}


def widened(score: Score, above: Score, below: Score) -> Score:
    """Add to a score's error how far it moves to the farther of the truth's two ends."""
    move = max(abs(end.value - score.value) for end in (above, below))
    return replace(score, mcse=hypot(score.mcse, move))
