"""Frequencies are rows repeated, survey weights have no unit, and other libraries agree."""

import numpy as np
import pytest

from cibench import Declined, find_estimator, find_scenario
from cibench.model.types import Problem

pytestmark = pytest.mark.filterwarnings("ignore")  # pyfixest calls pandas as it used to be


def drawn(name, n=160, seed=3, **parameters):
    scenario = find_scenario(name)(**parameters)
    draw = scenario.draw(n, np.random.default_rng(seed))
    return Problem.of(draw, scenario.assigned_roles(), scenario.targets(), 0.9)


def fitted(name, problem, **options):
    found = find_estimator(name).fit(problem, np.random.default_rng(0), **options)
    return np.array([found.value, found.se, found.low, found.high])


def design(problem, rows=slice(None)):
    parts = [problem.treatment, np.ones(problem.outcome.size), problem.covariates.T]
    return problem.outcome[rows], np.column_stack([np.vstack(parts).T])[rows]


@pytest.mark.parametrize("errors, cov", [("iid", "nonrobust"), ("HC1", "HC1")])
def test_a_frequency_is_the_row_that_often_by_another_library(errors, cov):
    from statsmodels.regression.linear_model import OLS

    problem = drawn("quirks/frequency")
    again = np.repeat(np.arange(160), problem.columns["weight"].astype(int))
    fit = OLS(*design(problem, again)).fit(cov_type=cov, use_t=True)
    expected = [fit.params[0], fit.bse[0], *fit.conf_int(0.1)[0]]
    found = fitted("weighted/frequency", problem, errors=errors)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_frequencies_in_clusters_are_the_row_that_often_too():
    from statsmodels.regression.linear_model import OLS

    problem = drawn("quirks/frequency", clustered=True)
    again = np.repeat(np.arange(160), problem.columns["weight"].astype(int))
    groups = {"groups": problem.columns["cluster"][again]}
    fit = OLS(*design(problem, again)).fit(cov_type="cluster", cov_kwds=groups, use_t=True)
    expected = [fit.params[0], fit.bse[0], *fit.conf_int(0.1)[0]]
    np.testing.assert_allclose(fitted("weighted/frequency", problem), expected, rtol=1e-9)


def test_survey_weights_by_another_library():
    from linearmodels.iv import IV2SLS

    problem = drawn("quirks/survey")
    y, x = design(problem)
    fit = IV2SLS(y, x, None, None, weights=problem.columns["weight"]).fit(cov_type="robust")
    found = fitted("weighted/survey", problem, errors="HC0")
    np.testing.assert_allclose(found[:2], [fit.params.iloc[0], fit.std_errors.iloc[0]], rtol=1e-9)


@pytest.mark.parametrize("clustered", [False, True])
def test_errors_and_limits_of_survey_weights_are_the_sandwich_by_hand(clustered):
    from scipy.stats import t

    problem = drawn("quirks/survey", clustered=clustered)
    (y, x), weight = design(problem), problem.columns["weight"]
    bread = np.linalg.inv((x * weight[:, None]).T @ x)
    beta = bread @ (x * weight[:, None]).T @ y
    scores = x * (weight * (y - x @ beta))[:, None]
    n, k = x.shape
    rows = problem.columns["cluster"] if clustered else np.arange(n)
    sums = np.array([scores[rows == group].sum(axis=0) for group in np.unique(rows)])
    groups = len(sums)
    # HC1, and with G clusters CR1: G/(G - 1) (n - 1)/(n - k), Student's with G - 1
    scale = groups / (groups - 1) * (n - 1) / (n - k)
    se = np.sqrt(scale * (bread @ sums.T @ sums @ bread)[0, 0])
    reach = t.ppf(0.95, groups - 1 if clustered else n - k) * se
    expected = [beta[0], se, beta[0] - reach, beta[0] + reach]
    np.testing.assert_allclose(fitted("weighted/survey", problem), expected, rtol=1e-9)


def test_a_naive_fit_of_the_sampled_rows_is_off_by_what_the_scenario_says():
    problem = drawn("quirks/survey", n=400_000)
    naive = fitted("linearmodels/ols", problem)
    assert abs(naive[0] - 1 - 1 / np.pi) < 4 * naive[1]
    weighted = fitted("weighted/survey", problem)
    assert abs(weighted[0] - 1) < 4 * weighted[1]


def test_frequencies_taken_for_survey_weights_double_the_error():
    """The sum of squared weights over that of weights, (3 + 9) / 3, in the square."""
    problem = drawn("quirks/frequency", n=40_000)
    from statsmodels.regression.linear_model import WLS

    y, x = design(problem)
    weight = problem.columns["weight"]
    wrong = WLS(y, x, weights=weight).fit(cov_type="HC0").bse[0]
    right = fitted("weighted/frequency", problem)[1]
    assert wrong / right == pytest.approx(2, rel=0.02)


def test_what_no_weight_can_be_is_declined():
    from dataclasses import replace

    for name, role in (
        ("weighted/survey", "quirks/survey"),
        ("weighted/frequency", "quirks/frequency"),
    ):
        problem = drawn(role)
        for bad in (-1.0, np.nan, np.inf):
            spoilt = {**problem.columns, "weight": np.r_[bad, problem.columns["weight"][1:]]}
            with pytest.raises(Declined, match="negative, missing or infinite"):
                fitted(name, replace(problem, columns=spoilt))
    halves = {**problem.columns, "weight": problem.columns["weight"] + 0.5}
    with pytest.raises(Declined, match="not whole"):
        fitted("weighted/frequency", replace(problem, columns=halves))


def test_who_knows_no_weights_declines_by_declaration_where_there_are_none():
    for name, scenario in (("weighted/survey", "frequency"), ("weighted/frequency", "survey")):
        reason = find_estimator(name).declines(find_scenario(f"quirks/{scenario}")())
        assert "needs the role" in reason
