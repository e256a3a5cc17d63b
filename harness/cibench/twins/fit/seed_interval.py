"""The interval that the seed itself supports, by a method whose coverage is shown by simulation.

At a cutoff: bias-corrected local lines with a bandwidth for coverage, robust standard errors of
leave-one-out residuals (Calonico, Cattaneo and Titiunik 2014; Calonico, Cattaneo and Farrell 2020).
With treatment by observables: augmented inverse probability weighting, cross-fitted, with the error
of its influence function (Robins, Rotnitzky and Zhao 1994), for the ATE. Panels and instruments
have the interval of the fit. `tests/twins/test_seed_interval.py` holds the coverage.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from cibench.model.types import Array
from cibench.twins.columns import Columns
from cibench.twins.design import Design
from cibench.twins.fit.assignment import logistic
from cibench.twins.fit.features import features_of
from cibench.twins.fit.seed_data import Seed
from cibench.twins.fit.structure import least_squares

Z = 1.959964
FOLDS = 5
RARE = 0.01
"""A probability of treatment beyond this has no counterpart in the other group."""

MOST_RARE = 0.02
LEAST_ARM = 50
ROWS_PER_REGRESSOR = 10


class SeedInterval(NamedTuple):
    """Hold a 95 % interval and the method that it comes from."""

    low: float
    high: float
    method: str

    def state(self) -> dict[str, Any]:
        """Return what a file keeps."""
        return {"low": self.low, "high": self.high, "method": self.method}


def seed_interval(seed: Seed, design: Design, rng: np.random.Generator) -> SeedInterval | None:
    """Return the 95 % interval of the effect in the seed's population; None where none is known.

    `design` is the twin's, which says whether a cutoff is fuzzy.
    """
    if design.kind == "rd":
        return at_cutoff(seed, design)
    if design.kind == "observables":
        y, d = seed.columns[design.outcome], seed.columns[design.treatment]
        names = design.covariates or ()
        columns = {n: seed.columns[n] for n in names if n in seed.columns}
        levels = {c.name: len(c.levels) for c in seed.known if c.kind == "category"}
        return by_observables(y, d, columns, levels, rng)
    return None


def at_cutoff(seed: Seed, design: Design) -> SeedInterval | None:
    """Return the robust bias-corrected interval; None where the rows near the cutoff have none."""
    from rdrobust import rdrobust

    y, x = seed.columns[design.outcome], seed.columns[design.running]
    take_up = seed.columns[design.treatment] if design.fuzzy else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of repeated values of the running variable
        try:
            fit = rdrobust(y, x, c=design.cutoff, fuzzy=take_up, vce="hc3", bwselect="cerrd")
        except Exception:  # whatever a library makes of too few rows: there is no interval
            return None
    low, high = (float(v) for v in fit.ci.loc["Robust"])
    if design.side == "below" and not design.fuzzy:
        low, high = -high, -low
    if not np.isfinite([low, high]).all() or low >= high:
        return None
    return SeedInterval(low, high, "robust bias-corrected local lines at the cutoff")


def by_observables(
    y: Array, d: Array, columns: Columns, levels: dict[str, int], rng: np.random.Generator
) -> SeedInterval | None:
    """Return the interval of the ATE; None where groups are small or hardly overlap."""
    x = features_of(columns, levels, "linear").matrix(columns, len(y))
    least = min(np.sum(d == 1), np.sum(d == 0)) * (1 - 1 / FOLDS)
    if least < max(LEAST_ARM * (1 - 1 / FOLDS), ROWS_PER_REGRESSOR * x.shape[1]):
        return None
    fold = np.empty(len(y), dtype=int)
    for arm in (0, 1):
        fold[d == arm] = rng.permutation(int(np.sum(d == arm))) % FOLDS
    p, mean = np.empty(len(y)), np.empty((2, len(y)))
    for k in range(FOLDS):
        inside, outside = fold != k, fold == k
        odds = x[outside] @ logistic(x[inside], d[inside])[0]
        p[outside] = 1 / (1 + np.exp(-odds))
        for arm in (0, 1):
            of = inside & (d == arm)
            mean[arm, outside] = x[outside] @ least_squares(x[of], y[of])
    if np.mean((p < RARE) | (p > 1 - RARE)) > MOST_RARE:
        return None
    p = np.clip(p, RARE, 1 - RARE)
    score = mean[1] - mean[0] + d * (y - mean[1]) / p - (1 - d) * (y - mean[0]) / (1 - p)
    value, se = float(score.mean()), float(score.std(ddof=1) / np.sqrt(len(score)))
    return SeedInterval(
        value - Z * se, value + Z * se, "cross-fitted augmented inverse probability weighting"
    )
