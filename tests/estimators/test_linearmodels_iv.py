"""The IV adapters: formulas written out, Card's data, and data that are no IV design."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from cibench import (
    Declined,
    Estimand,
    Problem,
    Roles,
    Target,
    find_estimator,
    find_scenario,
)
from cibench.model.streams import stream

ASKED = (Target(Estimand.COEFFICIENT),)
METHODS = (
    "linearmodels/2sls", "linearmodels/2sls-robust", "linearmodels/liml",
    "linearmodels/liml-robust", "linearmodels/gmm", "linearmodels/gmm-unadjusted",
    "iv/anderson-rubin",
)  # fmt: skip
DIAGNOSTICS = (
    "iv/first-stage-f", "iv/effective-f", "linearmodels/sargan", "linearmodels/hansen-j",
)  # fmt: skip


def fit(name, problem):
    return find_estimator(name).fit(problem, np.random.default_rng(1))


@pytest.fixture(scope="module")
def several():
    """Return data with three instruments, two covariates and errors of unequal variance."""
    rng = np.random.default_rng(1)
    n = 200
    x, z, v = rng.normal(size=(n, 2)), rng.normal(size=(n, 3)), rng.normal(size=n)
    d = 0.3 * z.sum(axis=1) + x[:, 0] + v
    y = 0.5 * d + x @ [1, -1] + (0.6 * v + rng.normal(size=n)) * np.exp(z[:, 0] / 2)
    columns = {"y": y, "d": d, "x1": x[:, 0], "x2": x[:, 1], "z1": z[:, 0], "z2": z[:, 1]}
    roles = Roles(covariates=("x1", "x2"), instruments=("z1", "z2", "z3"))
    return Problem(columns | {"z3": z[:, 2]}, roles, ASKED)


def matrices(problem):
    """Return outcome, regressors with the treatment first, and all exogenous columns."""
    ones = np.ones(problem.outcome.size)
    x = np.column_stack([problem.treatment, ones, problem.covariates])
    return problem.outcome, x, np.column_stack([ones, problem.covariates, problem.instruments])


def projected(columns, onto):
    return onto @ np.linalg.lstsq(onto, columns)[0]


def test_two_stage_least_squares_and_its_errors(several):
    y, x, z = matrices(several)
    fitted = projected(x, z)
    beta = np.linalg.solve(fitted.T @ x, fitted.T @ y)
    e, bread = y - x @ beta, np.linalg.inv(fitted.T @ fitted)
    plain = np.sqrt(bread[0, 0] * np.mean(e**2))
    scores = fitted * e[:, None]
    robust = np.sqrt((bread @ scores.T @ scores @ bread)[0, 0])
    for name, se in (("2sls", plain), ("2sls-robust", robust)):
        given = fit(f"linearmodels/{name}", several)
        expected = (beta[0], se, beta[0] - 1.959964 * se, beta[0] + 1.959964 * se)
        assert (given.value, given.se, given.low, given.high) == pytest.approx(expected, rel=1e-6)


def test_liml_minimises_the_anderson_rubin_statistic(several):
    y, x, z = matrices(several)
    outer, inner = x[:, 1:], z

    def ratio(b):
        e = y - b * x[:, 0]
        return np.sum((e - projected(e, outer)) ** 2) / np.sum((e - projected(e, inner)) ** 2)

    best = minimize_scalar(ratio, bracket=(0, 1), tol=1e-12)
    for name in ("liml", "liml-robust"):
        assert fit(f"linearmodels/{name}", several).value == pytest.approx(best.x, abs=1e-6)
    # its errors are those of the k-class with k the minimum
    k = best.fun
    w = x - k * (x - projected(x, z))
    beta = np.linalg.solve(w.T @ x, w.T @ y)
    se = np.sqrt(np.linalg.inv(w.T @ x)[0, 0] * np.mean((y - x @ beta) ** 2))
    assert fit("linearmodels/liml", several).se == pytest.approx(se, rel=1e-6)


def test_gmm_weighs_moments_by_their_inverse_covariance(several):
    y, x, z = matrices(several)
    first = fit("linearmodels/2sls", several).value

    def step(w):
        cross = x.T @ z @ w
        return np.linalg.solve(cross @ z.T @ x, cross @ z.T @ y)

    one = step(np.linalg.inv(z.T @ z))
    assert one[0] == pytest.approx(first, rel=1e-9)
    scores = z * (y - x @ one)[:, None]
    beta = step(np.linalg.inv(scores.T @ scores))
    given = fit("linearmodels/gmm", several)
    assert given.value == pytest.approx(beta[0], rel=1e-8)
    assert abs(given.value - first) > 1e-4
    plain, unadjusted = (fit(f"linearmodels/{n}", several) for n in ("2sls", "gmm-unadjusted"))
    assert (unadjusted.value, unadjusted.se) == pytest.approx((plain.value, plain.se), rel=1e-8)


def test_with_one_instrument_all_of_them_are_the_ratio_of_two_slopes():
    scenario = find_scenario("iv/just-identified")()
    drawn = scenario.draw(300, stream("test", "one"))
    problem = Problem.of(drawn, scenario.roles, ASKED)
    y, d, z = (drawn.columns[name] for name in "ydz")
    ratio = np.cov(z, y)[0, 1] / np.cov(z, d)[0, 1]
    for name in METHODS[:-1]:
        assert fit(name, problem).value == pytest.approx(ratio, rel=1e-8)
        assert not find_estimator(name).moments


def test_least_squares_leaves_the_instruments_out(several):
    y, x, _ = matrices(several)
    beta, (rss,), *_ = np.linalg.lstsq(x, y)
    se = np.sqrt(np.linalg.inv(x.T @ x)[0, 0] * rss / y.size)
    given = fit("linearmodels/ols", several)
    assert (given.value, given.se) == pytest.approx((beta[0], se), rel=1e-8)
    still = Problem({**several.columns, "z1": np.ones(y.size)}, several.roles, ASKED)
    assert fit("linearmodels/ols", still).value == given.value


def cards():
    """Return Card's (1995) data: schooling, instrumented by a college nearby."""
    from linearmodels.datasets import card

    data = card.load()
    names = ("exper", "expersq", "black", "south", "smsa", "smsa66")
    covariates = (*names, *(f"reg66{k}" for k in range(1, 9)))
    data = data.assign(expersq=data["exper"] ** 2)
    chosen = ["lwage", "educ", "nearc4", *covariates]
    columns = {name: data[name].to_numpy(dtype=float) for name in chosen}
    roles = Roles("lwage", "educ", covariates=covariates, instruments=("nearc4",))
    return Problem(columns, roles, ASKED)


