"""Driscoll and Kraay's errors and two-way fixed effects with covariates."""

import numpy as np
import pytest

from cibench import (
    Declined,
    Estimand,
    Problem,
    Target,
    find_estimator,
    find_scenario,
)
from cibench.model.streams import stream

ASKED = (Target(Estimand.ATT),)


def drawn(name, n, **settings):
    scenario = find_scenario(name)(**settings)
    draw = scenario.draw(n, stream("test", "linearmodels", name))
    return Problem.of(draw, scenario.assigned_roles(), ASKED)


def fit(name, problem, **options):
    return find_estimator(f"panel/{name}").fit(problem, None, **options)


@pytest.mark.parametrize("name", ["did/sant-anna-zhao-1", "did/repeated-cross-sections"])
def test_covariates_enter_a_stacked_regression_with_robust_errors(name):
    problem = drawn(name, 300)
    group, time = problem.columns["cohort"] > 0, problem.columns["time"]
    x = np.column_stack([problem.treatment, group, time, np.ones(time.size), problem.covariates])
    beta, *_ = np.linalg.lstsq(x, problem.outcome, rcond=None)
    inverse = np.linalg.inv(x.T @ x)
    scores = x * (problem.outcome - x @ beta)[:, None]
    variance = (inverse @ scores.T @ scores @ inverse)[0, 0]
    n, k = x.shape
    given = fit("twfe-covariates", problem)
    assert given.value == pytest.approx(beta[0], rel=1e-8)
    assert given.se == pytest.approx(np.sqrt(variance * n / (n - k)), rel=1e-8)
    collinear = problem.columns | {problem.roles.covariates[0]: np.ones(n)}
    with pytest.raises(Declined, match="singular"):
        fit("twfe-covariates", Problem(collinear, problem.roles, ASKED))


def test_driscoll_and_kraays_errors_sum_periods_scores_with_bartlett_weights():
    problem = drawn("did/state-panel", 20, rho=0.4)
    unit, time = problem.columns["unit"], problem.columns["time"]
    others = np.column_stack([unit[:, None] == np.arange(20), time[:, None] == np.arange(1, 21)])
    left = problem.treatment - others @ np.linalg.lstsq(others, problem.treatment, rcond=None)[0]
    beta = left @ problem.outcome / (left @ left)
    rest = problem.outcome - beta * problem.treatment
    scores = left * (rest - others @ np.linalg.lstsq(others, rest, rcond=None)[0])
    sums = np.bincount(time, scores)
    meat = sums @ sums + 2 * sum((1 - lag / 4) * sums[lag:] @ sums[:-lag] for lag in (1, 2, 3))
    given = fit("twfe-driscoll-kraay", problem, bandwidth=3)
    assert given.value == pytest.approx(beta, rel=1e-8)
    plain = np.sqrt(meat) / (left @ left)
    assert given.se / plain == pytest.approx(np.sqrt(420 / (420 - 41)), rel=0.01)
    with pytest.raises(Declined, match="three periods"):
        fit("twfe-driscoll-kraay", drawn("did/two-period", 40))


def test_with_two_periods_clustered_errors_are_those_of_changes_unless_effects_are_counted():
    problem = drawn("did/two-period", 200)
    changes = fit("first-difference", problem).se
    assert fit("twfe-clustered", problem, count_effects=False).se == pytest.approx(
        changes, rel=0.02
    )
    assert fit("twfe-clustered", problem).se == pytest.approx(changes * np.sqrt(2), rel=0.02)
