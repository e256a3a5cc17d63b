"""What the confidence sets are worth: coverage, length, rejections, wrong signs, none at all.

A set is all from `low` to `high`, limits included, which may be infinite; with `outside` it is
all up to `low` and all from `high`. The empty set is (inf, -inf).

Source: Gelman and Carlin (2014), Perspectives on Psychological Science 9. Significant is whose
confidence set does not hold zero.
"""

from __future__ import annotations

import numpy as np

from cibench.metrics.core import BLANK, Score, blank, mean
from cibench.metrics.influence import Mean, MeanAmong, Result, Share
from cibench.metrics.moments import dominated
from cibench.metrics.registry import (
    LIMITS,
    POINTS,
    REPORTED,
    SETS,
    Kind,
    Loss,
    metric,
)
from cibench.model.types import Array

Outside = Array | bool


def covers(
    low: Array | float, high: Array | float, point: Array | float, outside: Outside = False
) -> Array:
    """Say of each set whether it holds the point; one without limits, NaN, holds none."""
    inside = np.asarray((low <= point) & (point <= high))
    if not (outside if isinstance(outside, bool) else outside.any()):  # as nearly always
        return inside
    return np.where(outside, (point <= low) | (point >= high), inside)


EDGE = 1e-6
"""How near an end, in lengths of the set, is on neither side of it."""


@metric(
    SETS, Kind.SHARE, place=80, label="coverage", meaning="share of intervals that hold the truth",
    loss=Loss.SHORTFALL, tables=(*REPORTED, "differences", "paper"),
)  # fmt: skip
def coverage(low: Array, high: Array, theta: Array, outside: Outside = False) -> Share:
    """Return the share of sets that hold the truth."""
    return Share(covers(low, high, theta, outside))


@metric(
    SETS, Kind.SHARE, flags=("ok",), place=90, label="with failures",
    meaning="coverage with failures counted as misses", loss=Loss.SHORTFALL,
    tables=(*REPORTED, "summary"),
)  # fmt: skip
def coverage_with_failures(
    low: Array, high: Array, theta: Array, outside: Outside, ok: Array
) -> Result:
    """Return the share of all tries whose set holds the truth; who is not `ok` has missed.

    Who answers without limits has no coverage; who never answers has covered nothing.
    """
    covered = ok & covers(low, high, theta, outside)
    lacking = np.isnan(low) | np.isnan(high) | np.isnan(theta)
    if ok.any() and lacking[ok].all():
        return BLANK
    return Share(covered)


@metric(
    (*POINTS, *LIMITS), Kind.SHARE, place=100, label="bias-eliminated",
    meaning="coverage of the mean estimate: what is lost to bias is given back",
    loss=Loss.SHORTFALL, moments="hidden", truth_cancels=True, tables=REPORTED,
)  # fmt: skip
def bias_eliminated_coverage(
    t: Array, theta: Array, low: Array, high: Array, outside: Outside = False
) -> Share:
    """Return the coverage of the truth plus the mean error: what is lost to bias does not count."""
    return Share(covers(low - theta, high - theta, mean(t - theta), outside))


@metric(
    LIMITS, Kind.RELATIVE, place=110, label="length", meaning="mean length of the intervals",
    loss=Loss.ITSELF, tables=(*REPORTED, "differences", "paper"),
)  # fmt: skip
def ci_length(low: Array, high: Array, outside: Outside = False) -> Result:
    """Return the mean length, with error S / sqrt n; infinite and without error if one set is.

    Blank where one replicate makes the sum of squares, as a model SE is: of sixty intervals one
    that is a million times as long as the others would be all of their mean.
    """
    lengths = set_length(low, high, outside)
    reason = dominated(lengths, "of the sum of squared lengths")
    return blank(reason) if reason else Mean(lengths)


@np.errstate(all="ignore")
def set_length(low: Array, high: Array, outside: Outside = False) -> Array:
    """Return the length of each set: none of the empty one, infinite of two rays."""
    return np.where(outside, np.inf, np.where(low > high, 0.0, high - low))


