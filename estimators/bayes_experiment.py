"""A Bayesian analysis of a randomised experiment, conjugate: normal and inverse gamma.

    y = a + b d + e,  e ~ N(0, s2),  a, b | s2 ~ N(0, s2 prior^2),  s2 ~ InverseGamma(shape, rate)

A posteriori s2 ~ InverseGamma(shape + n/2, r) and b is Student's t with 2 shape + n degrees of
freedom (Gelman and others 2013, Bayesian Data Analysis, chapter 14). The prior is proper and is not
taken from the data, so that whoever draws all parameters from it finds the posterior calibrated:
`bayes/experiment` the scenario does.
"""

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, estimator


@estimator(
    "bayes/experiment", targets=(Estimand.SATE, Estimand.ATE),
    assumes=(
        "no confounding", "constant effects", "homoskedastic errors", "no interference",
        "effects as the prior has them",
    ),
)  # fmt: skip
def experiment(
    problem: Problem, rng: np.random.Generator, *,
    prior: float = 1.0, shape: float = 3.0, rate: float = 2.0, draws: int = 2000,
) -> Estimate:  # fmt: skip
    """Report the effect's posterior mean, standard deviation and central credible interval."""
    if min(prior, shape, rate) <= 0 or draws < 2:
        raise ValueError("prior, shape and rate are above 0, draws above 1")
    y, d = problem.outcome, problem.treatment
    if np.ptp(d) == 0:
        raise Declined("treatment does not vary")
    design = np.column_stack([np.ones(y.size), d])
    precision = design.T @ design + np.eye(2) / prior**2
    mean = np.linalg.solve(precision, design.T @ y)
    a, r = shape + y.size / 2, rate + (y @ y - mean @ precision @ mean) / 2
    value, unit = float(mean[1]), float(np.sqrt(np.linalg.inv(precision)[1, 1]))
    limits = Estimate.wald(value, np.sqrt(r / a) * unit, problem.level, df=2 * a)
    s2 = r / rng.standard_gamma(a, draws)
    drawn = value + np.sqrt(s2) * unit * rng.standard_normal(draws)
    sd = np.sqrt(r / (a - 1)) * unit if a > 1 else None
    return Estimate(value, sd, limits.low, limits.high, df=2 * a, draws=drawn)
