"""The declared wage panel against the data, the errors' moments, and what each dial does."""

import sys

import numpy as np
import pytest

from cibench import find_scenario
from cibench.model.streams import stream

Factor = find_scenario("sc/factor-model")
MODULE = sys.modules[Factor.__module__]
WAGES = MODULE.wages
POST = 30


def draw(n=50, replicate=0, **fields):
    return Factor(**fields).draw(n, stream("test", "sc", replicate))


def panel(drawn, name):
    return drawn.columns[name].reshape(len(np.unique(drawn.columns["unit"])), -1)


@pytest.fixture(scope="module")
def standardised():
    synthdid = pytest.importorskip("synthdid")
    wide = synthdid.load_cps().pivot(index="state", columns="year", values="log_wage")
    assert list(wide.columns) == list(WAGES.YEARS)
    values = wide.to_numpy()
    return (values - values.mean()) / values.std()


def test_the_declared_panel_is_the_rank_four_part_of_the_wages(standardised):
    u, s, v = np.linalg.svd(standardised, full_matrices=False)
    low_rank = (u[:, :4] * s[:4]) @ v[:4]
    assert np.allclose(WAGES.LOADINGS @ WAGES.FACTORS.T, low_rank, atol=5e-4)
    both = MODULE.ADDITIVE + MODULE.INTERACTIVE
    assert np.allclose(both, low_rank, atol=5e-4)
    assert (
        np.allclose(MODULE.INTERACTIVE.mean(axis=0), 0)
        and np.linalg.matrix_rank(MODULE.INTERACTIVE, tol=1e-6) == 4
    )


def test_chances_are_a_logit_of_minimum_wage_laws_on_the_loadings(standardised):
    from scipy.optimize import minimize
    from synthdid import load_cps

    law = load_cps().groupby("state")["min_wage"].max().to_numpy().astype(float)
    u = np.linalg.svd(standardised, full_matrices=False)[0][:, :4] * np.sqrt(50)
    x = np.column_stack([np.ones(50), u])
    fit = minimize(
        lambda b: np.logaddexp(0, x @ b).sum() - law @ (x @ b), np.zeros(5), method="BFGS", tol=1e-9
    )
    assert np.allclose(WAGES.CHANCES, 1 / (1 + np.exp(-x @ fit.x)), atol=5e-4)


def test_noise_is_what_the_wages_leave(standardised):
    u, s, v = np.linalg.svd(standardised, full_matrices=False)
    rest = standardised - (u[:, :4] * s[:4]) @ v[:4]
    y, x = rest[:, 2:].ravel(), np.column_stack([rest[:, 1:-1].ravel(), rest[:, :-2].ravel()])
    found = np.linalg.lstsq(x, y, rcond=None)[0]
    assert np.allclose(WAGES.AUTOREGRESSION, found, atol=0.005)
    size = np.linalg.norm(rest.T @ rest / 50) / np.linalg.norm(MODULE._correlations())
    assert np.isclose(WAGES.NOISE, np.sqrt(size), atol=5e-4)


def test_errors_are_a_stationary_ar_2_process():
    n = 20_000
    plain = panel(draw(n, noise=1.0), "y") - panel(draw(n, noise=0.0), "y")
    assert plain.std() == pytest.approx(WAGES.NOISE, rel=4 / np.sqrt(2 * plain.size))
    scaled = plain / WAGES.NOISE
    one, two = WAGES.AUTOREGRESSION
    innovation = scaled[:, 2:] - one * scaled[:, 1:-1] - two * scaled[:, :-2]
    for lag in (1, 2, 3):
        product = (innovation[:, lag:] * innovation[:, :-lag]).mean()
        assert abs(product) < 4 / np.sqrt(innovation[:, lag:].size)


@pytest.mark.parametrize(("n", "treated"), [(50, 10), (50, 1), (2, 10), (300, 10), (7, 3)])
def test_a_few_states_are_treated_and_one_donor_at_least_is_left(n, treated):
    for replicate in range(20):
        group = panel(draw(n, replicate, treated=treated), "d")
        ever = group.any(axis=1)
        assert 1 <= ever.sum() <= min(treated, n - 1)
        assert not group[:, :POST].any() and group[ever][:, POST:].all()


