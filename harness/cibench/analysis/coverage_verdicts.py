"""The verdict on a coverage: by exact limits, whose level all that a run judges has in common.

Each coverage gets Clopper and Pearson's limits at the level 1 - ALPHA / m, where m numbers of the
run are judged (`cibench.analysis.judged_scores`), so that each holds the true coverage but for a
chance of ALPHA / m at most. Every verdict is a statement about the true coverage that is true
wherever the limits hold it: that it lies below the floor, above it, below nominal, or above what a
nominal level can explain. The verdict on an expectation, the marks of tables and heat maps, and the
findings that open a report are all read off these limits.

A coverage is a share of tries: a failure is a try that missed, who declines has not tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from math import inf, nan, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np

from cibench.metrics.moments import noiseless, on_target
from cibench.model.types import Array
from cibench.utils.missing import missing

ALPHA = 0.05
"""The chance that a run holds a false verdict at all."""

POWER = 0.9
"""The chance of a verdict at the number of replicates that is said to decide."""

MOST = 10_000_000
"""Beyond that many replicates nothing is going to decide."""

MOST_LEFT_OUT = 0.05
"""Who declines a larger share of data sets, or answers it without bounds, is told apart: nobody
knows whether these were the hard ones, so a rank there is none, and a verdict says so."""

_GROWTH = 1.01
_SIZES = np.array_split(
    np.unique(np.ceil(_GROWTH ** np.arange(np.log(MOST) / np.log(_GROWTH)))), 16
)
_ROUNDING = 1e-9


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
    NO_LEVEL = "no level"
    NOISELESS = "no noise"
    DIAGNOSTIC = "diagnostic"


MEANING = {
    CoverageVerdict.BROKEN: "coverage is below the floor, beyond Monte Carlo doubt",
    CoverageVerdict.LOW: "coverage is below nominal, but not clearly below the floor",
    CoverageVerdict.SOUND: "coverage is above the floor, beyond Monte Carlo doubt",
    CoverageVerdict.CONSERVATIVE: "intervals miss less than half as often as they may",
    CoverageVerdict.UNCLEAR: "too few replicates to tell on which side of the floor coverage lies",
    CoverageVerdict.SILENT: "every fit failed",
    CoverageVerdict.DECLINED: "the method declined every data set",
    CoverageVerdict.NO_LIMITS: "the method gives no limits, so coverage is undefined",
    CoverageVerdict.NO_LEVEL: "there is no level between 0 and 1",
    CoverageVerdict.NOISELESS: "the estimates do not vary, so that being covered says nothing",
    CoverageVerdict.DIAGNOSTIC: "a diagnostic has no coverage",
}

UNJUDGED = (
    CoverageVerdict.DECLINED, CoverageVerdict.NO_LIMITS, CoverageVerdict.NO_LEVEL,
    CoverageVerdict.NOISELESS, CoverageVerdict.DIAGNOSTIC,
)  # fmt: skip
"""The verdicts of rows whose coverage is not judged."""


@dataclass(frozen=True)
class Coverage:
    """Hold one coverage with its limits, the floor that it is held to and the nominal level.

    `covered` of `tries` sets held the truth; `low` and `high` hold the true coverage together with
    those of all other rows of the run. `truth_error` is what an error in the truth adds to the
    coverage's. `unjudged` is the reason why there is none to judge.
    """

    covered: int
    tries: int
    floor: float
    level: float
    low: float = nan
    high: float = nan
    alpha: float = nan
    truth_error: float = 0.0
    unjudged: CoverageVerdict | None = None
    answered: bool = True

    @property
    def share(self) -> float:
        """Return the share of tries that covered, NaN where nobody tried."""
        return self.covered / self.tries if self.tries else nan

    def with_limits(self, alpha: float) -> Coverage:
        """Return it with its limits at a level of 1 - alpha; as it is where it is not judged.

        An error in the truth widens them by as many of its standard errors as their level has.
        """
        if self.unjudged is not None:
            return self
        low, high = exact(self.covered, self.tries, alpha)
        slack = 0.0
        if self.truth_error > _ROUNDING:
            slack = NormalDist().inv_cdf(1 - alpha / 2) * self.truth_error
        return replace(self, low=max(0.0, low - slack), high=min(1.0, high + slack), alpha=alpha)

    @property
    def below(self) -> bool:
        """Say whether the true coverage is below the floor, beyond doubt."""
        return self.high < self.floor

    @property
    def above(self) -> bool:
        """Say whether the true coverage is above the floor, beyond doubt."""
        return self.low > self.floor

    @property
    def conservative(self) -> bool:
        """Say whether intervals miss less than half as often as they may: at 95 %, above 97.5."""
        return self.low > (1 + self.level) / 2

    @property
    def verdict(self) -> CoverageVerdict:
        """Return the verdict."""
        if self.unjudged is not None:
            return self.unjudged
        if not self.answered:
            return CoverageVerdict.SILENT
        if self.below:
            return CoverageVerdict.BROKEN
        if self.conservative:
            return CoverageVerdict.CONSERVATIVE
        if self.above:
            return CoverageVerdict.SOUND
        return CoverageVerdict.LOW if self.high < self.level else CoverageVerdict.UNCLEAR

    @property
    def needed(self) -> float:
        """Return how many replicates would take the limits off the floor nine times in ten.

        None would where the truth's own error, which they do not make smaller, reaches it.
        """
        apart = abs(self.covered / self.tries - self.floor) if self.tries else inf
        slack = NormalDist().inv_cdf(1 - self.alpha / 2) * self.truth_error
        if self.truth_error > _ROUNDING and slack >= apart:
            return inf
        count = replicates_needed(self.covered, self.tries, self.floor, self.alpha)
        return max(count, self.tries + 1.0)


def tally(score: Mapping[str, Any], floor: float) -> Coverage:
    """Count the tries of a row of a score table and those that covered; limits come later."""
    level, unjudged = float(score["level"]), _unjudged(score, floor)
    if unjudged is not None:
        return Coverage(0, 0, floor, level, unjudged=unjudged)
    return _counted(score, "coverage_with_failures", floor)


def tally_bands(score: Mapping[str, Any], floor: float) -> Coverage | None:
    """Count the tries whose simultaneous bands held the truths of all horizons; None: no level."""
    if not 0 < float(score["level"]) < 1:
        return None
    return _counted(score, "simultaneous_coverage_with_failures", floor)


def _counted(score: Mapping[str, Any], name: str, floor: float) -> Coverage:
    tries = int(score["replicates"]) - int(score["declined"])
    share, error = float(score[name]), float(score[f"{name}_mcse"])
    of_chance = share * (1 - share) / tries
    return Coverage(
        round(share * tries), tries, floor, float(score["level"]), answered=bool(score["answered"]),
        truth_error=sqrt(max(0.0, error**2 - of_chance)),
    )  # fmt: skip


def _unjudged(score: Mapping[str, Any], floor: float) -> CoverageVerdict | None:
    """Return why a coverage cannot be judged, None where it can.

    That estimates which do not vary are covered says nothing; that they are not says as much as
    ever, unless what they are off by is rounding.
    """
    if score["kind"] == "diagnostic":
        return CoverageVerdict.DIAGNOSTIC
    if score["declined"] == score["replicates"]:
        return CoverageVerdict.DECLINED
    if not 0 < float(score["level"]) < 1:
        return CoverageVerdict.NO_LEVEL
    share = float(score["coverage_with_failures"])
    if noiseless(score) and (on_target(score) or share >= floor):
        return CoverageVerdict.NOISELESS
    return CoverageVerdict.NO_LIMITS if missing(share) else None


def exact(covered: int, tries: int, alpha: float) -> tuple[float, float]:
    """Return Clopper and Pearson's limits, each of which errs with probability alpha / 2 at most.

    Source: Clopper and Pearson (1934), Biometrika 26.
    """
    from scipy.special import betaincinv

    low = betaincinv(covered, tries - covered + 1, alpha / 2) if covered else 0.0
    high = betaincinv(covered + 1, tries - covered, 1 - alpha / 2) if covered < tries else 1.0
    return float(low), float(high)


@lru_cache(maxsize=4096)
def replicates_needed(covered: int, tries: int, floor: float, alpha: float) -> float:
    """Return how many replicates would take the limits off the floor nine times in ten.

    The coverage p is taken to be as measured; where that is 0, 1 or the floor itself, it is
    (covered + 1/2) / (tries + 1), the mean under Jeffreys' prior. With R replicates of which K
    cover, the lower limit is above the floor if and only if K >= c, the least c with
    P(Bin(R, floor) >= c) < alpha / 2; the answer is the least R with P(Bin(R, p) >= c) >= 0.9, and
    likewise below the floor. R goes up by 1 % a step, because that probability moves in teeth and
    the last digits of R mean nothing. Infinity where p is so near the floor that 10^7 do not
    decide.
    """
    p = covered / max(tries, 1)
    if covered in (0, tries) or abs(p - floor) <= _ROUNDING:
        p = (covered + 0.5) / (tries + 1)
    return sizes_for(p, floor, alpha, POWER)


def sizes_for(p: float, floor: float, alpha: float, power: float) -> float:
    """Return how many replicates show with that power on which side of the floor coverage p is."""
    if p < floor:
        p, floor = 1 - p, 1 - floor
    for sizes in _SIZES:
        enough = np.flatnonzero(_power(sizes, p, floor, alpha) >= power)
        if enough.size:
            return float(sizes[enough[0]])
    return np.inf


def _power(size: Array, p: float, floor: float, alpha: float) -> Array:
    """Return the probability that the lower limit of so many replicates is above the floor."""
    from scipy.stats import binom

    most = binom.isf(alpha / 2, size, floor)  # P(Bin(size, floor) > most) <= alpha / 2
    return np.asarray(binom.sf(most, size, p))
