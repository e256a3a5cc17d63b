"""The conjugate posterior against least squares, its own draws, and a Gibbs sampler."""

import numpy as np
import pytest

from cibench import Declined, Estimand, Problem, Roles, Target, find_estimator

ASKED = (Target(Estimand.ATE_AT_CUTOFF),)
FIT = find_estimator("rd/bayesian-local-linear").fit


@pytest.fixture(scope="module")
def senate():
    from rdrobust import rdrobust_RDsenate

    data = rdrobust_RDsenate()[["margin", "vote"]].dropna()
    x, y = data["margin"].to_numpy(), data["vote"].to_numpy()
    columns = {"y": y, "d": (x >= 0).astype(float), "x": x}
    return Problem(columns, Roles(running="x", cutoff=0.0), ASKED)


def local_rows(problem, h):
    near = np.abs(problem.running) <= h
    t, y, above = problem.running[near] / h, problem.outcome[near], problem.running[near] >= 0
    return y, np.column_stack([above, np.ones(t.size), t, t * above]).astype(float)


def test_with_a_flat_prior_it_is_least_squares(senate):
    from statsmodels.regression.linear_model import OLS

    y, design = local_rows(senate, 15.0)
    ols = OLS(y, design).fit()
    flat = FIT(senate, np.random.default_rng(1), bandwidth=15.0, prior=1e4)
    assert flat.value == pytest.approx(ols.params[0], rel=1e-5)
    # least squares divides by n - 4, the posterior by n + 0.02
    adjust = np.sqrt(ols.df_resid / (y.size + 0.02))
    assert flat.high - flat.low == pytest.approx(
        np.diff(ols.conf_int(0.05)[0]).item() * adjust, rel=1e-3
    )


def test_the_draws_are_of_the_same_posterior_and_come_from_rng(senate):
    fit = FIT(senate, np.random.default_rng(1), bandwidth=15.0, draws=200_000)
    again = FIT(senate, np.random.default_rng(1), bandwidth=15.0, draws=200_000)
    assert np.array_equal(fit.draws, again.draws)
    m = fit.draws.size
    assert fit.draws.mean() == pytest.approx(fit.value, abs=4 * fit.se / np.sqrt(m))
    assert fit.draws.std() == pytest.approx(fit.se, rel=4 / np.sqrt(2 * m))
    outside = np.mean((fit.draws < fit.low) | (fit.draws > fit.high))
    assert outside == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / m))


def test_with_few_rows_draws_have_the_tails_of_the_t_law(senate):
    from scipy import stats

    h = float(np.sort(np.abs(senate.running))[14])
    fit = FIT(senate, np.random.default_rng(1), bandwidth=h, draws=200_000)
    assert fit.df == pytest.approx(15.02)
    scale = (fit.high - fit.value) / stats.t.ppf(0.975, fit.df)
    exact = stats.t(fit.df, fit.value, scale)
    assert stats.kstest(fit.draws, exact.cdf).pvalue > 1e-4
    assert stats.kstest(fit.draws, stats.norm(fit.value, scale).cdf).pvalue < 1e-6
    assert exact.std() == pytest.approx(fit.se, rel=1e-6)


def test_a_gibbs_sampler_finds_the_same_posterior(senate):
    y, design = local_rows(senate, 10.0)
    prior, rng = 0.5, np.random.default_rng(2)  # tight, so that it matters
    scaled = (y - y.mean()) / y.std()
    covariance = np.linalg.inv(design.T @ design + np.eye(4) / prior**2)
    mean = covariance @ design.T @ scaled
    root, s2, kept = np.linalg.cholesky(covariance), 1.0, []
    for _ in range(20_000):
        b = mean + np.sqrt(s2) * root @ rng.standard_normal(4)
        residual = scaled - design @ b
        rate = 0.01 + (residual @ residual + b @ b / prior**2) / 2
        s2 = rate / rng.standard_gamma(0.01 + (y.size + 4) / 2)
        kept.append(y.std() * b[0])
    fit = FIT(senate, np.random.default_rng(1), bandwidth=10.0, prior=prior)
    # the chain is all but uncorrelated: b and s2 hardly depend on each other
    assert fit.value == pytest.approx(np.mean(kept), abs=5 * fit.se / np.sqrt(20_000))
    assert fit.se == pytest.approx(np.std(kept), rel=5 / np.sqrt(40_000))


def test_the_bandwidth_is_rdrobusts(senate):
    from rdrobust import rdbwselect

    h = rdbwselect(senate.outcome, senate.running, kernel="uni", bwselect="cerrd").bws.iloc[0, 0]
    fits = [FIT(senate, np.random.default_rng(1), bandwidth=b) for b in (None, float(h))]
    assert fits[0].value == fits[1].value


def test_bad_data_are_declined_in_words(senate):
    rng, c = np.random.default_rng(1), senate.columns
    one_side = Problem({**c, "x": np.abs(c["x"])}, senate.roles, ASKED)
    all_treated = Problem({**c, "d": np.ones(c["y"].size)}, senate.roles, ASKED)
    for problem in (one_side, all_treated):
        with pytest.raises(Declined, match="no rows on one side of the cutoff, or all"):
            FIT(problem, rng)
    far = np.where(c["x"] >= 0, 1, -1) + c["x"] / 1000
    with pytest.raises(Declined, match="fewer than three distinct rows"):
        FIT(Problem({**c, "x": far}, senate.roles, ASKED), rng, bandwidth=0.5)
