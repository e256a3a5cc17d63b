"""What the dials do to the outcome, exactly, and the errors' moments."""

import numpy as np
import pytest

from cibench import find_scenario
from cibench.seeds import stream

TwoGroup = find_scenario("did/two-group")
N = 20_000


def draw(n=N, **fields):
    return TwoGroup(**fields).draw(n, stream("test", "did"))


def panel(drawn, name, n=N):
    return drawn.columns[name].reshape(n, -1)


def test_half_of_the_units_are_treated_in_the_periods_from_adoption_on():
    drawn = draw(5, periods=6, adoption=4)
    expected = np.zeros((5, 6))
    expected[:2, 4:] = 1
    assert np.array_equal(panel(drawn, "d", 5), expected)
    assert np.array_equal(np.unique(drawn.columns["cohort"]), [0, 4])
    assert np.array_equal(drawn.target, drawn.columns["d"] == 1)


def test_a_trend_adds_its_size_a_period_to_the_treated_group_and_nothing_else():
    change = panel(draw(trend=0.1), "y") - panel(draw(), "y")
    assert np.allclose(change[: N // 2], 0.1 * np.arange(8))
    assert np.array_equal(change[N // 2 :], np.zeros((N // 2, 8)))


def test_anticipation_is_a_share_of_the_effect_one_period_early():
    drawn = draw(anticipation=0.5)
    change = panel(drawn, "y") - panel(draw(), "y")
    expected = np.zeros((N, 8))
    expected[: N // 2, 3] = 0.25
    assert np.allclose(change, expected)
    assert np.array_equal(drawn.exposed.reshape(N, 8), expected > 0)


@pytest.mark.parametrize("rho", [-0.5, 0.0, 0.6, 0.9])
def test_errors_have_variance_one_and_the_stated_autocorrelation_at_every_lag(rho):
    plain = panel(draw(effect=0.0, gap=0.0, rho=rho), "y")
    # unit and period effects have variance 1: differences within units over groups take them out
    within = plain - plain.mean(axis=0)
    noise = 4 / np.sqrt(N)
    for lag in (1, 2, 3):
        product = ((within[:, lag:] - within[:, :-lag]) ** 2).mean()
        expected = 2 * (1 - rho**lag)
        assert product == pytest.approx(expected, abs=expected * noise)
    assert within.var() == pytest.approx(2, abs=2 * 2 * noise)
