"""The recall's curve, what its dials do to the outcome, and the biases its docstring states."""

import sys

import numpy as np
import pytest

from cibench import Estimand, Problem, Target, find_estimator, find_scenario
from cibench.model.streams import stream

Recall = find_scenario("business/recall")
N = 40


def draw(n=N, replicate=0, **fields):
    return Recall(**fields).draw(n, stream("test", "recall", replicate))


def panel(drawn, name, n=N):
    return drawn.columns[name].reshape(n, -1)


def stated(number):
    assert number in sys.modules[Recall.__module__].__doc__
    return float(number)


def test_the_curve_halves_what_is_missing_every_half_life():
    truth = Recall(depth=-0.8, half_life=3).truth()
    by_week = [truth[Target(Estimand.ATT, k)] for k in range(12)]
    assert by_week[0] == -0.8 and by_week[3] == pytest.approx(-0.4)
    assert by_week[9] == pytest.approx(-0.1)
    assert truth[Target(Estimand.ATT)] == pytest.approx(np.mean(by_week))
    assert stated("-0.2750") == pytest.approx(Recall().truth()[Target(Estimand.ATT)], abs=5e-5)


def test_the_first_product_of_every_store_is_recalled_even_where_the_range_is_cut():
    drawn = draw(34)
    group = panel(drawn, "d", 34).any(axis=1)
    assert np.array_equal(np.flatnonzero(group), [0, 10, 20, 30])
    assert np.array_equal(np.unique(drawn.columns["store"]), np.arange(4))
    with pytest.raises(ValueError, match="lies after the last week"):
        Recall(recall=24)
    with pytest.raises(ValueError, match="leave no product to compare with"):
        Recall(substitutes=9)


def test_substitutes_gain_what_the_product_loses():
    change = panel(draw(substitution=0.5), "y") - panel(draw(), "y")
    curve = 0.6 * 0.5 ** (np.arange(12) / 4)
    products = np.arange(N) % 10
    gains = (products > 0) & (products <= 3)
    assert np.allclose(change[gains][:, 12:], 0.5 * curve)
    assert not change[~gains].any() and not change[:, :12].any()


def test_a_leak_is_felt_two_weeks_early_by_the_product_alone():
    drawn = draw(leakage=0.5)
    change = panel(drawn, "y") - panel(draw(), "y")
    expected = np.zeros((N, 24))
    expected[::10, 10:12] = -0.3
    assert np.allclose(change, expected)
    assert np.array_equal(drawn.exposed.reshape(N, 24), expected != 0)


def test_stockouts_bring_customers_in_their_share_of_the_stores():
    n = 20_000
    change = panel(draw(n, stockout=0.25), "y", n) - panel(draw(n), "y", n)
    hit = change[::10, 12:].mean(axis=1)
    assert np.allclose(hit[hit > 0], 0.4) and not change[:, :12].any()
    assert (hit > 0).mean() == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / 2000))
    change[::10] = 0
    assert not change.any()


@pytest.mark.parametrize(
    ("dials", "number", "exact"),
    [
        ({"substitution": 0.5}, "-0.0458", None),
        ({"leakage": 1.0}, "0.1", 0.1),
        ({"stockout": 0.5}, "0.2", 0.2),
    ],
)
def test_two_way_fixed_effects_are_off_as_stated(dials, number, exact):
    def answer(**fields):
        drawn = draw(4000, **fields)
        problem = Problem.of(drawn, Recall.roles, (Target(Estimand.ATT),))
        return find_estimator("sc/did").fit(problem, stream("fit"), placebos=2).value

    exact = 0.5 * 3 / 9 * Recall().truth()[Target(Estimand.ATT)] if exact is None else exact
    assert stated(number) == pytest.approx(exact, abs=5e-5)
    stores = 4 * 0.4 * np.sqrt(0.25 / 400) if "stockout" in dials else 1e-9  # which are hit
    assert answer(**dials) - answer() == pytest.approx(exact, abs=stores)


def test_a_difference_in_means_is_off_as_stated():
    assert stated("0.947") == pytest.approx(18 / 19, abs=5e-4)
    found = []
    for replicate in range(60):
        drawn = draw(100, replicate)
        y, d = drawn.columns["y"], drawn.columns["d"]
        found.append(y[d == 1].mean() - y[d == 0].mean() - drawn.effects[d == 1].mean())
    assert np.mean(found) == pytest.approx(18 / 19, abs=4 * np.std(found) / np.sqrt(60))