def test_states_are_treated_with_their_chances():
    count, rounds = np.zeros(50), 4000
    for replicate in range(rounds):
        count += panel(draw(replicate=replicate, treated=49), "d")[:, -1]
    chances = WAGES.CHANCES
    error = np.sqrt(chances * (1 - chances) / rounds) + 1e-3  # where none came up one is taken
    assert np.all(np.abs(count / rounds - chances) < 4 * error)


def test_outside_moves_the_treated_along_the_leading_factor_in_all_years():
    change = panel(draw(outside=2.0), "y") - panel(draw(), "y")
    group = panel(draw(), "d").any(axis=1)
    assert np.allclose(change[group], 2 * MODULE.LEADING) and not change[~group].any()
    loadings = MODULE.INTERACTIVE @ MODULE.LEADING / (MODULE.LEADING @ MODULE.LEADING)
    assert loadings.std() == pytest.approx(1) and loadings.mean() == pytest.approx(0, abs=1e-9)


def test_outside_at_its_largest_leaves_the_donors_hull():
    from scipy.optimize import nnls

    plain, moved = draw(noise=0.0), draw(noise=0.0, outside=4.0)
    gaps = []
    for drawn in (plain, moved):
        y, group = panel(drawn, "y")[:, :POST], panel(drawn, "d").any(axis=1)
        design = np.vstack([y[~group].T, 1e4 * np.ones((~group).sum())])
        target = np.append(y[group].mean(axis=0), 1e4)
        gaps.append(nnls(design, target)[1])
    assert gaps[1] > 5 * gaps[0]


def test_a_break_moves_them_from_2009_on():
    change = panel(draw(structural_break=1.0), "y") - panel(draw(), "y")
    group = panel(draw(), "d").any(axis=1)
    assert np.allclose(change[group][:, POST:], MODULE.LEADING[POST:])
    assert not change[:, :POST].any() and not change[~group].any()
    assert stated("0.076") == pytest.approx(MODULE.LEADING[POST:].mean(), abs=5e-4)


def test_lost_years_are_the_first_ones_of_the_same_panel():
    whole, short = draw(), draw(lost=26.0)
    assert np.array_equal(panel(short, "y"), panel(whole, "y")[:, 26:])
    assert np.array_equal(np.unique(short.columns["time"]), np.arange(2005, 2019))


def test_donors_feel_their_share_from_2009_on():
    drawn, plain = draw(spillover=0.5), draw()
    change = panel(drawn, "y") - panel(plain, "y")
    group = panel(drawn, "d").any(axis=1)
    expected = 0.05 * (~group)[:, None] * (np.arange(40) >= POST)
    assert np.allclose(change, expected)
    assert np.array_equal(drawn.exposed.reshape(50, 40), expected > 0)
    assert np.array_equal(drawn.baseline, plain.baseline)


def stated(number):
    assert number in MODULE.__doc__
    return float(number)


def test_differences_in_differences_and_the_naive_method_are_off_as_stated():
    found = []
    for replicate in range(1500):
        drawn = draw(replicate=replicate, effect=0.0)
        y, d = panel(drawn, "y"), panel(drawn, "d")
        group = d.any(axis=1)
        change = y[:, POST:].mean(axis=1) - y[:, :POST].mean(axis=1)
        found.append(
            [change[group].mean() - change[~group].mean(), y[d == 1].mean() - y[d == 0].mean()]
        )
    found = np.array(found)
    error = found.std(axis=0) / np.sqrt(len(found))
    assert stated("0.022") == pytest.approx(found[:, 0].mean(), abs=4 * error[0] + 5e-4)
    assert stated("1.35") == pytest.approx(found[:, 1].mean(), abs=4 * error[1] + 5e-3)
    rmse = np.sqrt((found[:, 0] ** 2).mean())
    assert stated("0.049") == pytest.approx(rmse, rel=4 / np.sqrt(2 * len(found)) + 0.01)
