"""Overlap and balance: what they find in large samples, by hand, and what they cannot see."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from cibench import Declined, Problem, find_estimator, find_scenario


def look(name, problem, **options):
    return find_estimator(f"observables/{name}").fit(problem, np.random.default_rng(1), **options)


def problem_of(name, n, seed=1, **fields):
    scenario = find_scenario(f"observables/{name}")(**fields)
    draw = scenario.draw(n, np.random.default_rng(seed))
    return Problem.of(draw, scenario.assigned_roles(), scenario.targets())


@pytest.mark.parametrize("share", [0.7, 0.3])
def test_the_statistic_is_the_share_that_the_scenarios_dial_states(share):
    problem = problem_of("irm", 100_000, overlap=share)
    found = look("overlap", problem)
    assert found.passed == (share > 0.5)
    if share == 0.7:  # below, the sum of squared weights settles only in much larger samples
        assert found.statistic == pytest.approx(share, abs=0.04)


def test_no_overlap_at_all_does_not_pass_and_other_faults_are_declined():
    problem = problem_of("neighbours", 200)
    c = problem.columns
    apart = Problem({**c, "d": (c["x"] > 0).astype(float)}, problem.roles, problem.targets)
    assert look("overlap", apart).passed is False
    with pytest.raises(Declined, match="no overlap"):
        look("balance", apart)
    still = Problem({**c, "x": np.zeros(200)}, problem.roles, problem.targets)
    with pytest.raises(Declined, match="collinear"):
        look("overlap", still)


def test_balance_is_the_worst_standardised_difference_by_hand():
    problem = problem_of("heterogeneous", 500)
    d, x = problem.treatment, problem.covariates
    p = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x, d).predict_proba(x)[:, 1]
    columns = np.column_stack([x, (x - x.mean(axis=0)) ** 2])
    for weighted, w in ((True, np.where(d == 1, 1 / p, 1 / (1 - p))), (False, np.ones(500))):
        one, zero = (np.average(columns[d == a], axis=0, weights=w[d == a]) for a in (1, 0))
        pooled = np.sqrt(sum(columns[d == a].var(axis=0, ddof=1) for a in (1, 0)) / 2)
        found = look("balance", problem, weighted=weighted)
        assert found.statistic == pytest.approx(np.max(np.abs(one - zero) / pooled), rel=1e-4)
    assert not found.passed


def test_weights_from_a_right_model_balance_and_from_a_wrong_one_do_not():
    assert look("balance", problem_of("irm", 20_000)).passed
    assert not look("balance", problem_of("irm", 20_000, propensity_misfit=-1.0)).passed


def test_neither_sees_what_is_not_observed():
    for confounding in (0.0, 0.1):
        problem = problem_of("irm", 20_000, confounding=confounding)
        assert look("balance", problem).passed
        assert look("overlap", problem).passed
