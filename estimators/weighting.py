"""Inverse-propensity weighting and AIPW with a logit and least squares, linear in the covariates.

Standard errors take into account that the nuisance models are fitted. Weights are unbounded:
Horvitz and Thompson's and the augmented ones then have no moments to rely on. Normalised weights
(Hajek's) average outcomes and stay within their range. `separated = "drop"` leaves out covariates
that tell for certain who is treated in some rows, such as a category of which nobody is, with a
warning; without it such data are declined, and the reason names column and rows. What is left out
is no longer adjusted for: the rows that it told apart count as like the others.
"""

import numpy as np

from cibench import Declined, Estimate, Problem, estimator

from ._observables import (
    AVERAGES,
    COMMON,
    EFFECTS,
    EITHER,
    NEEDS,
    OVERLAP,
    PROPENSITY,
    binary_sample,
    overlapping,
    propensity,
)
from ._weights import effect

USES = ("statsmodels",)
WEIGHTED = (*COMMON, OVERLAP, PROPENSITY)


@estimator(
    "ipw/horvitz-thompson", targets=AVERAGES, needs=NEEDS, assumes=WEIGHTED, uses=USES,
    moments=False,
)  # fmt: skip
def horvitz_thompson(
    problem: Problem, rng: np.random.Generator, *, separated: str = "decline"
) -> Estimate:
    """Weight by inverse propensities, divided by the number of units."""
    s = overlapping(binary_sample(problem), separated)
    return effect(s, problem, augmented=False, normalised=False)


@estimator("ipw/normalised", targets=AVERAGES, needs=NEEDS, assumes=WEIGHTED, uses=USES)
def normalised(
    problem: Problem, rng: np.random.Generator, *, separated: str = "decline"
) -> Estimate:
    """Weight by inverse propensities that sum to one in each arm."""
    s = overlapping(binary_sample(problem), separated)
    return effect(s, problem, augmented=False, normalised=True)


@estimator(
    "ipw/trimmed", targets=EFFECTS, needs=NEEDS, uses=USES,
    assumes=(*COMMON, "constant effects", PROPENSITY),
)  # fmt: skip
def trimmed(
    problem: Problem, rng: np.random.Generator, *,
    threshold: float = 0.1, separated: str = "decline",
) -> Estimate:  # fmt: skip
    """Drop units whose propensity is within `threshold` of 0 or 1, then weight, normalised.

    The propensity is fitted again to those who are left (Crump and others 2009, Biometrika 96).
    Where effects differ the estimate is the effect on those who are left.
    """
    if not 0 <= threshold < 0.5:
        raise ValueError(f"threshold = {threshold:g} is not between 0 and 0.5")
    s = overlapping(binary_sample(problem), separated)
    p = propensity(s).fitted
    kept = (p >= threshold) & (p <= 1 - threshold)
    if min(np.sum(kept & (s.d == arm)) for arm in (0, 1)) <= s.x.shape[1]:
        raise Declined(f"no overlap: too few units have propensities {threshold:g} inside 0 and 1")
    return effect(s.taking(kept), problem, augmented=False, normalised=True)


@estimator(
    "aipw/linear", targets=AVERAGES, needs=NEEDS, assumes=(*COMMON, OVERLAP, EITHER), uses=USES,
    moments=False,
)  # fmt: skip
def augmented(
    problem: Problem, rng: np.random.Generator, *, separated: str = "decline"
) -> Estimate:
    """Add to regression predictions their weighted residuals, so that either model may be wrong."""
    s = overlapping(binary_sample(problem), separated)
    return effect(s, problem, augmented=True, normalised=False)
