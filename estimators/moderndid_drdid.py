"""Two-period difference in differences given covariates, by `moderndid` (Sant'Anna and Zhao 2020).

Each function of the library takes the outcomes before and after, the treated group and the
covariates with a constant; standard errors come from its influence functions. Controls whose
propensity reaches `trim_level` are dropped, as the library does by default.
"""

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, estimator
from cibench.model import Array

from ._did import CONDITIONAL
from ._reasons import dependent, uneven

NEEDS = ("unit", "time", "covariates")
OUTCOME, PROPENSITY = "outcome model correct", "propensity model correct"
EITHER = f"{OUTCOME} or {PROPENSITY}"


def _wide(problem: Problem) -> tuple[Array, Array, Array, Array]:
    """Return outcomes after and before, the treated group and covariates of the first period."""
    roles = problem.roles
    unit, time = problem.columns[roles.unit], problem.columns[roles.time]
    periods, units = np.unique(time), np.unique(unit)
    order = np.lexsort((time, unit))
    full = unit.size == 2 * units.size and np.array_equal(time[order], np.tile(periods, units.size))
    if periods.size != 2 or not full:
        here = f"here are {periods.size}" if periods.size != 2 else uneven(unit, time)
        raise Declined(f"takes units seen once in each of two periods; {here}")
    y, d = (column[order].reshape(-1, 2) for column in (problem.outcome, problem.treatment))
    if d[:, 0].any() or np.unique(d[:, 1]).size < 2:
        raise Declined("needs nobody treated before, and treated and untreated units after")
    x = np.column_stack([np.ones(units.size), problem.covariates[order][::2]])
    controls, names = x[d[:, 1] == 0], ("", *roles.covariates)
    if len(controls) < x.shape[1]:
        raise Declined(f"there are fewer controls than covariates: {len(controls)}")
    for rows, whose in ((x, ""), (controls, " of the controls")):
        if np.linalg.matrix_rank(rows) < x.shape[1]:
            raise Declined(f"the covariates{whose} are collinear{dependent(rows, names)}")
    return y[:, 1], y[:, 0], d[:, 1], x


def _fit(problem: Problem, function: str, **options: float) -> Estimate:
    import moderndid

    fit = getattr(moderndid, function)(*_wide(problem), **options)
    return Estimate.wald(float(fit.att), float(fit.se), problem.level)


@estimator(
    "drdid/or", targets=(Estimand.ATT,), needs=NEEDS,
    assumes=(*CONDITIONAL, OUTCOME), uses=("moderndid",),
)  # fmt: skip
def outcome_regression(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Predict the treated units' change from a regression among the controls (their eq. 2.2)."""
    return _fit(problem, "reg_did_panel")


@estimator(
    "drdid/ipw", targets=(Estimand.ATT,), needs=NEEDS,
    assumes=(*CONDITIONAL, PROPENSITY), uses=("moderndid",),
)  # fmt: skip
def ipw(problem: Problem, rng: np.random.Generator, *, trim_level: float = 0.995) -> Estimate:
    """Weight controls by the odds of treatment, Horvitz and Thompson's way (Abadie 2005)."""
    return _fit(problem, "ipw_did_panel", trim_level=trim_level)


@estimator(
    "drdid/ipw-normalised", targets=(Estimand.ATT,), needs=NEEDS,
    assumes=(*CONDITIONAL, PROPENSITY), uses=("moderndid",),
)  # fmt: skip
def ipw_normalised(
    problem: Problem, rng: np.random.Generator, *, trim_level: float = 0.995
) -> Estimate:
    """Weight controls by the odds of treatment, with weights that sum to one (Hájek's way)."""
    return _fit(problem, "std_ipw_did_panel", trim_level=trim_level)


@estimator(
    "drdid/dr", targets=(Estimand.ATT,), needs=NEEDS, assumes=(*CONDITIONAL, EITHER),
    uses=("moderndid",),
)  # fmt: skip
def doubly_robust(
    problem: Problem, rng: np.random.Generator, *, trim_level: float = 0.995
) -> Estimate:
    """Combine least squares and a logit: centred where either model is correct, not both wrong."""
    return _fit(problem, "drdid_panel", trim_level=trim_level)


@estimator(
    "drdid/dr-improved", targets=(Estimand.ATT,), needs=NEEDS,
    assumes=(*CONDITIONAL, EITHER), uses=("moderndid",),
)  # fmt: skip
def doubly_robust_improved(
    problem: Problem, rng: np.random.Generator, *, trim_level: float = 0.995
) -> Estimate:
    """Combine weighted least squares and inverse probability tilting (their eq. 3.1).

    Centred where either model is correct; then its standard error holds too.
    """
    return _fit(problem, "drdid_imp_panel", trim_level=trim_level)