def test_cards_figures():
    problem = cards()
    given = fit("linearmodels/2sls", problem)
    assert (given.value, given.se) == pytest.approx((0.131504, 0.054817), abs=5e-7)
    assert fit("linearmodels/ols", problem).value == pytest.approx(0.074693, abs=5e-7)
    # the published 13.33 divides the residual variance by n; the textbook's F by n - k
    f = fit("iv/first-stage-f", problem)
    n, k = 3010, 16
    assert f.statistic * n / (n - k) == pytest.approx(13.33, abs=0.005)
    assert f.statistic == pytest.approx(13.256, abs=5e-4)
    assert not f.passed
    wide = fit("iv/anderson-rubin", problem)  # as in the documentation of Stata's iv.sensemakr
    assert (wide.low, wide.high) == pytest.approx((0.0248, 0.2848), abs=5e-5)


def broken(several, what):
    columns, n = dict(several.columns), several.outcome.size
    columns |= {
        "still": {"z2": np.full(n, 3.0)},
        "twins": {"z2": 2 * columns["z1"] - 1},
        "covariate": {"z2": columns["x1"] + 0},
        "treated": {"d": np.ones(n)},
        "flat": {"y": np.zeros(n)},
        "singular": {"x2": 1 - columns["x1"]},
        "determined": {"d": columns["x1"] - columns["x2"]},
        "missing": {"z2": np.where(np.arange(n) == 5, np.nan, columns["z2"])},
        "few": {},
    }[what]
    rows = slice(0, 7) if what == "few" else slice(None)
    return Problem({k: c[rows] for k, c in columns.items()}, several.roles, ASKED)


REASONS = {
    "still": "the instrument 'z2' never moves: it is 3 in all rows",
    "twins": "the instruments are collinear",
    "covariate": "the instruments are collinear",
    "treated": "the treatment never changes: it is 1 in all rows",
    "flat": "the outcome never changes",
    "singular": "the design is singular: the covariates are collinear",
    "determined": "the covariates determine the treatment",
    "missing": "column 'z2' has missing or infinite values",
    "few": "7 rows are too few for 3 instruments and 2 covariates",
}


@pytest.mark.parametrize("what", REASONS)
@pytest.mark.parametrize("name", [*METHODS, *DIAGNOSTICS, "doubleml/pliv"])
def test_what_is_no_design_is_declined_in_words(several, name, what):
    with pytest.raises(Declined, match=REASONS[what]):
        fit(name, broken(several, what))


@pytest.mark.parametrize("what", ["treated", "flat", "singular", "determined"])
def test_least_squares_declines_likewise(several, what):
    with pytest.raises(Declined, match=REASONS[what]):
        fit("linearmodels/ols", broken(several, what))


def test_least_squares_declines_too_few_rows(several):
    few = Problem({k: c[:5] for k, c in several.columns.items()}, several.roles, ASKED)
    with pytest.raises(Declined, match="5 rows are too few for 2 covariates"):
        fit("linearmodels/ols", few)


def test_an_instrument_that_is_the_treatment_leaves_nothing_to_correct(several):
    columns = {**several.columns, "d": several.columns["z1"]}
    problem = Problem(columns, several.roles, ASKED)
    plain = fit("linearmodels/ols", problem).value
    for name in ("linearmodels/2sls", "linearmodels/liml"):
        assert fit(name, problem).value == pytest.approx(plain, rel=1e-8)
    for name in ("iv/first-stage-f", "iv/effective-f"):
        with pytest.raises(Declined, match="the instruments determine the treatment"):
            fit(name, problem)
