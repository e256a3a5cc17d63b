"""The conjugate regression against least squares, a Gibbs sampler, and its own prior."""

import numpy as np
import pytest
from scipy import stats

from cibench import Declined, Estimand, Problem, Roles, Target, find_estimator

FIT = find_estimator("bayes/linear-regression").fit
ROLES = Roles(covariates=("a",))
ASKED = (Target(Estimand.COEFFICIENT),)


def problem_of(n=120, effect=2.0, seed=3):
    rng = np.random.default_rng(seed)
    a, v, e = rng.normal(size=(3, n))
    d = 5 + 3 * (a + v)
    return Problem({"y": 100 + effect * d + 10 * a + 8 * e, "d": d, "a": a}, ROLES, ASKED)


def test_with_flat_priors_it_is_least_squares():
    from statsmodels.api import OLS

    problem = problem_of()
    design = np.column_stack([problem.treatment, np.ones(120), problem.covariates])
    ols = OLS(problem.outcome, design).fit()
    flat = FIT(
        problem, np.random.default_rng(1), prior=1e4, effect_prior=1e4, shape=1e-9, rate=1e-9
    )
    assert flat.value == pytest.approx(ols.params[0], rel=1e-6)
    # least squares divides by n - 3 and has n - 3 degrees of freedom, the posterior n - 1
    scale = np.sqrt((120 - 3) / (120 - 1)) * stats.t.ppf(0.975, 119) / stats.t.ppf(0.975, 117)
    assert flat.high - flat.low == pytest.approx(scale * np.diff(ols.conf_int()[0])[0], rel=1e-6)


def test_a_gibbs_sampler_finds_the_same_posterior():
    problem = problem_of()
    y, w = problem.outcome, np.column_stack([problem.treatment, problem.covariates])
    options = {"effect_mean": 1.0, "effect_prior": 0.05, "prior": 0.5, "shape": 3.0, "rate": 1.0}
    scaled, x = (y - y.mean()) / y.std(), (w - w.mean(axis=0)) / w.std(axis=0)
    unit = y.std() / w[:, 0].std()
    means, precisions = np.array([1.0 / unit, 0]), np.array([0.05, 0.5]) ** -2.0
    covariance = np.linalg.inv(x.T @ x + np.diag(precisions))
    mean = covariance @ (x.T @ scaled + precisions * means)
    root, s2, kept = np.linalg.cholesky(covariance), 1.0, []
    rng = np.random.default_rng(2)
    for _ in range(20_000):
        b = mean + np.sqrt(s2) * root @ rng.standard_normal(2)
        residual = scaled - x @ b
        rate = 1.0 + (residual @ residual + precisions @ (b - means) ** 2) / 2
        s2 = rate / rng.standard_gamma(3.0 + (119 + 2) / 2)
        kept.append(unit * b[0])
    fit = FIT(problem, np.random.default_rng(1), **options)
    assert fit.value == pytest.approx(np.mean(kept), abs=5 * fit.se / np.sqrt(20_000))
    assert fit.se == pytest.approx(np.std(kept), rel=5 / np.sqrt(40_000))
    assert 1.0 < fit.value < FIT(problem, np.random.default_rng(1)).value


def test_the_draws_are_of_the_posterior_and_come_from_rng():
    problem = problem_of()
    fit, again = (FIT(problem, np.random.default_rng(1), draws=200_000) for _ in range(2))
    assert np.array_equal(fit.draws, again.draws)
    exact = stats.t(fit.df, fit.value, (fit.high - fit.value) / stats.t.ppf(0.975, fit.df))
    assert stats.kstest(fit.draws, exact.cdf).pvalue > 1e-4
    assert exact.std() == pytest.approx(fit.se, rel=1e-6)


def test_where_the_prior_is_right_the_truths_quantiles_are_uniform():
    # truths from the prior that the fit is told: 0.02 errors per s.d. of treatment
    rng, pits = np.random.default_rng(4), []
    for _ in range(400):
        a, d, e = rng.normal(size=(3, 2000))
        effect = 0.02 * rng.normal()
        problem = Problem({"y": effect * d + a + e, "d": d, "a": a}, ROLES, ASKED)
        fit = FIT(problem, rng, effect_prior=0.02, draws=2)
        pits.append(stats.t.cdf((effect - fit.value) / fit.se, fit.df))
    assert stats.kstest(pits, "uniform").pvalue > 1e-3


def test_a_prior_in_the_wrong_place_pulls_and_bad_input_is_said():
    problem, rng = problem_of(), np.random.default_rng(1)
    pulled = FIT(problem, rng, effect_mean=-5.0, effect_prior=0.01)
    assert pulled.value < 0 < FIT(problem, rng).low
    with pytest.raises(ValueError, match="above 0"):
        FIT(problem, rng, prior=0.0)
    c = problem.columns
    with pytest.raises(Declined, match="determine the treatment"):
        FIT(Problem({**c, "d": 2 * c["a"]}, ROLES, ASKED), rng)
