"""Nearest-neighbour matching with Abadie and Imbens' standard errors.

Each unit asked about is compared with the `matches` nearest units of the other arm, with
replacement, by the Mahalanobis distance of the covariates, and with all that are as near as the
last of them: J_i units, each of weight 1/J_i. Who comes first in the file decides nothing, and
covariates of few values make cells. Matches are not exact and the bias that leaves dies more slowly
than the standard error with two covariates or more; `adjust` takes out what a regression of the
other arm's outcomes on the covariates says of it (Abadie and Imbens 2011, JBES 29).

Errors are those of Abadie and Imbens (2006), Econometrica 74, theorem 7, in the form for ties of
Abadie, Drukker, Herr and Imbens (2004), Stata Journal 4: with K_i the sum of the weights that unit
i has as a match, K'_i that of their squares and t_i the matched differences, the sums

    (t_i - t)^2 + (K_i^2 + 2 K_i - K'_i) s_i^2              over all units, for effects on all,
    D_i (t_i - t)^2 + (1 - D_i) (K_i^2 - K'_i) s_i^2        for effects on the treated,

over the squared number of units asked about. The conditional variance s_i^2 is J/(J + 1) (y_i -
mean)^2 with the mean of the J units of the same arm that are nearest. Neighbours are those of
scikit-learn; no library kept here matches units with these errors.
"""

from typing import Any, NamedTuple

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

SAME = 1e-9
"""Mahalanobis distances that differ by no more, absolutely or relatively, are ties."""


class Matched(NamedTuple):
    """Hold what matches say a unit's other outcome is; how often each was used, and squared."""

    imputed: Array
    used: Array
    squared: Array


class Places(NamedTuple):
    """Hold where units are: the distinct places, each unit's, and how many are there."""

    at: Array
    of_unit: Array
    units: Array

    def total(self, values: Array) -> Array:
        """Return sums of the units' values by place."""
        return np.bincount(self.of_unit, values, minlength=self.units.size)


def _places(points: Array) -> Places:
    at, of_unit, units = np.unique(points, axis=0, return_inverse=True, return_counts=True)
    return Places(at, of_unit.ravel(), units.astype(float))


def _near(pool: Places, points: Array, count: int) -> Any:
    """Return which places of the pool hold each point's `count` nearest units and their ties.

    A sparse matrix of ones, points by places.
    """
    from scipy.sparse import csr_array
    from sklearn.neighbors import KDTree

    tree = KDTree(pool.at)
    distances, places = tree.query(points, k=min(count, pool.units.size))
    last = (np.cumsum(pool.units[places], axis=1) >= count).argmax(axis=1)
    reach = distances[np.arange(len(points)), last]
    near = tree.query_radius(points, reach * (1 + SAME) + SAME)
    ends = np.cumsum([0, *(each.size for each in near)])
    shape = len(points), pool.units.size
    return csr_array((np.ones(ends[-1]), np.concatenate(near), ends), shape=shape)


def _sphered(s: Sample) -> Array:
    """Return covariates whose Euclidean distances are Mahalanobis distances."""
    refuse_singular(s.x, "the covariates are collinear", s.names)
    centred = s.x[:, 1:] - s.x[:, 1:].mean(axis=0)
    covariance = np.atleast_2d(np.cov(centred, rowvar=False))
    return np.asarray(np.linalg.solve(np.linalg.cholesky(covariance), centred.T).T)


def _match(s: Sample, place: Array, arm: int, matches: int, adjust: bool) -> Matched:
    """Impute the outcome in `arm` of the units of the other arm."""
    own, others = s.d == arm, s.d != arm
    who = "treated" if arm else "untreated"
    if own.sum() <= matches:
        raise Declined(f"{own.sum()} {who} rows are too few for {matches} matches")
    pool, asked = _places(place[own]), _places(place[others])
    near = _near(pool, asked.at, matches)
    size = near @ pool.units
    y = s.y
    if adjust:
        m = regression(s, own, who).fitted
        y = s.y - m
    imputed = ((near @ pool.total(y[own])) / size)[asked.of_unit]
    used, squared = np.zeros((2, s.y.size))
    used[own] = (near.T @ (asked.units / size))[pool.of_unit]
    squared[own] = (near.T @ (asked.units / size**2))[pool.of_unit]
    return Matched(imputed + m[others] if adjust else imputed, used, squared)


def _variances(s: Sample, place: Array) -> Array:
    """Return each unit's conditional variance, from the nearest units of its own arm."""
    variances = np.empty(s.y.size)
    for arm in (0, 1):
        own = s.d == arm
        pool = _places(place[own])
        near = _near(pool, pool.at, 2)  # itself and the next
        others = (near @ pool.units)[pool.of_unit] - 1
        mean = ((near @ pool.total(s.y[own]))[pool.of_unit] - s.y[own]) / others
        variances[own] = (s.y[own] - mean) ** 2 * others / (others + 1)
    return variances


@estimator(
    "matching/nearest-neighbour", targets=AVERAGES, needs=NEEDS, uses=("sklearn",),
    assumes=(*COMMON, OVERLAP, f"close matches or {OUTCOME}"),
)  # fmt: skip
def nearest_neighbour(
    problem: Problem, rng: np.random.Generator, *, matches: int = 1, adjust: bool = True
) -> Estimate:
    """Match with replacement, with all ties, and average the differences.

    `adjust` corrects the matching bias.
    """
    s = binary_sample(problem)
    place, treated = _sphered(s), s.d == 1
    effects, used, squared = np.empty(s.y.size), np.zeros(s.y.size), np.zeros(s.y.size)
    of_treated = problem.targets[0].estimand is Estimand.ATT
    for arm in (0,) if of_treated else (0, 1):
        matched = _match(s, place, arm, matches, adjust)
        others, sign = s.d != arm, 1 if arm == 0 else -1
        effects[others] = sign * (s.y[others] - matched.imputed)
        used += matched.used
        squared += matched.squared
    asked = treated if of_treated else np.ones(s.y.size, bool)
    value = effects[asked].mean()
    weight = used**2 + 2 * used - squared  # each unit also stands for itself
    if of_treated:
        weight = np.where(treated, 0.0, used**2 - squared)
    total = np.sum((effects[asked] - value) ** 2) + weight @ _variances(s, place)
    return Estimate.wald(float(value), float(np.sqrt(total) / asked.sum()), problem.level)
