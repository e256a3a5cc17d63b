"""Estimators for the study of the gate's power: quick ones that carry a fault on demand."""

import os

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, estimator

ATT = (Estimand.ATT,)


@estimator("planted/twfe", targets=ATT, needs=("unit", "time", "cohort"))
def twfe(problem: Problem, rng: np.random.Generator, *, swapped: int = 0) -> Estimate:
    """Fit two-way fixed effects to a balanced panel, clustered by unit, Student's limits (CR1).

    `swapped` is the cohort whose treatment column is read the wrong way round, 0 for none.
    """
    unit, time = problem.columns["unit"], problem.columns["time"]
    shape = np.unique(unit).size, np.unique(time).size
    if unit.size != shape[0] * shape[1]:
        raise Declined("the panel is not balanced")
    y, d, cohort = (problem.columns[name].reshape(shape) for name in ("y", "d", "cohort"))
    d = np.where((cohort == swapped) & (swapped != 0), 1 - d, d)
    y, d = (x - x.mean(0) - x.mean(1, keepdims=True) + x.mean() for x in (y, d))
    weight = float((d**2).sum())
    value = float((d * y).sum()) / weight
    scores = (d * (y - value * d)).sum(1)
    units, rows = shape[0], unit.size
    corrected = units / (units - 1) * (rows - 1) / (rows - sum(shape))
    se = float(np.sqrt(corrected * (scores**2).sum())) / weight
    return Estimate.wald(value, se, problem.level, df=units - 1)


@estimator("planted/jitter", targets=ATT, needs=("covariates", "unit", "time"))
def jitter(problem: Problem, rng: np.random.Generator, *, again: int = 0) -> Estimate:
    """Adjust the change of two periods for x, cross-fitted on folds that no address decides.

    The treated are compared with what the other half's untreated line predicts for them.
    """
    shape = -1, 2
    y, x, d = (problem.columns[name].reshape(shape) for name in ("y", "x", "d"))
    change, x, treated = y[:, 1] - y[:, 0], x[:, 0], d[:, 1] == 1
    fresh = np.random.default_rng(int.from_bytes(os.urandom(16), "little"))
    fold = fresh.permutation(change.size) % 2
    left = np.empty(change.size)
    for part in (0, 1):
        others = ~treated & (fold != part)
        slope, constant = np.polyfit(x[others], change[others], 1)
        left[fold == part] = (change - constant - slope * x)[fold == part]
    one, other = left[treated], left[~treated]
    se = np.sqrt(one.var(ddof=1) / one.size + other.var(ddof=1) / other.size)
    return Estimate.wald(float(one.mean() - other.mean()), float(se), problem.level)
