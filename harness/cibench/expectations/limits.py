"""Exact limits of a coverage, and how many replicates would take it off its floor."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from cibench.model import Array

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
