"""The new store and its relatives: moments, what the dials move, the naive bias as stated."""

import sys

import numpy as np
import pytest

from cibench import find_scenario
from cibench.model.streams import stream

Cold = find_scenario("business/cold-start")


def draw(n=40, replicate=0, **fields):
    return Cold(**fields).draw(n, stream("test", "cold", replicate))


def test_the_new_store_has_few_rows_and_the_others_many():
    drawn = draw(5, rows=20, history=100)
    assert np.array_equal(np.bincount(drawn.columns["store"]), [20, 100, 100, 100, 100])
    assert np.array_equal(drawn.target, drawn.columns["new"] == 1)
    assert np.array_equal(drawn.target, drawn.columns["store"] == 0)


def test_a_gap_moves_the_others_effects_and_leaves_the_new_stores():
    plain, moved = draw(), draw(gap=0.5)
    assert np.allclose(moved.effects - plain.effects, 0.5 * (plain.columns["store"] > 0))
    assert np.array_equal(moved.baseline, plain.baseline)
    assert np.array_equal(moved.columns["d"], plain.columns["d"])


def test_spread_is_the_standard_deviation_of_effects_between_stores():
    n = 20_000
    drawn = draw(n, spread=0.25, rows=20, history=8)
    first = np.unique(drawn.columns["store"], return_index=True)[1]
    effects = drawn.effects[first]
    assert effects.mean() == pytest.approx(0.5, abs=4 * 0.25 / np.sqrt(n))
    assert effects.std() == pytest.approx(0.25, rel=4 / np.sqrt(2 * n))
    own = [draw(2, k, spread=0.25).effects[0] for k in range(2000)]  # drawn anew each time
    assert np.std(own) == pytest.approx(0.25, rel=4 / np.sqrt(4000))


def test_promotions_are_random_within_a_store():
    drawn = draw(400, selection=2.0)
    d, store = drawn.columns["d"], drawn.columns["store"]
    rest = drawn.baseline - (np.bincount(store, drawn.baseline) / np.bincount(store))[store]
    centred = d - (np.bincount(store, d) / np.bincount(store))[store]
    assert abs((rest * centred).mean()) < 4 * (rest * centred).std() / np.sqrt(d.size)


def test_a_difference_in_means_is_off_as_stated():
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    average = (weights * nodes / (1 + np.exp(-0.5 * nodes))).sum() / weights.sum()
    exact = 4 * average  # E[a | 1] - E[a | 0], both kinds equally frequent
    assert "0.4721" in sys.modules[Cold.__module__].__doc__
    assert exact == pytest.approx(0.4721, abs=5e-5)
    n = 20_000
    drawn = draw(n, rows=20, history=8)
    y, d = drawn.columns["y"], drawn.columns["d"]
    found = y[d == 1].mean() - y[d == 0].mean() - 0.5
    assert found == pytest.approx(exact, abs=4 * 2 * np.sqrt(1 / n + 1 / (8 * n)))
