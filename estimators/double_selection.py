"""Post-double-selection: least squares with the covariates that either of two lassos picks.

One lasso predicts the outcome from the covariates, one the treatment; the regression of the outcome
on treatment has the covariates of both (Belloni, Chernozhukov and Hansen 2014, REStud 81), so that
one that matters for the treatment is not lost because it matters little for the outcome. Penalties
are the rigorous ones of their appendix A, for errors of unequal variance:

    mean (y - x b)^2 + (2 c / sqrt n) q sum_j l_j |b_j|,   q = Phi^-1(1 - g / (2 p)),
    l_j^2 = mean x_j^2 e^2,   c = 1.1,   g = 0.1 / log(max(n, p))

with e the residuals of least squares on what the last lasso has picked, first those of the mean.
The lasso is scikit-learn's; no library kept here has this penalty.
"""

from statistics import NormalDist

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, estimator
from cibench.model import Array

from ._observables import COMMON, NEEDS, REACH, refuse_singular, sample

ROUNDS = 15


def penalty(n: int, p: int) -> float:
    """Return what sklearn's Lasso calls alpha, for covariates divided by their loadings."""
    level = 0.1 / np.log(max(n, p))
    return float(1.1 / np.sqrt(n) * NormalDist().inv_cdf(1 - level / (2 * p)))


def selected(y: Array, x: Array) -> Array:
    """Return which of the centred covariates the lasso picks for a centred outcome."""
    from sklearn.linear_model import Lasso

    alpha, picked = penalty(*x.shape), np.zeros(x.shape[1], bool)
    residuals = y
    for _ in range(ROUNDS):
        loadings = np.sqrt(np.mean(x**2 * residuals[:, None] ** 2, axis=0))
        if not loadings.all():
            return picked  # nothing is left to explain, or a covariate never changes
        before = picked
        picked = Lasso(alpha=alpha, max_iter=10_000).fit(x / loadings, y).coef_ != 0
        kept = x[:, picked]
        residuals = y - kept @ np.linalg.lstsq(kept, y, rcond=None)[0]
        if np.array_equal(picked, before):
            break
    return picked


@estimator(
    "lasso/double-selection", targets=(Estimand.COEFFICIENT, Estimand.ATE), needs=NEEDS,
    assumes=(*COMMON, REACH, "sparse nuisance functions", "constant effects"),
    uses=("statsmodels", "sklearn"),
)  # fmt: skip
def double_selection(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Select covariates for outcome and for treatment, then fit least squares with HC1 errors."""
    from statsmodels.regression.linear_model import OLS

    s = sample(problem, penalised=True)
    x = s.x[:, 1:] - s.x[:, 1:].mean(axis=0)
    y, d = s.y - s.y.mean(), s.d - s.d.mean()
    picked = selected(y, x) | selected(d, x)
    design = np.column_stack([s.d, s.x[:, 0], x[:, picked]])
    if s.y.size < design.shape[1] + 2:
        raise Declined(f"{s.y.size} rows are too few for the {picked.sum()} covariates selected")
    chosen = tuple(name for name, taken in zip(s.names[1:], picked, strict=True) if taken)
    refuse_singular(
        np.roll(design, -1, axis=1), "the covariates selected determine the treatment",
        ("", *chosen, problem.roles.treatment),
    )  # fmt: skip
    fit = OLS(s.y, design).fit(cov_type="HC1", use_t=True)
    low, high = fit.conf_int(1 - problem.level)[0]
    value, se, p_value = (float(part[0]) for part in (fit.params, fit.bse, fit.pvalues))
    return Estimate(value, se, float(low), float(high), df=fit.df_resid, p_value=p_value)
