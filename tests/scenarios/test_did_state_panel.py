"""The state panel: dates, errors, and the published rejections of laws that do nothing."""

import numpy as np
import pytest

from cibench import find_scenario
from cibench.model.streams import stream

StatePanel = find_scenario("did/state-panel")
PUBLISHED = {0.8: 0.373, 0.4: 0.19, 0.0: 0.053, -0.4: 0.008}  # Bertrand and others, table II
THEIRS, OURS = 400, 1000


def panel(drawn, name):
    return drawn.columns[name].reshape(-1, 21)


def draws(count, n=50, **fields):
    return [StatePanel(**fields).draw(n, stream("test", "states", k)) for k in range(count)]


def test_dates_are_uniform_on_the_years_6_to_16_and_laws_last():
    found = []
    for drawn in draws(1100, n=2):
        d, cohort = panel(drawn, "d"), panel(drawn, "cohort")
        date = int(cohort[0, 0])
        assert np.array_equal(d[0], np.arange(21) >= date)
        assert not d[1].any()
        assert cohort[1, 0] == 0
        found.append(date)
    dates, counts = np.unique(found, return_counts=True)
    assert dates.tolist() == list(range(6, 17))
    assert np.abs(counts - 100).max() < 4 * np.sqrt(100 * 10 / 11)


@pytest.mark.parametrize(
    ("n", "share", "expected"), [(50, 0.5, 25), (50, 0.04, 2), (6, 0.5, 3), (20, 0.01, 1)]
)
def test_the_stated_share_of_states_has_the_law_and_at_least_one(n, share, expected):
    (drawn,) = draws(1, n=n, treated=share)
    assert panel(drawn, "d").any(axis=1).sum() == expected


@pytest.mark.parametrize("rho", [-0.4, 0.0, 0.8])
def test_errors_have_variance_one_and_the_stated_autocorrelation(rho):
    n = 20_000
    (drawn,) = draws(1, n=n, rho=rho)
    within = panel(drawn, "y") - panel(drawn, "y").mean(axis=0)
    for lag in (1, 2, 5):
        found = ((within[:, lag:] - within[:, :-lag]) ** 2).mean()
        expected = 2 * (1 - rho**lag)
        assert found == pytest.approx(expected, rel=4 * np.sqrt(2 / n))


@pytest.mark.parametrize("rho", PUBLISHED)
def test_least_squares_rejects_laws_that_do_nothing_as_often_as_published(rho):
    drawn = draws(OURS, rho=rho)
    y, d = (np.stack([panel(each, name) for each in drawn]) for name in ("y", "d"))
    y, d = (v - v.mean(1, keepdims=True) - v.mean(2, keepdims=True) + v.mean((1, 2), keepdims=True)
            for v in (y, d))  # fmt: skip
    value = (y * d).sum((1, 2)) / (d**2).sum((1, 2))
    left = ((y - value[:, None, None] * d) ** 2).sum((1, 2)) / (50 * 21 - 50 - 21)
    rejected = (np.abs(value) > 1.96 * np.sqrt(left / (d**2).sum((1, 2)))).mean()
    published = PUBLISHED[rho]
    error = np.sqrt(published * (1 - published) * (1 / THEIRS + 1 / OURS))
    assert rejected == pytest.approx(published, abs=3 * error)
