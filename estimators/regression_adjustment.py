"""Regressions on treatment and covariates: by least squares with robust errors, and per arm.

Least squares of the outcome on treatment and covariates takes the effect for constant. Regression
per arm (Lin 2013, Annals of Applied Statistics 7) predicts both potential outcomes for every unit
asked about and averages the difference; its standard error has the covariates random, as a
population's mean effect needs. Under missing outcomes it fits those seen and predicts all.
"""

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, estimator

from ._observables import (
    AVERAGES,
    COLLINEAR,
    COMMON,
    NEEDS,
    OUTCOME,
    REACH,
    binary_sample,
    refuse_singular,
    regression,
    sample,
)
from ._reasons import rows_of

KINDS = ("nonrobust", "HC0", "HC1", "HC2", "HC3")


@estimator(
    "statsmodels/ols", targets=(Estimand.COEFFICIENT, Estimand.ATE), needs=NEEDS,
    assumes=(*COMMON, OUTCOME, REACH, "constant effects"), uses=("statsmodels",),
)  # fmt: skip
def least_squares(problem: Problem, rng: np.random.Generator, *, errors: str = "HC1") -> Estimate:
    """Regress the outcome on treatment and covariates; `errors` are nonrobust or HC0 to HC3."""
    from statsmodels.regression.linear_model import OLS

    if errors not in KINDS:
        raise ValueError(f"no errors named '{errors}'; there are {', '.join(KINDS)}")
    s = sample(problem)
    design = np.column_stack([s.d, s.x])
    refuse_singular(
        np.column_stack([s.x, s.d]), "the covariates are collinear or determine the treatment",
        (*s.names, problem.roles.treatment),
    )  # fmt: skip
    leverage = np.sum(np.linalg.qr(design)[0] ** 2, axis=1)
    if errors in ("HC2", "HC3") and leverage.max() > 1 - COLLINEAR:
        own = rows_of(leverage > 1 - COLLINEAR)
        raise Declined(f"{own} determine their own fit: {errors} errors do not exist")
    fit = OLS(s.y, design).fit(cov_type=errors, use_t=True)
    low, high = fit.conf_int(1 - problem.level)[0]
    value, se, p_value = (float(part[0]) for part in (fit.params, fit.bse, fit.pvalues))
    return Estimate(value, se, float(low), float(high), df=fit.df_resid, p_value=p_value)


@estimator("regression/by-arm", targets=AVERAGES, needs=NEEDS, assumes=(*COMMON, OUTCOME))
def by_arm(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Fit least squares to the treated and to the others and average the difference."""
    s = binary_sample(problem)
    of_treated = problem.targets[0].estimand is Estimand.ATT
    target = s.d if of_treated else np.ones(s.y.size)
    one, zero = (regression(s, s.d == arm, who) for arm, who in ((1, "treated"), (0, "untreated")))
    effects = one.fitted - zero.fitted
    value = effects @ target / target.sum()
    influence = target * (effects - value)
    influence = influence + (one.influence - zero.influence) @ (s.x.T @ target / s.y.size)
    se = np.sqrt(influence @ influence) / target.sum()
    return Estimate.wald(float(value), float(se), problem.level)
