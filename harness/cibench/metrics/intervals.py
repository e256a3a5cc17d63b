"""What the confidence sets are worth: coverage, length, rejections, wrong signs, none at all.

A set is all from `low` to `high`, limits included, which may be infinite; with `outside` it is
all up to `low` and all from `high`. The empty set is (inf, -inf).

Source: Gelman and Carlin (2014), Perspectives on Psychological Science 9. Significant is whose
confidence set does not hold zero.
"""

from __future__ import annotations

import numpy as np

from cibench.metrics.core import BLANK, Score, blank, mean, mean_score, proportion
from cibench.model.types import Array

Outside = Array | bool


def covers(low: Array, high: Array, point: Array | float, outside: Outside = False) -> Array:
    """Say of each set whether it holds the point."""
    return np.where(outside, (point <= low) | (point >= high), (low <= point) & (point <= high))


def coverage(
    low: Array, high: Array, theta: Array, outside: Outside = False, *, total: int | None = None
) -> Score:
    """Return the share of sets that hold the truth, of `total` tries where that is given."""
    count = int(covers(low, high, theta, outside).sum())
    return proportion(count, low.size if total is None else total)


@np.errstate(all="ignore")
def bias_eliminated_coverage(
    low: Array, high: Array, t: Array, theta: Array, outside: Outside = False
) -> Score:
    """Return the coverage of the truth plus the mean error: what is lost to bias does not count."""
    shift = mean(t - theta)
    return proportion(int(covers(low - theta, high - theta, shift, outside).sum()), low.size)


@np.errstate(all="ignore")
def ci_length(low: Array, high: Array, outside: Outside = False) -> Score:
    """Return the mean length, with error S / sqrt n; infinite and without error if one set is."""
    return mean_score(set_length(low, high, outside))


@np.errstate(all="ignore")
def set_length(low: Array, high: Array, outside: Outside = False) -> Array:
    """Return the length of each set: none of the empty one, infinite of two rays."""
    return np.where(outside, np.inf, np.where(low > high, 0.0, high - low))


def rejection(low: Array, high: Array, outside: Outside = False) -> Score:
    """Return the share of sets that do not hold zero: the power, or the size if the truth is 0."""
    return proportion(low.size - int(covers(low, high, 0.0, outside).sum()), low.size)


def failure_rate(failures: int, replicates: int) -> Score:
    """Return the share of replicates that failed, timed out, crashed or gave no finite number."""
    return proportion(failures, replicates)


@np.errstate(all="ignore")
def interval_score(
    low: Array, high: Array, theta: Array, level: float, outside: Outside = False
) -> Score:
    """Return the mean of length + 2/alpha times the distance by which a set misses the truth.

    Alpha is 1 - level; smaller is better, and no interval can gain by saying other than its
    quantiles. Source: Gneiting and Raftery (2007), JASA 102, equation 43. The score is infinite,
    and without error, if one set is unbounded, two rays or empty: an empty set is infinitely far
    from every truth. The error is S / sqrt n.
    """
    return mean_score(set_score(low, high, theta, level, outside))


@np.errstate(all="ignore")
def set_score(
    low: Array, high: Array, theta: Array, level: float, outside: Outside = False
) -> Array:
    """Return the interval score of each set."""
    distance = np.maximum(low - theta, 0) + np.maximum(theta - high, 0)
    improper = np.logical_or(outside, low > high)
    return np.where(improper, np.inf, high - low + 2 / (1 - level) * distance)


def lower_noncoverage(low: Array, high: Array, theta: Array, outside: Outside = False) -> Score:
    """Return the share of sets with the truth below them: they lie too high.

    With the upper one it adds up to what coverage lacks, but for empty sets and sets of two rays,
    which miss on no side.
    """
    return proportion(int(missed(low, high, theta, outside)[0].sum()), low.size)


def upper_noncoverage(low: Array, high: Array, theta: Array, outside: Outside = False) -> Score:
    """Return the share of sets with the truth above them: they lie too low."""
    return proportion(int(missed(low, high, theta, outside)[1].sum()), low.size)


def missed(low: Array, high: Array, theta: Array, outside: Outside = False) -> tuple[Array, Array]:
    """Say of each interval whether the truth lies below it, and whether above."""
    interval = (low <= high) & ~np.asarray(outside, dtype=bool)
    return (theta < low) & interval, (theta > high) & interval


def simultaneous_coverage(low: Array, high: Array, theta: Array) -> Score:
    """Return the share of replicates whose bands hold the truths of all horizons at once.

    The arrays have a row for each horizon and a column for each replicate.
    """
    held = covers(low, high, theta).all(axis=0)
    return proportion(int(held.sum()), held.size)


ZERO = "the truth is zero"
NONE = "nothing is significant"


def type_s(t: Array, theta: Array, low: Array, high: Array, outside: Outside = False) -> Score:
    """Return the share of significant estimates with the wrong sign, blank at a zero truth."""
    found, why = significant(theta, low, high, outside)
    if why:
        return blank(why) if t.size else BLANK
    wrong = np.sign(t[found]) != np.sign(theta[found])
    return proportion(int(wrong.sum()), wrong.size)


@np.errstate(all="ignore")
def type_m(t: Array, theta: Array, low: Array, high: Array, outside: Outside = False) -> Score:
    """Return the mean size of significant estimates over the truth's, blank at a zero truth.

    Its error is S / sqrt m of the m significant ones, whose number is taken as it is: the mean
    given m has no other.
    """
    found, why = significant(theta, low, high, outside)
    if why:
        return blank(why) if t.size else BLANK
    return mean_score(np.abs(t[found] / theta[found]))


def significant(theta: Array, low: Array, high: Array, outside: Outside) -> tuple[Array, str]:
    """Mark the sets that do not hold zero, and say why there is nothing to measure, if so."""
    found = ~covers(low, high, 0.0, outside)
    if (theta == 0).any():
        return found, ZERO
    return found, "" if found.any() else NONE
