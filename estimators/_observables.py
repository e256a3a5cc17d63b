"""What methods of selection on observables share: assumptions, data not for them, nuisance fits.

A nuisance fit comes with its influence, one row a unit, such that estimate - limit is near the mean
of the rows: what a further step does to its standard error follows by the chain rule.
"""

import warnings
from typing import NamedTuple

import numpy as np

from cibench import Declined, Estimand, Problem
from cibench.model import Array

from ._reasons import dependent, not_finite, rows_of
from ._separation import separation

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

SEPARATED = ("decline", "drop")
"""What becomes of columns that tell for certain who is treated in some rows."""

NO_OVERLAP = "no overlap: the covariates all but determine who is treated"


class Sample(NamedTuple):
    """Hold outcome and treatment, and a constant with the covariates; names are those of x."""

    y: Array
    d: Array
    x: Array
    names: tuple[str, ...]

    def taking(self, rows: Array) -> "Sample":
        """Return some of the rows."""
        return self._replace(y=self.y[rows], d=self.d[rows], x=self.x[rows])


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
        if why := not_finite(name, problem.columns[name]):
            raise Declined(why)
    if np.ptp(d) == 0:
        raise Declined(f"the treatment never changes: it is {d[0]:g} in all rows")
    x = np.column_stack([np.ones(y.size), problem.covariates])
    if y.size < x.shape[1] + 3 and not penalised:
        raise Declined(f"{y.size} rows are too few for {x.shape[1] - 1} covariates")
    return Sample(y.astype(float), d.astype(float), x, ("", *roles.covariates))


def binary_sample(problem: Problem, *, penalised: bool = False) -> Sample:
    """Return the same; raises Declined also where the treatment is not of zeros and ones."""
    found = sample(problem, penalised=penalised)
    if (other := ~np.isin(found.d, (0, 1))).any():
        name = problem.roles.treatment
        raise Declined(
            f"takes a treatment of zeros and ones; column '{name}' has others in {rows_of(other)}"
        )
    return found


def refuse_singular(columns: Array, what: str, names: tuple[str, ...] = ()) -> None:
    """Raise Declined where some column is a combination of the others, and name it."""
    scaled = columns / np.maximum(np.linalg.norm(columns, axis=0), np.finfo(float).tiny)
    if np.linalg.matrix_rank(scaled, tol=COLLINEAR) < columns.shape[1]:
        which = dependent(columns, names) if names else ""
        raise Declined(f"the design is singular: {what}{which}")


def overlapping(s: Sample, separated: str) -> Sample:
    """Return the sample without the columns that separate the arms where `separated` is "drop".

    What is left out is told in a warning. Raises Declined where no covariate would be left.
    """
    if separated not in SEPARATED:
        raise ValueError(f"separated = '{separated}' is none of {', '.join(SEPARATED)}")
    while separated == "drop" and (found := separation(s.d, s.x, s.names)):
        kept = [k for k in range(s.x.shape[1]) if k not in found.columns]
        if found.rows.all() or len(kept) == 1:
            raise Declined(f"{NO_OVERLAP}: {found.words}")
        warnings.warn(f"left out: {found.words}", stacklevel=2)
        s = s._replace(x=s.x[:, kept], names=tuple(s.names[k] for k in kept))
    return s


def propensity(s: Sample) -> Nuisance:
    """Fit a logit of treatment by `statsmodels`; raises Declined where some rows do not overlap.

    The influence of the coefficients is (X' diag(p (1 - p)) X / n)^-1 x (d - p).
    """
    from statsmodels.discrete.discrete_model import Logit
    from statsmodels.tools.sm_exceptions import PerfectSeparationError

    d, x = s.d, s.x
    refuse_singular(x, "the covariates are collinear", s.names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit = Logit(d, x).fit(disp=0, maxiter=100)
            p = np.asarray(fit.predict())
        except (PerfectSeparationError, np.linalg.LinAlgError) as error:
            raise Declined(_no_overlap(s, None)) from error
    certain = (p < CERTAIN) | (p > 1 - CERTAIN) | ~np.isfinite(p)
    if certain.any() or not fit.mle_retvals["converged"]:
        raise Declined(_no_overlap(s, certain))
    information = (x * (p * (1 - p))[:, None]).T @ x / d.size
    return Nuisance(p, x * (d - p)[:, None] @ np.linalg.inv(information))


def _no_overlap(s: Sample, certain: Array | None) -> str:
    """Return why a logit has no answer: what separates the arms, else what the fit came to."""
    if found := separation(s.d, s.x, s.names):
        return f"{NO_OVERLAP if found.rows.all() else 'no overlap'}: {found.words}"
    if certain is not None and certain.any():
        near = f"within {CERTAIN:g} of 0 or 1 in {rows_of(certain)}"
        return f"no overlap: fitted propensities are {near}, although nothing separates the arms"
    return "the logit of treatment does not converge, although nothing separates the arms"


def regression(s: Sample, rows: Array, who: str) -> Nuisance:
    """Fit least squares to some rows and predict all; raises Declined where `who` are too few.

    The influence of the coefficients is (X'X / n)^-1 x e over the rows fitted, zero elsewhere.
    """
    y, x = s.y, s.x
    own = x[rows]
    if own.shape[0] <= own.shape[1]:
        raise Declined(f"{own.shape[0]} {who} rows are too few for {x.shape[1] - 1} covariates")
    refuse_singular(own, f"the covariates of the {who} are collinear", s.names)
    onto, triangle = np.linalg.qr(own)
    fitted = x @ np.linalg.solve(triangle, onto.T @ y[rows])
    bread = np.linalg.inv(triangle.T @ triangle / y.size)
    return Nuisance(fitted, x * (rows * (y - fitted))[:, None] @ bread)
