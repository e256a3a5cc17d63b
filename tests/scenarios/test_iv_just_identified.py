"""The one-instrument design: its moments, what the dials do, the biases the docstring states."""

import sys

import numpy as np
import pytest

from cibench import find_scenario
from cibench.model.streams import stream

N = 400_000
JUST = find_scenario("iv/just-identified")
STRONG = 100 * N / 500  # the first stage of n = 500 at the default mu2


def draw(**fields):
    return JUST(**{"mu2": STRONG, **fields}).draw(N, stream("test", "iv/just-identified"))


def error(drawn):
    """Return u, the outcome's error."""
    return drawn.baseline


def rest(drawn, **fields):
    """Return v, what is left of the treatment."""
    scenario = JUST(**{"mu2": STRONG, **fields})
    pi = np.sqrt(scenario.mu2 * (1 - scenario.weakness) / N)
    return drawn.columns["d"] - pi * drawn.columns["z"]


@pytest.mark.parametrize("rho", [-0.5, 0.0, 0.95, 1.0])
def test_errors_are_standard_normal_with_the_stated_correlation(rho):
    drawn = draw(rho=rho)
    u, v, z = error(drawn), rest(drawn), drawn.columns["z"]
    moments = np.cov(np.stack([u, v, z]))
    assert moments == pytest.approx(
        np.array([[1, rho, 0], [rho, 1, 0], [0, 0, 1]]), abs=4 * np.sqrt(2 / N)
    )


def test_the_concentration_parameter_holds_whatever_the_number_of_rows():
    for n in (50, 5000):
        scenario = JUST(mu2=9)
        noise = JUST(mu2=0).draw(n, stream("same", n)).columns["d"]
        drawn = scenario.draw(n, stream("same", n))
        pi = (drawn.columns["d"] - noise) / drawn.columns["z"]
        assert np.allclose(n * pi**2, 9)


def test_weakness_is_the_share_of_mu2_that_is_lost():
    plain, weak = draw(), draw(weakness=0.96)
    assert np.array_equal(plain.columns["z"], weak.columns["z"])
    assert np.array_equal(plain.baseline, weak.baseline)
    assert np.allclose(rest(plain), rest(weak, weakness=0.96))


def test_a_direct_effect_moves_the_outcome_and_nothing_else():
    plain, moved = draw(), draw(direct=0.1)
    assert np.allclose(moved.baseline - plain.baseline, 0.1 * plain.columns["z"])
    assert np.array_equal(moved.columns["d"], plain.columns["d"])


def test_dependence_is_the_correlation_of_instrument_and_error_and_leaves_the_errors():
    plain, moved = draw(), draw(dependence=0.1)
    assert np.array_equal(error(moved), error(plain))
    assert np.allclose(rest(moved), rest(plain))
    z = moved.columns["z"]
    assert np.corrcoef(z, error(moved))[0, 1] == pytest.approx(0.1, abs=4 / np.sqrt(N))
    assert z.var() == pytest.approx(1, abs=4 * np.sqrt(2 / N))


def stated(number):
    assert number in sys.modules[JUST.__module__].__doc__
    return float(number)


PI = np.sqrt(100 / 500)


@pytest.mark.parametrize(
    ("dials", "number", "exact"),
    [
        ({"direct": 0.1}, "0.2236", 0.1 / PI),
        ({"dependence": 0.1}, "0.1844", 0.1 / (PI + 0.095)),
    ],
)
def test_two_stage_least_squares_is_off_as_stated(dials, number, exact):
    assert stated(number) == pytest.approx(exact, abs=5e-5)
    drawn = draw(**dials)
    y, d, z = (drawn.columns[name] for name in "ydz")
    found = np.cov(z, y)[0, 1] / np.cov(z, d)[0, 1] - 1
    assert found == pytest.approx(exact, abs=4 / (PI * np.sqrt(N)))


def test_least_squares_is_off_as_stated():
    assert stated("0.7917") == pytest.approx(0.95 / (1 + PI**2), abs=5e-5)
    drawn = draw()
    y, d = drawn.columns["y"], drawn.columns["d"]
    slope = np.cov(d, y)[0, 1] / d.var()
    assert slope - 1 == pytest.approx(0.95 / (1 + PI**2), abs=4 / np.sqrt(N))
