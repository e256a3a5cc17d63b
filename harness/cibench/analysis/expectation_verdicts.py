"""What is found of an expectation, in a closed vocabulary, by exact limits of the coverage.

Say m rows of a run carry an expectation, that the method is valid or that it fails. Each gets
Clopper and Pearson's limits at the level 1 - ALPHA / m, so that each holds the true coverage but
for a chance of ALPHA / m at most, and by Bonferroni's inequality all m of them hold theirs at once
in 95 of 100 runs, however the rows depend on each other (they share their data). Every verdict is
a statement about the true coverage that is true wherever the limits hold it: that it lies above
the floor, below it, or above what a nominal level can explain. Hence a run holds a false verdict
of any kind, surprise or confirmation, with probability ALPHA at most. A surprise can be false in
one way only, the upper limit of a valid method too low or the lower one of a broken one too high:
false surprises turn up in ALPHA / 2 of the runs at most, and in far fewer where coverages do not
sit on their floors.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache

import numpy as np

from cibench.model.types import Array
from cibench.suite.expectations import Expected

POWER = 0.9
"""The chance of a verdict at the number of replicates that is said to decide."""

MOST = 10_000_000
"""Beyond that many replicates nothing is going to decide."""

_GROWTH = 1.01
_SIZES = np.array_split(
    np.unique(np.ceil(_GROWTH ** np.arange(np.log(MOST) / np.log(_GROWTH)))), 16
)


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

    The coverage p is taken to be (covered + 1/2) / (tries + 1), the mean under Jeffreys' prior,
    which is never 0 or 1. With R replicates of which K cover, the lower limit is above the floor
    if and only if K >= c, the least c with P(Bin(R, floor) >= c) < alpha / 2; the answer is the
    least R with P(Bin(R, p) >= c) >= 0.9, and likewise below the floor. R goes up by 1 % a step,
    because that probability moves in teeth and the last digits of R mean nothing. Infinity where
    p is so near the floor that 10^7 do not decide.
    """
    return sizes_for((covered + 0.5) / (tries + 1), floor, alpha, POWER)


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


ALPHA = 0.05
"""The chance that a run holds a false verdict at all."""


class ExpectationVerdict(StrEnum):
    """Say what the rows show of an expectation; the empty one: there is none to judge."""

    VALID = "valid as declared"
    FAILS = "fails as declared"
    FAILS_UNEXPECTEDLY = "fails unexpectedly"
    SURVIVES = "survives unexpectedly"
    CONSERVATIVE = "conservative"
    INCONCLUSIVE = "inconclusive"
    OTHER_QUESTION = "different question"
    NONE = ""


SURPRISES = (ExpectationVerdict.FAILS_UNEXPECTEDLY, ExpectationVerdict.SURVIVES)

MEANING = {
    ExpectationVerdict.VALID: "nothing that it assumes is broken, and coverage is above the floor",
    ExpectationVerdict.FAILS: "what it assumes is broken far enough, and coverage is below the "
    "floor",
    ExpectationVerdict.FAILS_UNEXPECTEDLY: "nothing that it assumes is broken, yet coverage is "
    "below the floor",
    ExpectationVerdict.SURVIVES: "what it assumes is broken far enough, yet coverage is above the "
    "floor",
    ExpectationVerdict.CONSERVATIVE: "valid, with intervals that miss less than half as often as "
    "they may",
    ExpectationVerdict.INCONCLUSIVE: "too few replicates to tell on which side of the floor "
    "coverage lies",
    ExpectationVerdict.OTHER_QUESTION: "the method does not answer what it was scored on",
}


def judge(
    expected: Expected, low: float, high: float, floor: float, level: float
) -> ExpectationVerdict:
    """Judge a coverage by its limits.

    Conservative is whose lower limit exceeds (1 + level) / 2: at a nominal 95 %, 97.5.
    """
    if expected is Expected.FAILS:
        if high < floor:
            return ExpectationVerdict.FAILS
        return ExpectationVerdict.SURVIVES if low > floor else ExpectationVerdict.INCONCLUSIVE
    if low > (1 + level) / 2:
        return ExpectationVerdict.CONSERVATIVE
    if low > floor:
        return ExpectationVerdict.VALID
    return (
        ExpectationVerdict.FAILS_UNEXPECTEDLY if high < floor else ExpectationVerdict.INCONCLUSIVE
    )
