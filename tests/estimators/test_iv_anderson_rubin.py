"""The Anderson-Rubin set against brute force: every value tested by a regression of its own."""

import numpy as np
import pytest
from scipy import stats

from cibench import (
    Estimand,
    Problem,
    Roles,
    Target,
    find_estimator,
    find_scenario,
)
from cibench.estimators.iv_anderson_rubin import solve
from cibench.metrics.intervals import covers
from cibench.model.streams import stream

FIT = find_estimator("iv/anderson-rubin").fit
ASKED = (Target(Estimand.COEFFICIENT),)
GRID = np.concatenate([-np.geomspace(1e-3, 1e4, 150)[::-1], [0], np.geomspace(1e-3, 1e4, 150)])


def holds(answer, b):
    return covers(answer.low, answer.high, b, answer.outside)


@pytest.mark.parametrize("a", [-2.0, -1e-9, 0.0, 1e-9, 0.5])
@pytest.mark.parametrize("h", [-3.0, 0.0, 1e-4, 2.0])
@pytest.mark.parametrize("c", [-1.0, 0.0, 1e-3, 4.0])
def test_the_inequality_is_solved_for_every_sign(a, h, c):
    low, high, outside = solve(a, h, c)
    value = a * GRID**2 - 2 * h * GRID + c
    # at a root rounding decides
    clear = np.abs(value) > 1e-9 * (abs(a) * GRID**2 + np.abs(2 * h * GRID) + abs(c))
    assert np.array_equal(covers(low, high, GRID, outside)[clear], (value <= 0)[clear])


def problem_of(seed, count=1, strength=0.0, clash=0.0, direct=0.0, n=40, covariates=0):
    """Draw a data set; with `clash` the instruments point at different coefficients."""
    rng = np.random.default_rng(seed)
    z, x = rng.normal(size=(n, count)), rng.normal(size=(n, covariates))
    v = rng.normal(size=n)
    d = strength * z.sum(axis=1) + x.sum(axis=1) + v
    y = 0.5 * d + x @ np.ones(covariates) + 0.8 * v + rng.normal(size=n)
    y = y + clash * (z[:, 0] - z[:, -1]) + direct * z[:, 0]
    columns = {"y": y, "d": d, **{f"z{k}": z[:, k] for k in range(count)}}
    columns |= {f"x{k}": x[:, k] for k in range(covariates)}
    names = [tuple(f"{kind}{k}" for k in range(m)) for kind, m in (("z", count), ("x", covariates))]
    return Problem(columns, Roles(instruments=names[0], covariates=names[1]), ASKED)


def f_test(problem, b):
    """Return statistic and p-value of the instruments' F in a regression of y - b d."""
    n = problem.outcome.size
    exogenous = np.column_stack(
        [np.ones(n), *(problem.columns[c] for c in problem.roles.covariates)]
    )
    left = problem.outcome - b * problem.treatment
    rss = [
        np.sum((left - x @ np.linalg.lstsq(x, left)[0]) ** 2)
        for x in (exogenous, np.column_stack([exogenous, problem.instruments]))
    ]
    count = problem.instruments.shape[1]
    spare = n - exogenous.shape[1] - count
    f = (rss[0] - rss[1]) / count / (rss[1] / spare)
    return f, stats.f.sf(f, count, spare)


CASES = {
    "interval": {"strength": 1.0},
    "rays": {"strength": 0.0, "direct": 1.0},
    "line": {"strength": 0.0, "n": 15},
    "several": {"strength": 0.5, "count": 3, "covariates": 2},
    "empty": {"strength": 1.0, "count": 3, "clash": 2.0},
}


def shape(answer):
    if answer.outside:
        return "rays"
    if answer.low > answer.high:
        return "empty"
    return "line" if np.isinf(answer.high) else "interval"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", range(6))
