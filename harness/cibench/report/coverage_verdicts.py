"""Judge a score: whether the method covers the truth, beyond Monte Carlo doubt."""

from __future__ import annotations

import math
from enum import StrEnum

from cibench.metrics.moments import noiseless
from cibench.report.views import Score
from cibench.utils.missing import missing

FLOOR = 0.05
"""How far below nominal coverage may lie before a method is called broken: good methods are not
exactly nominal in finite samples."""

HALF_SE = 0.5
"""A bias beyond this share of the empirical SE is worth a word even where intervals cover."""


FAILS_OFTEN = 0.01
"""A failure rate beyond doubt above this is a fault of its own."""


class CoverageVerdict(StrEnum):
    """Say what the coverage of one method in one cell shows."""

    BROKEN = "broken"
    LOW = "low"
    SOUND = "sound"
    CONSERVATIVE = "conservative"
    UNCLEAR = "unclear"
    SILENT = "silent"
    DECLINED = "declined"
    NO_LIMITS = "no limits"
    NOISELESS = "no noise"


MEANING = {
    CoverageVerdict.BROKEN: "coverage is more than 5 points below nominal, beyond Monte Carlo "
    "doubt",
    CoverageVerdict.LOW: "coverage is below nominal, but not clearly by 5 points",
    CoverageVerdict.SOUND: "coverage agrees with nominal, or comes within 5 points of it",
    CoverageVerdict.CONSERVATIVE: "intervals miss less than half as often as they may",
    CoverageVerdict.UNCLEAR: "too few replicates to tell nominal coverage from broken",
    CoverageVerdict.SILENT: "every fit failed",
    CoverageVerdict.DECLINED: "the method declined every data set",
    CoverageVerdict.NO_LIMITS: "the method gives no limits, so coverage is undefined",
    CoverageVerdict.NOISELESS: "the estimates do not vary, so that coverage says nothing",
}


def judge(score: Score) -> CoverageVerdict:
    """Judge a row of the score table by the Wilson limits of its coverage."""
    if (nothing := _unjudged(score)) is not None:
        return nothing
    low, high, nominal = score["coverage_low"], score["coverage_high"], score["level"]
    if high < nominal - FLOOR:
        return CoverageVerdict.BROKEN
    if low > (1 + nominal) / 2:
        return CoverageVerdict.CONSERVATIVE
    if low < nominal - FLOOR and high >= nominal:
        return CoverageVerdict.UNCLEAR
    return CoverageVerdict.LOW if high < nominal else CoverageVerdict.SOUND


def _unjudged(score: Score) -> CoverageVerdict | None:
    """Return why coverage cannot be judged, None where it can."""
    if not score["answered"]:
        return CoverageVerdict.SILENT if score["failures"] else CoverageVerdict.DECLINED
    if missing(score["coverage"]):
        return CoverageVerdict.NO_LIMITS
    return CoverageVerdict.NOISELESS if noiseless(score) else None


def shortfall(score: Score) -> float:
    """Return how far coverage lies below nominal beyond doubt; negative where it lies above."""
    if not score["answered"]:
        return 1.0 if score["failures"] else 0.0
    if missing(score["coverage"]) or noiseless(score):
        return 0.0
    nominal = score["level"]
    below = nominal - score["coverage_high"]
    above = score["coverage_low"] - nominal
    return float(below if below > 0 else -max(above, 0.0))


def bias_in_se(score: Score) -> tuple[float, float]:
    """Return bias over the empirical SE and its error (delta method); NaN without moments."""
    bias, spread = score["bias"], score["empirical_se"]
    if (
        not score["moments"]
        or missing(bias)
        or missing(spread)
        or noiseless(score)
        or not spread > 0
    ):
        return math.nan, math.nan
    ratio = bias / spread
    of_spread = 0.0 if missing(score["empirical_se_mcse"]) else score["empirical_se_mcse"]
    error = math.hypot(score["bias_mcse"], ratio * of_spread) / spread
    return float(ratio), float(error)


def clearly_biased(score: Score) -> bool:
    """Say whether the bias is beyond doubt larger than half an empirical SE."""
    ratio, error = bias_in_se(score)
    return abs(ratio) - 1.96 * error > HALF_SE


def fails_often(score: Score) -> bool:
    """Say whether more than one fit in a hundred fails, beyond doubt."""
    low = score["failure_rate_low"]
    return not missing(low) and bool(low > FAILS_OFTEN)
