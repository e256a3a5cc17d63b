"""The four cells of the repeated cross-sections, and who is met in them."""

import numpy as np
import pytest

from cibench import find_scenario
from cibench.model.streams import stream

RepeatedCrossSections = find_scenario("did/repeated-cross-sections")
N = 40_000


def draw(n=N, **fields):
    return RepeatedCrossSections(**fields).draw(n, stream("test", "cross-sections"))


def cells(drawn, name):
    group, time = drawn.columns["cohort"], drawn.columns["time"]
    return np.array([[drawn.columns[name][(group == g) & (time == t)].mean() for t in (0, 1)]
                     for g in (0, 1)])  # fmt: skip


def difference_in_differences(drawn):
    (control_0, control_1), (treated_0, treated_1) = cells(drawn, "y")
    return treated_1 - treated_0 - control_1 + control_0


def held_x(drawn):
    c = drawn.columns
    design = np.column_stack([c["d"], c["cohort"], c["time"], c["x"], np.ones(c["y"].size)])
    return np.linalg.lstsq(design, c["y"])[0][0]


def test_a_quarter_of_the_rows_is_in_each_cell_and_the_last_is_treated():
    drawn = draw(8)
    keys = np.column_stack([drawn.columns["cohort"], drawn.columns["time"]])
    found, counts = np.unique(keys, axis=0, return_counts=True)
    assert found.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert counts.tolist() == [2, 2, 2, 2]
    assert np.array_equal(drawn.columns["d"], keys.prod(axis=1))


def test_the_covariate_is_higher_by_the_imbalance_among_the_treated_before_and_after():
    error = np.sqrt(4 / N)
    assert np.allclose(cells(draw(), "x"), [[0, 0], [0.5, 0.5]], atol=4 * error)


def test_the_difference_in_differences_is_the_effect():
    # in each cell outcomes have the variance of x and of the error
    assert difference_in_differences(draw()) == pytest.approx(0.5, abs=4 * np.sqrt(4 * 2 * 4 / N))


def test_composition_moves_who_is_met_of_the_treated_group_afterwards():
    plain, moved = draw(), draw(composition=0.2, slope=2.0)
    shift = moved.columns["x"] - plain.columns["x"]
    assert np.allclose(shift, 0.2 * plain.columns["d"])
    outcome = moved.columns["y"] - draw(slope=2.0).columns["y"]
    assert np.allclose(outcome, 2 * 0.2 * plain.columns["d"])


def test_composition_misleads_means_by_slope_times_shift_and_not_a_fit_that_holds_x():
    plain, moved = draw(), draw(composition=0.5)
    assert difference_in_differences(moved) - difference_in_differences(plain) == pytest.approx(0.5)
    # the fit is off by the shift times the error of its slope alone
    assert held_x(moved) == pytest.approx(held_x(plain), abs=4 * 0.5 / np.sqrt(N))


def test_a_trend_moves_the_treated_rows_alone():
    plain, moved = draw(), draw(trend=0.5)
    assert np.allclose(moved.columns["y"] - plain.columns["y"], 0.5 * plain.columns["d"])
    assert difference_in_differences(moved) - difference_in_differences(plain) == pytest.approx(0.5)
