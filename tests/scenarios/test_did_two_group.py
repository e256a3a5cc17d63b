"""What the dials do to the outcome, exactly, and the errors' moments."""

import sys

import numpy as np
import pytest

from cibench import find_scenario
from cibench.model.streams import stream

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


def test_a_shock_hits_the_treated_rows_and_is_no_effect():
    plain, shocked = draw(), draw(shock=0.2)
    treated = plain.columns["d"] == 1
    assert np.allclose(shocked.baseline - plain.baseline, 0.2 * treated)
    assert np.array_equal(shocked.effects, plain.effects)
    assert np.allclose(shocked.columns["y"] - plain.columns["y"], 0.2 * treated)


def test_spillover_is_a_share_of_the_effect_for_the_others_while_the_treated_are_treated():
    drawn = draw(spillover=0.5)
    expected = np.zeros((N, 8))
    expected[N // 2 :, 4:] = 0.25
    assert np.allclose(panel(drawn, "y") - panel(draw(), "y"), expected)
    assert np.array_equal(drawn.exposed.reshape(N, 8), expected > 0)
    # the baseline stays the world where nobody is treated, and so does the treated rows' effect
    assert np.array_equal(drawn.baseline, draw().baseline)
    assert np.allclose((drawn.columns["y"] - drawn.baseline)[drawn.target], 0.5)


def test_errors_that_take_rows_for_independent_are_too_small_by_the_stated_factor():
    rho, periods, n, replicates = 0.9, 8, 40, 2000
    weights = np.repeat([-0.25, 0.25], 4)
    lags = np.abs(np.subtract.outer(range(periods), range(periods)))
    true = weights @ rho**lags @ weights  # of one unit's change between the two halves
    within = np.eye(periods) - 1 / periods
    seen = np.diag(within @ rho**lags @ within) * periods / (periods - 1)
    factor = np.sqrt(true / (weights**2 @ seen))
    assert f"{factor:.2f}" == "1.83"
    assert "1.83" in sys.modules[TwoGroup.__module__].__doc__
    scenario = TwoGroup(rho=rho)
    answers = np.array([twfe(scenario, n, k) for k in range(replicates)])
    found = answers[:, 0].std(ddof=1) / np.sqrt((answers[:, 1] ** 2).mean())
    # few units add a little: the fit takes up part of what the residuals show
    assert found == pytest.approx(factor, rel=4 / np.sqrt(2 * replicates) + 1 / n)


def twfe(scenario, n, replicate):
    drawn = scenario.draw(n, stream("test", "did", replicate))
    y, d = (panel(drawn, name, n) for name in ("y", "d"))
    y, d = (v - v.mean(axis=0) - v.mean(axis=1, keepdims=True) + v.mean() for v in (y, d))
    value = (y * d).sum() / (d**2).sum()
    spread = ((y - value * d) ** 2 * d**2).sum() * y.size / (y.size - sum(y.shape))
    return value, np.sqrt(spread) / (d**2).sum()
