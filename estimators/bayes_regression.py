"""A Bayesian linear regression on treatment and covariates, conjugate: normal and inverse gamma.

With outcome, treatment and covariates centred and scaled to a variance of 1,

    y | b, s2 ~ N(W b, s2 I),   W = (d, x)
    b_d | s2 ~ N(effect_mean, s2 effect_prior^2),   b_x | s2 ~ N(0, s2 prior^2 I)
    s2 ~ InverseGamma(shape, rate)

so that a posteriori s2 ~ InverseGamma(a, r) and b | s2 ~ N(m, s2 V), and the effect is Student's t
with 2a degrees of freedom (Gelman and others 2013, Bayesian Data Analysis, chapter 14). Centring
stands for a flat prior on the constant and takes one row. The credible interval is exact; the
draws, which fill `pit` and `crps`, come from `rng`. `effect_mean` is in units of the data; the two
priors are standard deviations in units of the error, per s.d. of treatment or covariate.
"""

import numpy as np

from cibench import Estimand, Estimate, Problem, estimator
from cibench.model import Array

from ._observables import COMMON, NEEDS, OUTCOME, REACH, refuse_singular, sample


def posterior(
    y: Array, design: Array, mean: Array, sd: Array, shape: float, rate: float
) -> tuple[Array, Array, float, float]:
    """Return m, V, a and r from centred columns, prior means and prior s.d. of coefficients."""
    prior = np.diag(1 / sd**2)
    precision = design.T @ design + prior
    V = np.linalg.inv(precision)
    m = V @ (design.T @ y + prior @ mean)
    a = shape + (y.size - 1) / 2
    r = rate + (y @ y + mean @ prior @ mean - m @ precision @ m) / 2
    return m, V, a, float(r)


@estimator(
    "bayes/linear-regression", targets=(Estimand.COEFFICIENT, Estimand.ATE), needs=NEEDS,
    assumes=(*COMMON, OUTCOME, REACH, "constant effects", "homoskedastic errors"),
)  # fmt: skip
def linear_regression(
    problem: Problem, rng: np.random.Generator, *, effect_mean: float = 0.0,
    effect_prior: float = 10.0, prior: float = 10.0, shape: float = 0.01, rate: float = 0.01,
    draws: int = 2000,
) -> Estimate:  # fmt: skip
    """Report the effect's posterior mean, standard deviation and central credible interval."""
    if min(effect_prior, prior, shape, rate) <= 0 or draws < 2:
        raise ValueError("priors, shape and rate are above 0, draws above 1")
    s = sample(problem)
    columns = np.column_stack([s.d, s.x[:, 1:]])
    refuse_singular(
        np.column_stack([s.x, s.d]), "the covariates are collinear or determine the treatment",
        (*s.names, problem.roles.treatment),
    )  # fmt: skip
    scales, size = columns.std(axis=0), s.y.std() or 1.0
    unit = size / scales[0]  # of the coefficient, in units of the data
    mean, sd = np.zeros(scales.size), np.full(scales.size, prior)
    mean[0], sd[0] = effect_mean / unit, effect_prior
    design = (columns - columns.mean(axis=0)) / scales
    m, V, a, r = posterior((s.y - s.y.mean()) / size, design, mean, sd, shape, rate)
    value, spread = unit * m[0], unit * np.sqrt(r / a * V[0, 0])
    s2 = r / rng.standard_gamma(a, draws)
    drawn = value + unit * np.sqrt(s2 * V[0, 0]) * rng.standard_normal(draws)
    exact = Estimate.wald(value, spread, problem.level, df=2 * a)
    posterior_sd = spread * np.sqrt(a / (a - 1)) if a > 1 else spread
    return Estimate(value, posterior_sd, exact.low, exact.high, df=2 * a, draws=drawn)
