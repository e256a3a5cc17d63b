"""What methods of selection on observables share: assumptions, data not for them, nuisance fits.

A nuisance fit comes with its influence, one row a unit, such that estimate - limit is near the mean
of the rows: what a further step does to its standard error follows by the chain rule.
"""

import warnings
from typing import NamedTuple

import numpy as np

from cibench import Declined, Estimand, Problem
from cibench.model import Array

EFFECTS = (Estimand.ATE, Estimand.ATT)
AVERAGES = (*EFFECTS, Estimand.MEAN)
"""A mean under missing outcomes is an ATE: where nothing is seen, y is 0, and so is its mean."""
NEEDS = ("treatment", "covariates")

COMMON = (
    "no unobserved confounding", "missing at random", "no mediator among the covariates",
    "no collider among the covariates", "no interference", "covariates seen as they act",
)  # fmt: skip
"""What every method that adjusts for covariates takes for granted."""

OVERLAP = "overlap"
OUTCOME, PROPENSITY = "outcome model correct", "propensity model correct"
EITHER = f"{OUTCOME} or {PROPENSITY}"
REACH = "nuisance functions within the learners' reach"

COLLINEAR = 1e-10
CERTAIN = 1e-8
"""How near to 0 or 1 a fitted propensity may come before it counts as a certainty."""


class Sample(NamedTuple):
    """Hold outcome and treatment, and a constant with the covariates."""

    y: Array
    d: Array
    x: Array


class Nuisance(NamedTuple):
    """Hold what a model predicts for each row and its coefficients' influence, rows by columns."""

    fitted: Array
    influence: Array


def sample(problem: Problem, *, penalised: bool = False) -> Sample:
    """Return the columns of a regression on covariates; raises Declined where there is none.

    A `penalised` one may have more covariates than rows.
    """
    roles, y, d = problem.roles, problem.outcome, problem.treatment
    if roles.time:
        raise Declined("the rows are a panel's or of several periods, no cross-section")
    for name in (roles.outcome, roles.treatment, *roles.covariates):
        if not np.isfinite(problem.columns[name]).all():
            raise Declined(f"column '{name}' has missing or infinite values")
    if np.ptp(d) == 0:
        raise Declined(f"the treatment never changes: it is {d[0]:g} in all rows")
    x = np.column_stack([np.ones(y.size), problem.covariates])
    if y.size < x.shape[1] + 3 and not penalised:
        raise Declined(f"{y.size} rows are too few for {x.shape[1] - 1} covariates")
    return Sample(y.astype(float), d.astype(float), x)


def binary_sample(problem: Problem, *, penalised: bool = False) -> Sample:
    """Return the same; raises Declined also where the treatment is not of zeros and ones."""
    found = sample(problem, penalised=penalised)
    if not np.isin(found.d, (0, 1)).all():
        raise Declined("takes a treatment of zeros and ones")
    return found


def refuse_singular(columns: Array, what: str) -> None:
    """Raise Declined where some column is a combination of the others."""
    scaled = columns / np.maximum(np.linalg.norm(columns, axis=0), np.finfo(float).tiny)
    if np.linalg.matrix_rank(scaled, tol=COLLINEAR) < columns.shape[1]:
        raise Declined(f"the design is singular: {what}")


def propensity(d: Array, x: Array) -> Nuisance:
    """Fit a logit of treatment by `statsmodels`; raises Declined where there is no overlap at all.

    The influence of the coefficients is (X' diag(p (1 - p)) X / n)^-1 x (d - p).
    """
    from statsmodels.discrete.discrete_model import Logit
    from statsmodels.tools.sm_exceptions import PerfectSeparationError

    refuse_singular(x, "the covariates are collinear")
    why = "no overlap: the covariates all but determine who is treated"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit = Logit(d, x).fit(disp=0, maxiter=100)
            p = np.asarray(fit.predict())
        except (PerfectSeparationError, np.linalg.LinAlgError) as error:
            raise Declined(why) from error
    sure = not fit.mle_retvals["converged"] or min(p.min(), 1 - p.max()) < CERTAIN
    if sure or not np.isfinite(p).all():
        raise Declined(why)
    information = (x * (p * (1 - p))[:, None]).T @ x / d.size
    return Nuisance(p, x * (d - p)[:, None] @ np.linalg.inv(information))


def regression(y: Array, x: Array, rows: Array, who: str) -> Nuisance:
    """Fit least squares to some rows and predict all; raises Declined where `who` are too few.

    The influence of the coefficients is (X'X / n)^-1 x e over the rows fitted, zero elsewhere.
    """
    own = x[rows]
    if own.shape[0] <= own.shape[1]:
        raise Declined(f"{own.shape[0]} {who} rows are too few for {x.shape[1] - 1} covariates")
    refuse_singular(own, f"the covariates of the {who} are collinear")
    onto, triangle = np.linalg.qr(own)
    fitted = x @ np.linalg.solve(triangle, onto.T @ y[rows])
    bread = np.linalg.inv(triangle.T @ triangle / y.size)
    return Nuisance(fitted, x * (rows * (y - fitted))[:, None] @ bread)
