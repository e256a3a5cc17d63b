"""Least squares without what comes after treatment is least squares without those columns."""

import numpy as np
import statsmodels.api as sm

import cibench
from cibench import Problem, Target, find_estimator


def fit(name, setting, **options):
    scenario = cibench.find_scenario("observables/plr")(**setting)
    drawn = scenario.draw(400, np.random.default_rng(2))
    target = Target(scenario.estimand)
    problem = Problem(drawn.columns, scenario.assigned_roles(), (target,), 0.95)
    return find_estimator(name).fit(problem, np.random.default_rng(1), **options), drawn


def test_the_columns_after_treatment_are_left_out():
    found, drawn = fit("regression/before-treatment", {"mediation": 0.4, "collision": 0.5})
    names = [f"x{j + 1}" for j in range(20)]
    design = sm.add_constant(np.column_stack([drawn.columns[c] for c in ("d", *names)]))
    own = sm.OLS(drawn.columns["y"], design).fit(cov_type="HC1", use_t=True)
    np.testing.assert_allclose([found.value, found.se], [own.params[1], own.bse[1]], rtol=1e-9)


def test_with_nothing_after_treatment_it_is_plain_least_squares():
    setting = {"mediation": 0.4}
    found, _ = fit("regression/before-treatment", setting, after="")
    plain, _ = fit("statsmodels/ols", setting)
    assert (found.value, found.se) == (plain.value, plain.se)
