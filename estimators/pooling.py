"""The effect in one unit of interest with more or less help from related units.

The unit is marked by the first covariate, 1 in its rows and 0 elsewhere. Within units treatment is
taken for random. Related units enter with the slopes that least squares finds in each of them;
what separates them beyond their errors is estimated by `statsmodels` (DerSimonian and Laird 1986,
or Paule and Mandel 1982).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cibench import Declined, Diagnosis, Estimand, Estimate, Problem, diagnostic, estimator
from cibench.model import Array

TARGETS = Estimand.SATE, Estimand.ATE
NEEDS = ("unit", "treatment", "covariates")
WITHIN = "treatment is random within units"
ALIKE, LIKE = "the same effect in every unit", "exchangeable units"
USES = ("statsmodels",)


@dataclass(frozen=True, eq=False)
class Slopes:
    """Hold the effect found in each unit with variation, its variance and the unit of interest."""

    effect: Array
    variance: Array
    own: int


def _marked(problem: Problem) -> Array:
    """Return which rows are the unit of interest's; raises Declined where none or several are."""
    mark = problem.columns[problem.roles.covariates[0]]
    unit = problem.columns[problem.roles.unit]
    if not np.isin(mark, (0, 1)).all() or np.unique(unit[mark == 1]).size != 1:
        raise Declined("no single unit is marked as the one of interest by a 0/1 covariate")
    return np.asarray(mark, dtype=bool)


def slopes(problem: Problem) -> Slopes:
    """Return every unit's difference in means, with one error variance for all units.

    Raises Declined where the unit of interest or all others have treated or untreated rows only.
    """
    own = _marked(problem)
    names, unit = np.unique(problem.columns[problem.roles.unit], return_inverse=True)
    treated, y = np.asarray(problem.treatment == 1), problem.outcome
    count = np.array([np.bincount(unit[arm], minlength=names.size) for arm in (~treated, treated)])
    total = [np.bincount(unit[arm], y[arm], names.size) for arm in (~treated, treated)]
    average = np.array(total) / np.maximum(count, 1)
    rest = y - average[treated.astype(int), unit]
    error = float(rest @ rest / (y.size - (count > 0).sum()))
    known = np.asarray((count > 0).all(axis=0))
    interest = int(unit[own][0])
    if not known[interest]:
        raise Declined("the unit of interest has treated rows only, or untreated rows only")
    effect, variance = average[1] - average[0], error * (1 / np.maximum(count, 1)).sum(axis=0)
    where = int(np.flatnonzero(known).searchsorted(interest))
    return Slopes(effect[known], variance[known], where)


@estimator("pooling/none", targets=TARGETS, needs=NEEDS, assumes=(WITHIN,), uses=USES)
def none(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Compare treated and untreated rows of the unit of interest alone, with HC2 errors."""
    from statsmodels.regression.linear_model import OLS

    own = _marked(problem)
    y, d = problem.outcome[own], problem.treatment[own]
    if min(np.sum(d == 0), np.sum(d == 1)) < 2:
        raise Declined("the unit of interest has fewer than two treated or two untreated rows")
    fit = OLS(y, np.column_stack([d, np.ones(d.size)])).fit(cov_type="HC2", use_t=True)
    return Estimate.wald(fit.params[0], fit.bse[0], problem.level, df=fit.df_resid)


@estimator("pooling/complete", targets=TARGETS, needs=NEEDS, assumes=(WITHIN, ALIKE, LIKE))
def complete(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Average the effects of all units, weighted by their precision: one effect for all."""
    found = slopes(problem)
    weight = 1 / found.variance
    value = float(weight @ found.effect / weight.sum())
    return Estimate.wald(value, float(weight.sum() ** -0.5), problem.level)


def _related(found: Slopes, method: str) -> tuple[float, float, Any]:
    """Return mean and variance of what the related units say of a new one, and the whole fit."""
    from statsmodels.stats.meta_analysis import combine_effects

    others = np.arange(found.effect.size) != found.own
    if others.sum() < 3:
        raise Declined(f"{others.sum()} related units to learn from; three are the least")
    fit = combine_effects(found.effect[others], found.variance[others], method_re=method)
    spread = max(float(fit.tau2), 0.0)
    weight = 1 / (found.variance[others] + spread)
    mean = float(weight @ found.effect[others] / weight.sum())
    return mean, spread + 1 / float(weight.sum()), fit


@estimator("pooling/partial", targets=TARGETS, needs=NEEDS, assumes=(WITHIN, LIKE), uses=USES)
def partial(problem: Problem, rng: np.random.Generator, *, method: str = "iterated") -> Estimate:
    """Shrink the unit's own effect towards the related units', by empirical Bayes.

    The prior's mean and spread come from the related units alone: "iterated" for Paule and Mandel,
    "chi2" for DerSimonian and Laird. Limits are the posterior's.
    """
    found = slopes(problem)
    mean, variance, _ = _related(found, method)
    own = found.variance[found.own]
    weight = variance / (variance + own)
    value = weight * found.effect[found.own] + (1 - weight) * mean
    return Estimate.wald(float(value), float(np.sqrt(weight * own)), problem.level)


@diagnostic("pooling/heterogeneity", tests=(ALIKE,), needs=NEEDS, uses=USES)
def heterogeneity(problem: Problem, rng: np.random.Generator, *, size: float = 0.05) -> Diagnosis:
    """Test that the related units' effects are one (Cochran's Q)."""
    from scipy.stats import chi2

    found = slopes(problem)
    fit = _related(found, "chi2")[2]
    p_value = float(chi2.sf(fit.q, found.effect.size - 2))
    return Diagnosis(p_value >= size, p_value, float(fit.q))


@diagnostic("pooling/conflict", tests=(LIKE,), needs=NEEDS, uses=USES)
def conflict(problem: Problem, rng: np.random.Generator, *, size: float = 0.05) -> Diagnosis:
    """Test that the unit of interest could be one of the related units: prior against data."""
    from scipy.stats import norm

    found = slopes(problem)
    mean, variance, _ = _related(found, "iterated")
    away = (found.effect[found.own] - mean) / np.sqrt(variance + found.variance[found.own])
    p_value = float(2 * norm.sf(abs(away)))
    return Diagnosis(p_value >= size, p_value, float(away))
