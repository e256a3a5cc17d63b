"""The verdicts on bias and standard errors: by limits of the same multiplicity as a coverage's.

A bias is judged in units of the empirical SE, a standard error by the SE ratio, each where the
estimates have moments and at the level 1 - alpha that all verdicts of a run share.

**Limits.** With n estimates of standard deviation S, the error r S of S (`empirical_se_mcse`, a
jackknife's) and the error v S of the mean (`bias_mcse`, with the truth's own) a bias of b standard
errors is within the limits of d = bias / S where |d - b| <= q sqrt(v^2 + b^2 r^2): Fieller's set,
which allows for the error of S in both places. Its ends are
(d^2 - q^2 v^2) / (d +- q sqrt(d^2 r^2 + (1 - q^2 r^2) v^2)). Limits of the ratio are those of its
logarithm, ratio exp(+- q r') with r' its own relative error. In both

    q = z + r (2 z^2 + 1) / 3, z the normal quantile at alpha / 2,

as Edgeworth's expansion of Student's t has it for errors of skewness g, g (2 z^2 + 1) /
(6 sqrt n): by Pearson's inequality g^2 is at most the kurtosis less one, which is 4 n r^2. Hence
heavy tails and skewness that the replicates show widen the limits.

**What they do not show.** A part of the law with the probability log(1 / alpha) / n is in none of
n replicates with chance alpha. If its estimates lie ten times as far out as the others, the true SE
is larger than theirs by the factor `unseen` = sqrt(1 + 100 log(1 / alpha) / n). What rests on too
small an SE is therefore said only where it is beyond its bound by that factor: that a bias is too
large, or that standard errors are. That they are too small needs no such allowance, as the true SE
would be larger still.

`results/reference/verdicts` has what this is worth: how often a run in which every method sits
exactly at its bounds holds a surprise, and how large a fault is found, for normal, t(3), lognormal
and contaminated laws.

Sources: Fieller (1954), Journal of the Royal Statistical Society B 16; Hall (1992), The Bootstrap
and Edgeworth Expansion, section 2.6, for the expansion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil, exp, hypot, inf, log, nan, sqrt
from statistics import NormalDist
from typing import Any

from cibench.analysis.coverage_verdicts import MOST, POWER
from cibench.metrics.moments import SQUARES, noiseless
from cibench.utils.missing import missing

BIAS = 0.5
"""The largest bias of a valid method in empirical standard errors, where nothing else is said."""

SE_RATIO = (0.8, 1.25)
"""The least and the largest SE ratio of a valid method, where nothing else is said."""

FAR = 10.0
"""How far out, over the others, estimates may lie that no replicate has shown."""

_GROWTH = 1.01
_SURE = NormalDist().inv_cdf(POWER)


class ErrorVerdict(StrEnum):
    """Say what a bias or an SE ratio shows; the empty one: there is none to judge."""

    WITHIN = "within"
    TOO_LARGE = "too large"
    TOO_SMALL = "too small"
    UNCLEAR = "unclear"
    NONE = ""


NO_MOMENTS, NOISELESS = "averages over replicates cannot be relied on", "the estimates do not vary"
NO_ESTIMATE, NO_SE = "the method gives no estimates", "the method gives no standard errors"
FEW, ABSURD = "too few replicates", "standard errors that are not finite"
DOMINATED = f"one replicate makes most {SQUARES}"
DIAGNOSTIC = "a diagnostic has no estimates"


@dataclass(frozen=True)
class ErrorLimits:
    """Hold a bias over the empirical SE, or an SE ratio, with its limits and its bounds.

    It is `within` where the limits are inside `least` and `most`, and too large or too small where
    they are outside `surely`, the same bounds with room for what no replicate has shown. `needed`
    replicates would most likely decide. `unjudged` is the reason why there is nothing to judge.
    """

    least: float
    most: float
    value: float = nan
    low: float = nan
    high: float = nan
    surely: tuple[float, float] = (nan, nan)
    needed: float = nan
    unjudged: str = ""

    @property
    def verdict(self) -> ErrorVerdict:
        """Return the verdict."""
        if self.unjudged:
            return ErrorVerdict.NONE
        if self.low > self.surely[1]:
            return ErrorVerdict.TOO_LARGE
        if self.high < self.surely[0]:
            return ErrorVerdict.TOO_SMALL
        within = self.low > self.least and self.high < self.most
        return ErrorVerdict.WITHIN if within else ErrorVerdict.UNCLEAR


def unjudged_bias(score: Mapping[str, Any]) -> str:
    """Say why the bias of a score cannot be judged, "" where it can."""
    if score["kind"] == "diagnostic":
        return DIAGNOSTIC
    if missing(score.get("bias")):
        return NO_ESTIMATE
    if not score.get("moments", True):
        return NO_MOMENTS
    if missing(score.get("bias_mcse")) or missing(score.get("empirical_se_mcse")):
        return FEW
    return NOISELESS if noiseless(score) or not score["empirical_se"] > 0 else ""


def unjudged_se_ratio(score: Mapping[str, Any]) -> str:
    """Say why the standard errors of a score cannot be judged, "" where they can."""
    reason = unjudged_bias(score)
    if reason:
        return reason
    if SQUARES in str(score.get("note") or ""):
        return DOMINATED
    if missing(score.get("model_se")):
        return NO_SE
    if not 0 <= float(score["se_ratio"]) < inf:
        return ABSURD
    return FEW if missing(score["se_ratio_mcse"]) else ""


def judge_bias(score: Mapping[str, Any], most: float, alpha: float) -> ErrorLimits:
    """Return the bias of a score in empirical standard errors, held to a largest size."""
    reason = unjudged_bias(score)
    if reason:
        return ErrorLimits(-most, most, unjudged=reason)
    spread, n = float(score["empirical_se"]), int(score["answered"])
    value, of_mean = float(score["bias"]) / spread, float(score["bias_mcse"]) / spread
    of_spread = float(score["empirical_se_mcse"]) / spread
    truth = float(score.get("truth_mcse") or 0.0)
    of_truth = 0.0 if missing(truth) else min(truth / spread, of_mean)
    of_chance = sqrt(of_mean**2 - of_truth**2)

    def limits(replicates: float, extra: float) -> ErrorLimits:
        shrink, room = sqrt(n / replicates), most * unseen(replicates, alpha)
        reach = reach_of(alpha, of_spread * shrink) + extra
        error = hypot(of_chance * shrink, of_truth)  # more replicates know the truth no better
        low, high = fieller(value, error, of_spread * shrink, reach)
        return ErrorLimits(-most, most, value, low, high, (-room, room))

    return _with_needed(limits, n)


def judge_se_ratio(
    score: Mapping[str, Any], bounds: tuple[float, float], alpha: float
) -> ErrorLimits:
    """Return the SE ratio of a score, held to a least and a largest one."""
    reason = unjudged_se_ratio(score)
    if reason:
        return ErrorLimits(*bounds, unjudged=reason)
    value, n = float(score["se_ratio"]), int(score["answered"])
    error = float(score["se_ratio_mcse"]) / value if value else 0.0  # all of them are 0

    def limits(replicates: float, extra: float) -> ErrorLimits:
        shrunk = error * sqrt(n / replicates)
        stretch = _exp((reach_of(alpha, shrunk) + extra) * shrunk)
        room = bounds[0], bounds[1] * unseen(replicates, alpha)
        return ErrorLimits(*bounds, value, value / stretch, value * stretch, room)

    return _with_needed(limits, n)


def reach_of(alpha: float, error: float) -> float:
    """Return how many errors limits reach, where the SE that they rest on errs by that share."""
    z = -NormalDist().inv_cdf(alpha / 2)
    return z + error * (2 * z**2 + 1) / 3


def unseen(replicates: float, alpha: float) -> float:
    """Return by how much the true SE may exceed what so many replicates show: see above."""
    return sqrt(1 + FAR**2 * log(1 / alpha) / replicates)


def fieller(d: float, of_mean: float, of_spread: float, reach: float) -> tuple[float, float]:
    """Return the values b with |d - b| <= reach sqrt(of_mean^2 + b^2 of_spread^2).

    Where these make no interval that holds d, a limit is infinite: the SE is not known well enough.

    >>> [round(end, 3) for end in fieller(1.0, 0.1, 0.0, 2.0)]
    [0.8, 1.2]
    """
    if d < 0:
        low, high = fieller(-d, of_mean, of_spread, reach)
        return -high, -low
    known, apart = 1 - (reach * of_spread) ** 2, d**2 - (reach * of_mean) ** 2
    inner = (d * of_spread) ** 2 + known * of_mean**2
    if known <= 0 and apart <= 0:
        return -inf, inf
    root = reach * sqrt(inner)
    return apart / (d + root), (d + root) / known if known > 0 else inf


def sizes_within(most: float, se_ratio: tuple[float, float], alpha: float, power: float) -> float:
    """Return how many replicates show with that power that a bias of 0 and a ratio of 1 are within.

    The estimates are taken to be normal: S errs by the share 1 / sqrt(2 n).
    """
    extra = NormalDist().inv_cdf((1 + power) / 2)
    bounds = -log(se_ratio[0]), log(se_ratio[1])

    def inside(size: float) -> bool:
        error = 1 / sqrt(2 * size)
        reach = reach_of(alpha, error) + extra
        return fieller(0, 1 / sqrt(size), error, reach)[1] < most and reach * error < min(bounds)

    size = 2.0
    while not inside(size) and size < MOST:
        size = ceil(size * _GROWTH)
    return size


def _with_needed(limits: Callable[[float, float], ErrorLimits], n: int) -> ErrorLimits:
    """Return the limits that n replicates give, and where they decide nothing, how many would.

    That is the least number at which they would, were they wider by what a value strays with a
    chance of 1 - POWER; infinity where 10^7 do not.
    """
    here = limits(n, 0.0)
    if here.verdict is not ErrorVerdict.UNCLEAR:
        return here
    first, last = 0, int(log(max(MOST / n, 1)) / log(_GROWTH)) + 1
    if limits(n * _GROWTH**last, _SURE).verdict is ErrorVerdict.UNCLEAR:
        return replace(here, needed=inf)
    while last - first > 1:
        middle = (first + last) // 2
        unclear = limits(n * _GROWTH**middle, _SURE).verdict is ErrorVerdict.UNCLEAR
        first, last = (middle, last) if unclear else (first, middle)
    return replace(here, needed=float(round(n * _GROWTH**last)))


def _exp(exponent: float) -> float:
    return exp(exponent) if exponent < 700 else inf
