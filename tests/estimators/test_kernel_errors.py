"""Kernels over time: two libraries agree, by hand too, and the order of rows is that of time."""

from dataclasses import replace

import numpy as np
import pytest

from cibench import Declined, find_estimator, find_scenario
from cibench.model.types import Problem


def drawn(n=150, seed=3, **parameters):
    scenario = find_scenario("quirks/series")(**parameters)
    draw = scenario.draw(n, np.random.default_rng(seed))
    return Problem.of(draw, scenario.assigned_roles(), scenario.targets(), 0.9)


def fitted(name, problem, **options):
    found = find_estimator(name).fit(problem, np.random.default_rng(0), **options)
    return np.array([found.value, found.se, found.low, found.high])


def by_hand(problem, weights):
    """Return estimate and error from the sandwich with weighted autocovariances of the scores."""
    y = problem.outcome
    x = np.column_stack([problem.treatment, np.ones(y.size), problem.covariates])
    bread = np.linalg.inv(x.T @ x)
    beta = bread @ x.T @ y
    score = x * (y - x @ beta)[:, None]
    meat = score.T @ score
    for lag, weight in enumerate(weights, start=1):
        one = score[lag:].T @ score[:-lag]
        meat += weight * (one + one.T)
    return beta[0], np.sqrt((bread @ meat @ bread)[0, 0])


@pytest.mark.parametrize("lags", [1, 4])
def test_bartlett_weights_by_both_libraries_and_by_hand(lags):
    problem = drawn()
    expected = by_hand(problem, 1 - np.arange(1, lags + 1) / (lags + 1))
    one = fitted("hac/newey-west", problem, lags=lags)
    other = fitted("hac/kernel", problem, bandwidth=lags)
    np.testing.assert_allclose(one[:2], expected, rtol=1e-10)
    np.testing.assert_allclose(other[:2], expected, rtol=1e-10)
    np.testing.assert_allclose(one, other, rtol=1e-10)


@pytest.mark.parametrize(("n", "lags"), [(60, 3), (150, 4), (300, 5), (1000, 6)])
def test_lags_are_newey_and_wests_unless_they_are_asked_for(n, lags):
    """The whole part of 4 (n / 100)^(2/9): 3.6, 4.4, 5.1, 6.7."""
    problem = drawn(n)
    expected = by_hand(problem, 1 - np.arange(1, lags + 1) / (lags + 1))
    np.testing.assert_allclose(fitted("hac/newey-west", problem)[:2], expected, rtol=1e-10)


@pytest.mark.parametrize("name", ["hac/newey-west", "hac/kernel"])
def test_neighbours_are_those_in_time_and_not_in_the_file(name):
    problem = drawn()
    order = np.random.default_rng(1).permutation(150)
    mixed = replace(problem, columns={k: c[order] for k, c in problem.columns.items()})
    np.testing.assert_allclose(fitted(name, mixed), fitted(name, problem), rtol=1e-9)


def test_a_uniform_kernel_by_hand():
    problem = drawn()
    expected = by_hand(problem, np.ones(2))
    found = fitted("hac/newey-west", problem, kernel="uniform", lags=2)
    np.testing.assert_allclose(found[:2], expected, rtol=1e-10)


def test_parzen_weights_by_hand():
    """Parzen (1957): 1 - 6 z^2 (1 - z) up to a half, 2 (1 - z)^3 beyond, z the lag over b + 1."""
    problem, bandwidth = drawn(), 5
    z = np.arange(1, bandwidth + 1) / (bandwidth + 1)
    weights = np.where(z <= 0.5, 1 - 6 * z**2 * (1 - z), 2 * (1 - z) ** 3)
    expected = by_hand(problem, weights)
    found = fitted("hac/kernel", problem, kernel="parzen", bandwidth=bandwidth)
    np.testing.assert_allclose(found[:2], expected, rtol=1e-10)


def test_a_kernel_finds_the_variance_that_the_scenario_states():
    problem = drawn(n=200_000)
    naive = fitted("linearmodels/ols", problem)[1]
    found = fitted("hac/newey-west", problem, lags=30)[1]
    assert (found / naive) ** 2 == pytest.approx(5 / 3, rel=0.03)
    bare = drawn(n=200_000, covariates="none")
    ratio = fitted("hac/newey-west", bare, lags=30)[1] / fitted("linearmodels/ols", bare)[1]
    assert ratio**2 == pytest.approx(1 + 8 / 21, rel=0.03)


def test_what_is_no_single_series_is_declined():
    problem = drawn()
    twice = {**problem.columns, "time": problem.columns["time"] // 2}
    with pytest.raises(Declined, match="no single series"):
        fitted("hac/kernel", replace(problem, columns=twice))
    few = {name: column[:8] for name, column in problem.columns.items()}
    with pytest.raises(Declined, match="too few"):
        fitted("hac/newey-west", replace(problem, columns=few))