def test_the_set_is_where_the_f_test_does_not_reject(case, seed):
    problem = problem_of(seed, **CASES[case])
    answer = FIT(problem, None)
    centre = np.linspace(-3, 3, 121)
    for b in np.concatenate([GRID[::6], centre]):
        p = f_test(problem, b)[1]
        if abs(p - 0.05) > 1e-6:
            assert holds(answer, b) == (p > 0.05), b


def test_every_shape_was_among_the_data_sets():
    seen = {
        shape(FIT(problem_of(seed, **case), None)) for case in CASES.values() for seed in range(6)
    }
    assert seen == {"interval", "rays", "line", "empty"}


@pytest.mark.parametrize("case", CASES)
def test_limits_are_where_the_p_value_is_one_minus_the_level(case):
    for level in (0.8, 0.95):
        problem = problem_of(3, **CASES[case])
        answer = FIT(Problem(problem.columns, problem.roles, ASKED, level), None)
        for limit in (answer.low, answer.high):
            if np.isfinite(limit):
                assert f_test(problem, limit)[1] == pytest.approx(1 - level, abs=1e-8)


def test_statistic_and_p_value_are_those_of_no_effect():
    problem = problem_of(1, count=3, covariates=2, strength=0.4)
    answer = FIT(problem, None)
    assert (answer.statistic, answer.p_value) == pytest.approx(f_test(problem, 0.0), rel=1e-9)
    assert (answer.p_value < 0.05) == (not holds(answer, 0.0))


def test_units_do_not_matter():
    problem = problem_of(2, count=2, covariates=1, strength=0.5)
    plain = FIT(problem, None)
    columns = dict(problem.columns)
    columns["y"], columns["d"] = 1e6 * columns["y"], 1e-3 * columns["d"]
    columns["z0"], columns["x0"] = 1e5 * columns["z0"] + 7e5, 1e-4 * columns["x0"] - 3
    scaled = FIT(Problem(columns, problem.roles, ASKED), None)
    assert (scaled.low / 1e9, scaled.high / 1e9) == pytest.approx((plain.low, plain.high), rel=1e-6)


@pytest.mark.parametrize(("count", "strength"), [(1, 0.1), (1, 1.0), (4, 0.1)])
def test_coverage_is_exact_in_twelve_rows_however_weak_the_instruments(count, strength):
    draws = 2000
    held = [
        holds(FIT(problem_of((count, k), count=count, strength=strength, n=12), None), 0.5)
        for k in range(draws)
    ]
    assert np.mean(held) == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / draws))


def test_nearly_half_of_the_sets_are_two_rays_at_mu2_4_and_only_outside_scores_them_right():
    scenario, draws = find_scenario("iv/just-identified")(mu2=4, rho=0.95), 2000
    answers = []
    for k in range(draws):
        drawn = scenario.draw(200, stream("test", "rays", k))
        answers.append(FIT(Problem.of(drawn, scenario.roles, ASKED), None))
    low, high, outside = (
        np.array([getattr(a, name) for a in answers]) for name in ("low", "high", "outside")
    )
    # 0.4838 for large n, see tests/scenarios/test_iv_weakness.py
    assert outside.mean() == pytest.approx(0.484, abs=3 * 0.5 / np.sqrt(draws))
    error = 3 * np.sqrt(0.95 * 0.05 / draws)
    assert covers(low, high, scenario.beta, outside).mean() == pytest.approx(0.95, abs=error)
    assert covers(low, high, scenario.beta).mean() < 0.6


def test_weakness_leaves_the_decision_about_the_truth_as_it_is():
    cls = find_scenario("iv/just-identified")
    for k in range(20):
        held = []
        for weakness in (0, 0.96, 1):
            scenario = cls(weakness=weakness)
            drawn = scenario.draw(100, stream("test", "same", k))
            answer = FIT(Problem.of(drawn, scenario.roles, ASKED), None)
            held.append(bool(holds(answer, scenario.beta)))
        assert len(set(held)) == 1
