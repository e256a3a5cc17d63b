"""Local polynomial regression discontinuity by `rdrobust` (Calonico, Cattaneo, Farrell, Titiunik).

Both answers come from one call with the library's defaults: MSE-optimal bandwidth, triangular
kernel, nearest-neighbour variance. `options` are arguments of `rdrobust.rdrobust`.
"""

import numpy as np

from cibench import Estimand, Estimate, Problem, estimator

ASSUMES = ("no manipulation", "no heaping")


def _fit(problem: Problem, row: str, **options: object) -> Estimate:
    from rdrobust import rdrobust

    level = 100 * problem.level
    cutoff = problem.roles.cutoff
    fit = rdrobust(problem.outcome, problem.running, c=cutoff, level=level, **options)
    (value, se), (low, high) = (fit.coef.Coeff[row], fit.se["Std. Err."][row]), fit.ci.loc[row]
    return Estimate(value, se, low, high, p_value=fit.pv.loc[row].item())


@estimator(
    "rdrobust/conventional", targets=(Estimand.ATE_AT_CUTOFF,), needs=("running", "cutoff"),
    assumes=(*ASSUMES, "negligible smoothing bias"), uses=("rdrobust",),
)  # fmt: skip
def conventional(
    problem: Problem, rng: np.random.Generator, *, kernel: str = "tri", masspoints: str = "adjust"
) -> Estimate:
    """Report the conventional estimate and limits, which ignore the smoothing bias."""
    return _fit(problem, "Conventional", kernel=kernel, masspoints=masspoints)


@estimator(
    "rdrobust/robust", targets=(Estimand.ATE_AT_CUTOFF,), needs=("running", "cutoff"),
    assumes=ASSUMES, uses=("rdrobust",),
)  # fmt: skip
def robust(
    problem: Problem, rng: np.random.Generator, *, kernel: str = "tri", masspoints: str = "adjust"
) -> Estimate:
    """Report the bias-corrected estimate with the robust standard error and limits."""
    return _fit(problem, "Robust", kernel=kernel, masspoints=masspoints)
