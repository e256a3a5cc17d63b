"""A Bayesian local-linear regression discontinuity fit, conjugate: normal and inverse gamma.

Rows within the bandwidth h of the cutoff count alike. With y scaled to mean 0 and variance 1 among
them and t = (x - c)/h,

    y | b, s2 ~ N(W b, s2 I),  W = (1[t >= 0], 1, t, t 1[t >= 0])
    b | s2 ~ N(0, s2 prior^2 I),  s2 ~ InverseGamma(0.01, 0.01)

so that a posteriori s2 ~ InverseGamma(a, r) and b | s2 ~ N(m, s2 V): the effect is Student's t with
2a degrees of freedom. The credible interval is exact; the draws, which fill `pit` and `crps`, come
from `rng`. Without a `bandwidth` it is rdrobust's coverage-error-optimal one for a uniform kernel,
smaller than the MSE-optimal one because the posterior knows of no smoothing bias.
"""

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, estimator

SHAPE = 0.01
"""Shape and rate of the inverse gamma prior: a hundredth of a row's worth of knowledge."""


def _bandwidth(problem: Problem) -> float:
    from rdrobust import rdbwselect

    try:
        found = rdbwselect(
            problem.outcome, problem.running, c=problem.roles.cutoff, kernel="uni",
            bwselect="cerrd",
        )  # fmt: skip
    except ValueError as error:  # a singular matrix is one, too
        raise Declined(f"rdrobust finds no bandwidth: {error}") from error
    return float(found.bws.iloc[0, 0])


def posterior(
    y: np.ndarray, design: np.ndarray, prior: float
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Return m, V, a and r: b | s2 ~ N(m, s2 V) and s2 ~ InverseGamma(a, r)."""
    precision = design.T @ design + np.eye(design.shape[1]) / prior**2
    V = np.linalg.inv(precision)
    m = V @ design.T @ y
    a, r = SHAPE + y.size / 2, SHAPE + (y @ y - m @ precision @ m) / 2
    return m, V, a, float(r)


@estimator(
    "rd/bayesian-local-linear", targets=(Estimand.ATE_AT_CUTOFF,), needs=("running", "cutoff"),
    assumes=(
        "no manipulation", "no heaping", "no other policy at the cutoff",
        "running variable measured without error", "independent errors",
        "negligible smoothing bias",
    ),
    uses=("rdrobust",),
)  # fmt: skip
def bayesian_local_linear(
    problem: Problem, rng: np.random.Generator, *, bandwidth: float | None = None,
    prior: float = 10.0, draws: int = 2000,
) -> Estimate:  # fmt: skip
    """Report the posterior mean, standard deviation and central credible interval of the jump."""
    x = problem.running - problem.roles.cutoff
    if np.ptp(problem.treatment) == 0 or np.unique(x >= 0).size < 2:
        raise Declined("no rows on one side of the cutoff, or all or none of the rows treated")
    h = bandwidth or _bandwidth(problem)
    near = np.abs(x) <= h
    t, y, above = x[near] / h, problem.outcome[near], x[near] >= 0
    if min(np.unique(t[above == side]).size for side in (False, True)) < 3:
        raise Declined(f"fewer than three distinct rows a side within {h:.3g} of the cutoff")
    scale = y.std() or 1.0
    design = np.column_stack([above, np.ones(t.size), t, t * above])
    m, V, a, r = posterior((y - y.mean()) / scale, design, prior)
    mean, spread = scale * m[0], scale * np.sqrt(r / a * V[0, 0])
    s2 = r / rng.standard_gamma(a, draws)
    drawn = mean + scale * np.sqrt(s2 * V[0, 0]) * rng.standard_normal(draws)
    exact = Estimate.wald(mean, spread, problem.level, df=2 * a)
    sd = spread * np.sqrt(a / (a - 1))
    return Estimate(mean, sd, exact.low, exact.high, df=2 * a, draws=drawn)
