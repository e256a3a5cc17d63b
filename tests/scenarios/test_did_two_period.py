"""What the covariate does in the two-period design, and what the dials do to each row."""

import numpy as np
import pytest

from cibench import find_scenario
from cibench.model.streams import stream

TwoPeriod = find_scenario("did/two-period")
N = 20_000


def draw(n=N, **fields):
    return TwoPeriod(**fields).draw(n, stream("test", "two-period"))


def panel(drawn, name, n=N):
    return drawn.columns[name].reshape(n, 2)


def test_half_of_the_units_are_treated_in_the_second_period():
    drawn = draw(5)
    assert np.array_equal(panel(drawn, "d", 5), [[0, 1], [0, 1], [0, 0], [0, 0], [0, 0]])
    assert np.array_equal(panel(drawn, "cohort", 5)[:, 0], [1, 1, 0, 0, 0])


def test_the_covariate_stays_and_is_higher_by_the_imbalance_among_the_treated():
    x = panel(draw(imbalance=0.7), "x")
    assert np.array_equal(x[:, 0], x[:, 1])
    gap = x[: N // 2].mean() - x[N // 2 :].mean()
    assert gap == pytest.approx(0.7, abs=4 * 2 / np.sqrt(N))


def test_changes_have_the_variance_of_two_errors_and_no_slope_in_the_covariate():
    drawn = draw()
    change, x = np.diff(panel(drawn, "y"))[: N // 2, 0], panel(drawn, "x")[: N // 2, 0]
    assert change.var() == pytest.approx(2, rel=4 * np.sqrt(2 / (N / 2)))
    slope = np.cov(change, x)[0, 1] / x.var()
    assert abs(slope) < 4 * np.sqrt(2 / (N / 2))


def test_a_covariate_trend_adds_its_multiple_of_x_to_the_second_period():
    plain, moved = draw(), draw(covariate_trend=0.2)
    change = panel(moved, "y") - panel(plain, "y")
    assert np.array_equal(change[:, 0], np.zeros(N))
    assert np.allclose(change[:, 1], 0.2 * panel(plain, "x")[:, 1])


def test_a_covariate_trend_misleads_plain_differences_and_not_those_at_equal_x():
    estimates, errors = adjusted(draw(covariate_trend=0.5))
    assert estimates[0] == pytest.approx(0.5 + 0.5 * 1.0, abs=4 * errors[0])
    assert estimates[1] == pytest.approx(0.5, abs=4 * errors[1])


def adjusted(drawn):
    """Regress changes on group, then on group and x; return estimates and errors."""
    change = np.diff(panel(drawn, "y"))[:, 0]
    group, x = panel(drawn, "d")[:, 1], panel(drawn, "x")[:, 0]
    values, errors = [], []
    for extra in ((), (x,)):
        design = np.column_stack([group, np.ones(N), *extra])
        fit, (rss,), *_ = np.linalg.lstsq(design, change)
        values.append(fit[0])
        errors.append(np.sqrt(rss / N * np.linalg.inv(design.T @ design)[0, 0]))
    return values, errors


@pytest.mark.parametrize(
    ("dial", "rows"),
    [("anticipation", (slice(None, N // 2), 0)), ("spillover", (slice(N // 2, None), 1))],
)
def test_what_is_felt_of_another_treatment_is_the_stated_share(dial, rows):
    plain, moved = draw(), draw(**{dial: 0.5})
    expected = np.zeros((N, 2))
    expected[rows] = 0.25
    assert np.allclose(panel(moved, "y") - panel(plain, "y"), expected)
    assert np.array_equal(moved.exposed.reshape(N, 2), expected > 0)
    assert np.array_equal(moved.baseline, plain.baseline)


def test_a_trend_moves_the_treated_rows_alone():
    plain, moved = draw(), draw(trend=0.2)
    assert np.allclose(moved.baseline - plain.baseline, 0.2 * plain.columns["d"])
