"""Regression discontinuity as people misuse it: a global polynomial, a bandwidth by hand.

Both are least squares of the outcome on the treatment side and powers of the running variable,
interacted with the side, with HC1 errors (statsmodels).
"""

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, estimator

ASSUMES = ("no manipulation", "no heaping")


def _fit(problem: Problem, order: int, weights: np.ndarray) -> Estimate:
    from statsmodels.regression.linear_model import WLS

    x, keep = problem.running - problem.roles.cutoff, weights > 0
    above = (x >= 0).astype(float)
    powers = x[:, None] ** np.arange(order + 1)
    design = np.column_stack([above, powers, above[:, None] * powers[:, 1:]])[keep]
    if min(np.unique(x[keep & (above == side)]).size for side in (0, 1)) <= order:
        raise Declined(f"too few distinct rows within reach of the cutoff for order {order}")
    fit = WLS(problem.outcome[keep], design, weights[keep]).fit(cov_type="HC1", use_t=True)
    low, high = fit.conf_int(1 - problem.level)[0]
    value, se, p_value = fit.params[0], fit.bse[0], fit.pvalues[0]
    return Estimate(value, se, low, high, df=fit.df_resid, p_value=p_value)


@estimator(
    "rd/global-polynomial", targets=(Estimand.ATE_AT_CUTOFF,), needs=("running", "cutoff"),
    assumes=(*ASSUMES, "the polynomial fits globally"), uses=("statsmodels",),
)  # fmt: skip
def global_polynomial(problem: Problem, rng: np.random.Generator, *, order: int = 4) -> Estimate:
    """Fit one polynomial of the given order to all rows on either side of the cutoff."""
    return _fit(problem, order, np.ones(problem.running.size))


@estimator(
    "rd/local-linear", targets=(Estimand.ATE_AT_CUTOFF,), needs=("running", "cutoff"),
    assumes=(*ASSUMES, "negligible smoothing bias"), uses=("statsmodels",),
)  # fmt: skip
def local_linear(problem: Problem, rng: np.random.Generator, *, bandwidth: float = 0.5) -> Estimate:
    """Fit a line on either side within a fixed bandwidth, with a triangular kernel."""
    distance = np.abs(problem.running - problem.roles.cutoff) / bandwidth
    return _fit(problem, 1, np.clip(1 - distance, 0, None))
