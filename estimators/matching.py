"""Nearest-neighbour matching with Abadie and Imbens' standard errors.

Each unit asked about is compared with the `matches` nearest units of the other arm, with
replacement, by the Mahalanobis distance of the covariates. Matches are not exact and the bias that
leaves dies more slowly than the standard error with two covariates or more; `adjust` takes out what
a regression of the other arm's outcomes on the covariates says of it (Abadie and Imbens 2011, JBES
29). Errors are those of Abadie and Imbens (2006), Econometrica 74, theorem 7, with conditional
variances from the nearest unit of the same arm. Neighbours are scikit-learn's; no library kept here
matches units with these errors.
"""

from typing import NamedTuple

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, estimator
from cibench.model import Array

from ._observables import (
    AVERAGES,
    COMMON,
    NEEDS,
    OUTCOME,
    OVERLAP,
    Sample,
    binary_sample,
    refuse_singular,
    regression,
)


class Matched(NamedTuple):
    """Hold what matches say a unit's other outcome is, and how often each unit was used."""

    imputed: Array
    used: Array


def _nearest(pool: Array, points: Array, count: int) -> Array:
    """Return the rows of `pool` nearest to each point, points by count."""
    from sklearn.neighbors import NearestNeighbors

    return np.asarray(NearestNeighbors(n_neighbors=count).fit(pool).kneighbors(points)[1])


def _sphered(x: Array) -> Array:
    """Return covariates whose Euclidean distances are Mahalanobis distances."""
    refuse_singular(x, "the covariates are collinear")
    covariance = np.atleast_2d(np.cov(x[:, 1:], rowvar=False))
    return np.asarray(np.linalg.solve(np.linalg.cholesky(covariance), x[:, 1:].T).T)


def _match(s: Sample, place: Array, arm: int, matches: int, adjust: bool) -> Matched:
    """Impute the outcome in `arm` of the units of the other arm."""
    own, others = (np.flatnonzero(s.d == value) for value in (arm, 1 - arm))
    who = "treated" if arm else "untreated"
    if own.size <= matches:
        raise Declined(f"{own.size} {who} rows are too few for {matches} matches")
    found = own[_nearest(place[own], place[others], matches)]
    imputed = s.y[found].mean(axis=1)
    if adjust:
        m = regression(s.y, s.x, s.d == arm, who).fitted
        imputed = imputed + m[others] - m[found].mean(axis=1)
    return Matched(imputed, np.bincount(found.ravel(), minlength=s.y.size))


def _variances(s: Sample, place: Array) -> Array:
    """Return each unit's conditional variance, from the nearest unit of its own arm."""
    variances = np.empty(s.y.size)
    for arm in (0, 1):
        own = np.flatnonzero(s.d == arm)
        near = _nearest(place[own], place[own], 2)
        other = own[np.where(near[:, 0] == np.arange(own.size), near[:, 1], near[:, 0])]
        variances[own] = (s.y[own] - s.y[other]) ** 2 / 2
    return variances


@estimator(
    "matching/nearest-neighbour", targets=AVERAGES, needs=NEEDS, uses=("sklearn",),
    assumes=(*COMMON, OVERLAP, f"close matches or {OUTCOME}"),
)  # fmt: skip
def nearest_neighbour(
    problem: Problem, rng: np.random.Generator, *, matches: int = 1, adjust: bool = True
) -> Estimate:
    """Match with replacement and average the differences; `adjust` corrects the matching bias."""
    s = binary_sample(problem)
    place, treated = _sphered(s.x), s.d == 1
    effects, used = np.empty(s.y.size), np.zeros(s.y.size)
    of_treated = problem.targets[0].estimand is Estimand.ATT
    for arm in (0,) if of_treated else (0, 1):
        matched = _match(s, place, arm, matches, adjust)
        others, sign = s.d != arm, 1 if arm == 0 else -1
        effects[others] = sign * (s.y[others] - matched.imputed)
        used += matched.used
    asked = treated if of_treated else np.ones(s.y.size, bool)
    value = effects[asked].mean()
    times = used / matches
    twice = times**2 + (2 * matches - 1) / matches * times  # each unit also stands for itself
    if of_treated:
        twice = np.where(treated, 0.0, times * (used - 1) / matches)
    total = np.sum((effects[asked] - value) ** 2) + twice @ _variances(s, place)
    return Estimate.wald(float(value), float(np.sqrt(total) / asked.sum()), problem.level)
