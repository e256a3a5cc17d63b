"""The many-instruments design: its columns, what the dials do, the biases the docstring states."""

import sys

import numpy as np
import pytest
from scipy.special import hyp1f1

from cibench import find_scenario
from cibench.model.streams import stream

N = 200_000
MANY = find_scenario("iv/many")
STRONG = 600 * N / 1000  # the first stage of n = 1000 at the default mu2


def draw(n=N, replicate=0, **fields):
    return MANY(**{"mu2": STRONG, **fields}).draw(n, stream("test", "iv/many", replicate))


def matrix(drawn):
    return np.column_stack([drawn.columns[f"z{k + 1}"] for k in range(len(drawn.columns) - 2)])


def two_stage(drawn):
    """Return the error of two-stage least squares without a constant: all means are zero."""
    z, d = matrix(drawn), drawn.columns["d"]
    fitted = z @ np.linalg.solve(z.T @ z, z.T @ d)
    return fitted @ drawn.columns["y"] / (fitted @ d) - 1


def stated(number):
    assert number in sys.modules[MANY.__module__].__doc__
    return float(number)


@pytest.mark.parametrize("count", [1, 3, 30])
def test_the_parameter_counts_the_instruments_and_they_share_mu2_equally(count):
    scenario = MANY(instruments=count)
    names = tuple(f"z{k + 1}" for k in range(count))
    assert scenario.assigned_roles().instruments == names
    drawn, none = draw(1000, instruments=count, mu2=600), draw(1000, instruments=count, mu2=0)
    assert set(drawn.columns) == {"y", "d", *names}
    first_stage = drawn.columns["d"] - none.columns["d"]
    pi = np.linalg.lstsq(matrix(drawn), first_stage)[0]
    assert np.allclose(pi, pi[0])
    assert 1000 * pi @ pi == pytest.approx(600)


def test_more_instruments_leave_the_errors_as_they_are():
    assert np.array_equal(draw(500).baseline, draw(500, instruments=3).baseline)


def test_instruments_are_standard_normal_and_independent():
    z = matrix(draw())
    assert np.allclose(z.T @ z / N, np.eye(10), atol=4.5 * np.sqrt(2 / N))


def test_dials_touch_the_first_instrument_alone():
    plain, moved, tied = draw(), draw(direct=0.2), draw(dependence=0.2)
    assert np.allclose(moved.baseline - plain.baseline, 0.2 * plain.columns["z1"])
    assert np.array_equal(tied.baseline, plain.baseline)
    assert np.array_equal(matrix(tied)[:, 1:], matrix(plain)[:, 1:])
    found = np.corrcoef(tied.columns["z1"], plain.baseline)[0, 1]
    assert found == pytest.approx(0.2, abs=4 / np.sqrt(N))


PI = np.sqrt(600 / 10_000)
P = PI + 0.1


@pytest.mark.parametrize(
    ("dials", "number", "exact"),
    [
        ({"direct": 0.2}, "0.0816", 0.2 * np.sqrt(1000 / 6000)),
        ({"dependence": 0.2}, "0.1047", 0.2 * P / (P**2 + 9 * PI**2)),
    ],
)
def test_two_stage_least_squares_is_off_as_stated(dials, number, exact):
    assert stated(number) == pytest.approx(exact, abs=5e-5)
    assert two_stage(draw(**dials)) == pytest.approx(exact, abs=4 / np.sqrt(STRONG))


def test_least_squares_is_off_as_stated():
    assert stated("0.3125") == 0.5 / 1.6
    drawn = draw()
    d = drawn.columns["d"]
    assert d @ drawn.columns["y"] / (d @ d) - 1 == pytest.approx(0.3125, abs=4 / np.sqrt(N))


def mean_bias(count, mu2, rho=0.5):
    return rho * np.exp(-mu2 / 2) * hyp1f1(count / 2 - 1, count / 2, mu2 / 2)


@pytest.mark.parametrize(
    ("count", "mu2", "number"),
    [(10, 600, "0.0066"), (50, 600, "0.0371"), (10, 120, "0.032"), (10, 30, "0.110"),
     (10, 6, "0.304")],
)  # fmt: skip
def test_the_stated_mean_biases_are_those_of_the_formula(count, mu2, number):
    digits = len(number.partition(".")[2])
    assert stated(number) == pytest.approx(mean_bias(count, mu2), abs=0.5001 * 10.0**-digits)


def test_the_formula_is_the_mean_bias_of_simulated_data():
    errors = [two_stage(draw(400, k, mu2=600, weakness=0.95)) for k in range(2000)]
    reach = 4 * np.std(errors) / np.sqrt(len(errors))
    assert np.mean(errors) == pytest.approx(mean_bias(10, 30), abs=reach)
