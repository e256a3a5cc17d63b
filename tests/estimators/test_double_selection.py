"""Post-double-selection: the lasso's first-order conditions, and least squares on what it picks."""

import numpy as np
import pytest
from scipy.stats import norm

from cibench import Declined, Estimand, Problem, Roles, Target, find_estimator, find_scenario
from cibench.estimators.double_selection import penalty, selected

FIT = find_estimator("lasso/double-selection").fit


SEEDS = (5, 7, 15)
"""Data sets in which loadings for errors of equal variance would pick others."""


def problem_of(n=300, seed=1, **fields):
    scenario = find_scenario("observables/sparse")(**fields)
    draw = scenario.draw(n, np.random.default_rng(seed))
    return Problem.of(draw, scenario.assigned_roles(), scenario.targets())


def test_the_penalty_is_that_of_belloni_chernozhukov_and_hansen():
    n, p = 300, 100
    level = 0.1 / np.log(300)
    whole = (
        2 * 1.1 * np.sqrt(n) * norm.ppf(1 - level / (2 * p))
    )  # their lambda, for sums of squares
    assert penalty(n, p) == pytest.approx(whole / (2 * n))


def centred(seed, uneven):
    """Return outcome and eight covariates; `uneven` errors are larger where the second one is."""
    if not uneven:
        problem = problem_of(200, covariates=8)
        x, y = problem.covariates, problem.outcome
    else:
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(200, 8))
        y = x[:, 0] + np.exp(x[:, 1]) * rng.normal(size=200)
    return y - y.mean(), x - x.mean(axis=0)


@pytest.mark.parametrize(("seed", "uneven"), [(0, False), *((seed, True) for seed in SEEDS)])
def test_what_is_picked_solves_the_weighted_lasso_with_its_own_loadings(seed, uneven):
    from scipy.optimize import minimize

    y, x = centred(seed, uneven)
    picked = selected(y, x)
    fitted = x[:, picked] @ np.linalg.lstsq(x[:, picked], y)[0]
    loadings = np.sqrt(np.mean((x * (y - fitted)[:, None]) ** 2, axis=0))

    def loss(b):  # b in positive and negative parts, so that it is smooth
        residuals = y - x @ (b[:8] - b[8:])
        slope = x.T @ residuals / 200
        value = residuals @ residuals / 400 + penalty(200, 8) * loadings @ (b[:8] + b[8:])
        pull = penalty(200, 8) * loadings
        return value, np.concatenate([pull - slope, pull + slope])

    found = minimize(loss, np.zeros(16), jac=True, bounds=[(0, None)] * 16, tol=1e-14).x
    assert np.array_equal(np.abs(found[:8] - found[8:]) > 1e-5, picked)
    assert 1 <= picked.sum() <= 8


def test_what_matters_for_treatment_alone_is_adjusted_for_all_the_same():
    """A confounder that hardly moves the outcome: Belloni and others (2014), section 2.4."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 3))
    d = x[:, 0] + rng.normal(size=400) / 4
    y = 0.5 * d - 0.4 * x[:, 0] + rng.normal(size=400)
    columns = {"y": y, "d": d, "a": x[:, 0], "b": x[:, 1], "c": x[:, 2]}
    problem = Problem(columns, Roles(covariates=("a", "b", "c")), (Target(Estimand.COEFFICIENT),))
    assert not selected(y - y.mean(), x - x.mean(axis=0)).any()
    given = FIT(problem, np.random.default_rng(1))
    design = np.column_stack([d, np.ones(400), x[:, 0]])
    assert given.value == pytest.approx(np.linalg.lstsq(design, y)[0][0], rel=1e-9)


def test_the_estimate_is_least_squares_on_the_covariates_that_either_lasso_picks():
    from statsmodels.api import OLS

    problem = problem_of()
    x = problem.covariates - problem.covariates.mean(axis=0)
    y, d = (c - c.mean() for c in (problem.outcome, problem.treatment))
    picked = selected(y, x) | selected(d, x)
    assert picked[:5].all()
    assert picked.sum() < 15
    design = np.column_stack([problem.treatment, np.ones(300), problem.covariates[:, picked]])
    direct = OLS(problem.outcome, design).fit(cov_type="HC1", use_t=True)
    given = FIT(problem, np.random.default_rng(1))
    assert (given.value, given.se) == pytest.approx((direct.params[0], direct.bse[0]), rel=1e-9)
    assert (given.low, given.high) == pytest.approx(tuple(direct.conf_int()[0]), rel=1e-9)


def test_more_covariates_than_rows_are_no_obstacle_and_bad_data_are_declined():
    problem = problem_of(90)
    given = FIT(problem, np.random.default_rng(1))
    assert np.isfinite([given.value, given.se]).all()
    c = problem.columns
    with pytest.raises(Declined, match="never changes"):
        FIT(Problem({**c, "d": np.ones(90)}, problem.roles, problem.targets), None)
    with pytest.raises(Declined, match="determine the treatment"):
        FIT(Problem({**c, "d": c["x1"]}, problem.roles, problem.targets), None)
    still = Problem({**c, "x7": np.zeros(90)}, problem.roles, problem.targets)
    assert np.isfinite(FIT(still, None).value)