@metric(
    LIMITS, Kind.SHARE, place=120, label="rejects 0",
    meaning="share of intervals that do not hold zero", tables=(*REPORTED, "summary"),
    diagnostic=lambda passed: Share(passed == 0),
)  # fmt: skip
def rejection(low: Array, high: Array, outside: Outside = False) -> Share:
    """Return the share of sets that do not hold zero: the power, or the size if the truth is 0."""
    return Share(~covers(low, high, 0.0, outside))


@metric(
    ("estimate", *LIMITS), Kind.SHARE, place=125, label="excludes its estimate",
    meaning="share of answers whose limits do not hold their own estimate", tables=("scores",),
)  # fmt: skip
def excludes_estimate(t: Array, low: Array, high: Array, outside: Outside = False) -> Share:
    """Return the share of sets that do not hold the estimate they come with; empty ones hold none.

    What is within rounding of an end counts as held.
    """
    with np.errstate(all="ignore"):
        slack = np.where(np.isfinite(high - low), EDGE * np.abs(high - low), 0.0)
        edge = np.minimum(np.abs(t - low), np.abs(t - high)) <= slack
    return Share(~covers(low, high, t, outside) & ~(edge & (low <= high)))


FAR = 0.5
"""A p-value above which no test rejects what the limits do not hold."""


@metric(
    ("p_value", *LIMITS), Kind.SHARE, place=126, label="contradicts its p-value",
    meaning="share of answers whose p-value their limits contradict", tables=("scores",),
)  # fmt: skip
def contradicts_p_value(
    p: Array, low: Array, high: Array, outside: Outside = False, *, level: float
) -> Share:
    """Return the share of answers whose limits contradict the p-value, which is that of no effect.

    That is one above a half where zero lies outside the limits, and one below a tenth of 1 - level
    where it lies inside: so far a test may differ from the limits, as one by few permutations does.
    An empty set holds nothing, and what is within rounding of an end is on neither side.
    """
    with np.errstate(all="ignore"):
        slack = np.where(np.isfinite(high - low), EDGE * np.abs(high - low), 0.0)
        sure = (np.minimum(np.abs(low), np.abs(high)) > slack) & (low <= high)
    inside = covers(low, high, 0.0, outside)
    return Share(sure & np.where(inside, p < (1 - level) / 10, p > FAR))


@metric(
    ("p_value",), Kind.SHARE, place=127, label="p-value rejects 0",
    meaning="share of p-values below 1 - level, whatever the limits", tables=("scores",),
)  # fmt: skip
def rejection_by_p_value(p: Array, *, level: float) -> Share:
    """Return the share of p-values that reject: the power of a test that has no limits."""
    return Share(p < round(1 - level, 12))  # 0.05, not the number above it that 1 - 0.95 is


@metric(
    (), Kind.SHARE, flags=("failed",), place=130, label="failures",
    meaning="share of fits that gave no answer", loss=Loss.ITSELF, tables=REPORTED,
)  # fmt: skip
def failure_rate(failed: Array) -> Share:
    """Return the share of tries that failed, timed out, crashed or gave no finite number."""
    return Share(failed)


@metric(
    (), Kind.SHARE, flags=("declined",), place=135, label="declined",
    meaning="share of data sets that the method declined", tables=REPORTED,
)  # fmt: skip
def decline_rate(declined: Array) -> Share:
    """Return the share of data sets that were declined, which count as no tries elsewhere."""
    return Share(declined)


@metric(
    SETS, Kind.RELATIVE, place=170, label="interval score",
    meaning="length plus 2/alpha times what the truth is missed by; smaller is better",
    loss=Loss.ITSELF, power=1, tables=(*REPORTED, "differences"),
)  # fmt: skip
def interval_score(
    low: Array, high: Array, theta: Array, outside: Outside = False, *, level: float
) -> Mean:
    """Return the mean of length + 2/alpha times the distance by which a set misses the truth.

    Alpha is 1 - level; smaller is better, and no interval can gain by saying other than its
    quantiles. Source: Gneiting and Raftery (2007), JASA 102, equation 43. The score is infinite,
    and without error, if one set is unbounded, two rays or empty: an empty set is infinitely far
    from every truth. The error is S / sqrt n.
    """
    return Mean(set_score(low, high, theta, level, outside))


