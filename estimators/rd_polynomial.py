"""Regression discontinuity as people misuse it: a global polynomial, a bandwidth by hand.

Both are least squares of the outcome on the treatment side and powers of the running variable,
interacted with the side, with HC1 errors (statsmodels). The oracle runs, also by least squares,
the experiment that nobody can run: among the units near the cutoff, compliers in a fuzzy design, a
coin decides who is treated, and nobody knows of a cutoff.
"""

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, estimator

ASSUMES = (
    "no manipulation", "no heaping", "no other policy at the cutoff",
    "running variable measured without error", "independent errors",
)  # fmt: skip
SHARP, NEEDS = (Estimand.ATE_AT_CUTOFF,), ("running", "cutoff")
FITS = {
    1: "outcome at most linear", 2: "outcome at most quadratic", 3: "outcome at most cubic",
    4: "outcome at most quartic", 5: "no powers beyond the fifth",
}  # fmt: skip
"""What a polynomial of each order assumes of the mean outcome on either side of the cutoff."""


def _first_coefficient(
    y: np.ndarray, design: np.ndarray, weights: np.ndarray, level: float
) -> Estimate:
    from statsmodels.regression.linear_model import WLS

    fit = WLS(y, design, weights).fit(cov_type="HC1", use_t=True)
    low, high = fit.conf_int(1 - level)[0]
    value, se, p_value = fit.params[0], fit.bse[0], fit.pvalues[0]
    return Estimate(value, se, low, high, df=fit.df_resid, p_value=p_value)


def _fit(problem: Problem, order: int, weights: np.ndarray) -> Estimate:
    x, keep = problem.running - problem.roles.cutoff, weights > 0
    above = (x >= 0).astype(float)
    if np.ptp(problem.treatment) == 0:
        raise Declined("all rows are treated, or none is")
    if min(np.unique(x[keep & (above == side)]).size for side in (0, 1)) <= order:
        raise Declined(f"too few distinct rows within reach of the cutoff for order {order}")
    if keep.sum() <= 2 * (order + 1):
        raise Declined(f"order {order} on either side leaves no rows to estimate the errors with")
    x = x / np.abs(x[keep]).max()  # high powers of other units leave no digits
    powers = x[:, None] ** np.arange(order + 1)
    design = np.column_stack([above, powers, above[:, None] * powers[:, 1:]])[keep]
    return _first_coefficient(problem.outcome[keep], design, weights[keep], problem.level)


@estimator(
    "rd/global-polynomial", targets=SHARP, needs=NEEDS,
    assumes=(*ASSUMES, FITS[4]), uses=("statsmodels",),
)  # fmt: skip
def global_polynomial(problem: Problem, rng: np.random.Generator, *, order: int = 4) -> Estimate:
    """Fit one polynomial of the given order to all rows on either side of the cutoff.

    What is assumed is that of the default order; `rd/global-polynomial-1` to `-5` assume their own.
    """
    return _fit(problem, order, np.ones(problem.running.size))


def _of_order(order: int) -> None:
    @estimator(
        f"rd/global-polynomial-{order}", targets=SHARP, needs=NEEDS,
        assumes=(*ASSUMES, FITS[order]), uses=("statsmodels",),
    )  # fmt: skip
    def global_polynomial_of_order(problem: Problem, rng: np.random.Generator) -> Estimate:
        """Fit one polynomial of the order in the name to all rows on either side."""
        return _fit(problem, order, np.ones(problem.running.size))


for _order in range(1, 6):
    _of_order(_order)


@estimator(
    "rd/local-linear", targets=SHARP, needs=NEEDS,
    assumes=(*ASSUMES, "negligible smoothing bias"), uses=("statsmodels",),
)  # fmt: skip
def local_linear(problem: Problem, rng: np.random.Generator, *, bandwidth: float = 0.5) -> Estimate:
    """Fit a line on either side within a fixed bandwidth, with a triangular kernel."""
    distance = np.abs(problem.running - problem.roles.cutoff) / bandwidth
    return _fit(problem, 1, np.clip(1 - distance, 0, None))
