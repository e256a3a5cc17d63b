"""Least squares, regression per arm, complete cases: by hand, and on NSW and CPS as published."""

import numpy as np
import pytest

from cibench import Declined, Estimand, Problem, Roles, Target, find_estimator

COVARIATES = ("age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75")
ATE = (Target(Estimand.ATE),)


def fit(name, problem, **options):
    return find_estimator(name).fit(problem, np.random.default_rng(1), **options)


@pytest.fixture(scope="module")
def frames():
    from causaldata import cps_mixtape, nsw_mixtape

    return nsw_mixtape.load_pandas().data, cps_mixtape.load_pandas().data


def of_frame(frame, estimand=Estimand.ATE):
    columns = {name: frame[name].to_numpy(float) for name in ("re78", "treat", *COVARIATES)}
    return Problem(columns, Roles("re78", "treat", COVARIATES), (Target(estimand),))


@pytest.fixture(scope="module")
def experiment(frames):
    return of_frame(frames[0])


@pytest.fixture(scope="module")
def observational(frames):
    import pandas as pd

    nsw, cps = frames
    return of_frame(pd.concat([nsw[nsw["treat"] == 1], cps], ignore_index=True))


def problem_of(n=300, estimand=Estimand.ATE, seed=6):
    rng = np.random.default_rng(seed)
    a, b, e = rng.normal(size=(3, n))
    d = (rng.random(n) < 1 / (1 + np.exp(-a))).astype(float)
    y = a + b + d * (1 + a) + e * (1 + 0.5 * a**2)
    y = y * d if estimand is Estimand.MEAN else y
    columns = {"y": y, "d": d, "a": a, "b": b}
    return Problem(columns, Roles(covariates=("a", "b")), (Target(estimand),))


# --- published figures


def test_the_nsw_experiment_and_the_cps_comparison_are_as_published(experiment, observational):
    from statsmodels.api import OLS, add_constant

    for problem, value in ((experiment, 1794.342), (observational, -8497.516)):
        assert fit("naive/difference-in-means", problem).value == pytest.approx(value, abs=5e-4)
    plain = OLS(experiment.outcome, add_constant(experiment.treatment))
    assert plain.fit().bse[1] == pytest.approx(632.853, abs=5e-4)
    assert plain.fit(cov_type="HC1").bse[1] == pytest.approx(670.8, abs=0.05)
    controlled = fit("statsmodels/ols", observational, errors="nonrobust")
    assert controlled.value == pytest.approx(699.13, abs=5e-3)
    assert controlled.se == pytest.approx(547.64, abs=5e-3)


def test_other_adapters_find_the_same_least_squares_on_the_cps_comparison(observational):
    other = fit("bayes/linear-regression", observational, prior=1e4, effect_prior=1e4)
    assert other.value == pytest.approx(699.13, abs=0.05)
    assert other.se == pytest.approx(547.64, rel=1e-3)


# --- least squares


@pytest.mark.parametrize("errors", ["nonrobust", "HC0", "HC1", "HC2", "HC3"])
def test_least_squares_and_its_errors_are_the_textbooks(errors):
    problem = problem_of()
    y, n = problem.outcome, 300
    w = np.column_stack([problem.treatment, np.ones(n), problem.covariates])
    bread = np.linalg.inv(w.T @ w)
    b = bread @ w.T @ y
    e, h = y - w @ b, np.einsum("ij,jk,ik->i", w, bread, w)
    meat = {
        "nonrobust": np.full(n, e @ e / (n - 4)), "HC0": e**2, "HC1": e**2 * n / (n - 4),
        "HC2": e**2 / (1 - h), "HC3": (e / (1 - h)) ** 2,
    }[errors]  # fmt: skip
    covariance = bread @ (w * meat[:, None]).T @ w @ bread
    given = fit("statsmodels/ols", problem, errors=errors)
    assert (given.value, given.se) == pytest.approx((b[0], np.sqrt(covariance[0, 0])), rel=1e-9)


# --- regression per arm


@pytest.mark.parametrize("estimand", [Estimand.ATE, Estimand.ATT, Estimand.MEAN])
def test_regression_per_arm_is_least_squares_with_interactions(estimand):
    from statsmodels.api import OLS

    problem = problem_of(estimand=estimand)
    d, x = problem.treatment, problem.covariates
    centred = x - (x[d == 1] if estimand is Estimand.ATT else x).mean(axis=0)
    design = np.column_stack([d, np.ones(300), centred, d[:, None] * centred])
    assert fit("regression/by-arm", problem).value == pytest.approx(
        OLS(problem.outcome, design).fit().params[0], rel=1e-9
    )


@pytest.mark.parametrize("estimand", [Estimand.ATE, Estimand.ATT, Estimand.MEAN])
def test_its_standard_error_is_that_of_the_influences_found_by_brute_force(estimand):
    n, times = 40, 100
    problem, rows = problem_of(n, estimand), np.repeat(np.arange(40), 100)
    value, changed = fit("regression/by-arm", problem).value, []
    for i in range(n):
        chosen = np.append(rows, i)
        columns = {name: column[chosen] for name, column in problem.columns.items()}
        more = Problem(columns, problem.roles, problem.targets)
        changed.append(fit("regression/by-arm", more).value)
    influence = (np.array(changed) - value) * (n * times + 1)
    se = np.sqrt(np.sum(influence**2)) / n
    assert fit("regression/by-arm", problem).se == pytest.approx(se, rel=0.01)


# --- complete cases


def test_complete_cases_are_a_students_t_interval():
    from scipy.stats import ttest_1samp

    problem = problem_of(estimand=Estimand.MEAN)
    seen = problem.outcome[problem.treatment == 1]
    low, high = ttest_1samp(seen, 0).confidence_interval(0.95)
    given = fit("naive/complete-cases", problem)
    assert (given.value, given.low, given.high) == pytest.approx((seen.mean(), low, high))
    nobody = Problem({**problem.columns, "d": np.zeros(300)}, problem.roles, problem.targets)
    with pytest.raises(Declined, match="0 outcomes are observed"):
        fit("naive/complete-cases", nobody)


def test_unsuitable_data_are_declined_in_words():
    problem = problem_of()
    c = problem.columns
    for name, change, words in (
        ("statsmodels/ols", {"d": c["a"] - c["b"]}, "determine the treatment"),
        ("statsmodels/ols", {"b": 3 * c["a"]}, "collinear"),
        ("regression/by-arm", {"b": np.where(c["d"] == 1, c["a"], c["b"])}, "of the treated are"),
        ("regression/by-arm", {"d": np.eye(300)[0]}, "1 treated rows are too few"),
        ("regression/by-arm", {"d": c["a"]}, "zeros and ones"),
    ):
        with pytest.raises(Declined, match=words):
            fit(name, Problem({**c, **change}, problem.roles, problem.targets))
    alone = Problem({**c, "d": np.eye(300)[0]}, problem.roles, problem.targets)
    with pytest.raises(Declined, match="HC3 errors do not exist"):
        fit("statsmodels/ols", alone, errors="HC3")
    with pytest.raises(ValueError, match="no errors named 'hc3'"):
        fit("statsmodels/ols", problem, errors="hc3")