@np.errstate(all="ignore")
def set_score(
    low: Array, high: Array, theta: Array, level: float, outside: Outside = False
) -> Array:
    """Return the interval score of each set."""
    distance = np.maximum(low - theta, 0) + np.maximum(theta - high, 0)
    improper = np.logical_or(outside, low > high)
    return np.where(improper, np.inf, high - low + 2 / (1 - level) * distance)


@metric(
    SETS, Kind.SHARE, place=180, label="truth below the interval",
    meaning="share of intervals that lie above the truth",
)  # fmt: skip
def lower_noncoverage(low: Array, high: Array, theta: Array, outside: Outside = False) -> Share:
    """Return the share of sets with the truth below them: they lie too high.

    With the upper one it adds up to what coverage lacks, but for empty sets and sets of two rays,
    which miss on no side.
    """
    return Share(missed(low, high, theta, outside)[0])


@metric(
    SETS, Kind.SHARE, place=190, label="truth above the interval",
    meaning="share of intervals that lie below the truth",
)  # fmt: skip
def upper_noncoverage(low: Array, high: Array, theta: Array, outside: Outside = False) -> Share:
    """Return the share of sets with the truth above them: they lie too low."""
    return Share(missed(low, high, theta, outside)[1])


def missed(low: Array, high: Array, theta: Array, outside: Outside = False) -> tuple[Array, Array]:
    """Say of each interval whether the truth lies below it, and whether above."""
    interval = (low <= high) & ~np.asarray(outside, dtype=bool)
    return (theta < low) & interval, (theta > high) & interval


def simultaneous_coverage(low: Array, high: Array, theta: Array, outside: Outside = False) -> Score:
    """Return the share of replicates whose sets hold the truths of all horizons at once.

    The arrays have a row for each horizon and a column for each replicate.
    """
    return Share(np.asarray(covers(low, high, theta, outside).all(axis=0))).score


ZERO = "the truth is zero"
NONE = "nothing is significant"


@metric(
    (*POINTS, *LIMITS), Kind.SHARE, place=200, label="type S",
    meaning="share of wrong signs among the significant estimates", loss=Loss.ITSELF,
    silent="the same share of wrong signs, without an error",
)  # fmt: skip
def type_s(t: Array, theta: Array, low: Array, high: Array, outside: Outside = False) -> Result:
    """Return the share of significant estimates with the wrong sign, blank at a zero truth."""
    chosen, why = significant(theta, low, high, outside)
    if why:
        return blank(why) if t.size else BLANK
    return Share(np.asarray(np.sign(t) != np.sign(theta)), among=chosen)


@metric(
    (*POINTS, *LIMITS), Kind.RELATIVE, place=210, label="type M",
    meaning="mean size of the significant estimates over the truth's", loss=Loss.SIZE,
    moments="hidden",
)  # fmt: skip
def type_m(t: Array, theta: Array, low: Array, high: Array, outside: Outside = False) -> Result:
    """Return the mean size of significant estimates over the truth's, blank at a zero truth.

    Its error is S / sqrt m of the m significant ones, whose number is taken as it is: the mean
    given m has no other.
    """
    chosen, why = significant(theta, low, high, outside)
    if why:
        return blank(why) if t.size else BLANK
    return MeanAmong(np.abs(t / theta), chosen)


def significant(theta: Array, low: Array, high: Array, outside: Outside) -> tuple[Array, str]:
    """Mark the sets that do not hold zero, and say why there is nothing to measure, if so."""
    excluding_zero = ~covers(low, high, 0.0, outside)
    if (theta == 0).any():
        return excluding_zero, ZERO
    return excluding_zero, "" if excluding_zero.any() else NONE
