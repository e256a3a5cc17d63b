import numpy as np
import pytest
from scipy import stats

from cibench.gate.differences import Difference, apart, apart_in_units, left_mean, left_sd
from cibench.gate.judge import extremes


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_what_leaves_one_out_is_what_leaves_one_out(rng):
    x = rng.normal(size=40)
    rest = [np.delete(x, i) for i in range(40)]
    assert left_mean(x).each == pytest.approx([r.mean() for r in rest])
    assert left_sd(x).each == pytest.approx([r.std(ddof=1) for r in rest])


def test_the_error_of_a_paired_mean_is_the_spread_of_its_differences(rng):
    x = rng.normal(size=300)
    y = x + 0.1 * rng.normal(size=300) + 0.02
    found = apart(left_mean(x), left_mean(y), paired=True)
    assert found.value == pytest.approx((y - x).mean())
    assert found.error == pytest.approx((y - x).std(ddof=1) / np.sqrt(300))
    low, high = found.limits(0.01)
    reach = stats.t(299).ppf(0.995) * found.error
    assert (low, high) == pytest.approx((found.value - reach, found.value + reach))


def test_without_pairs_it_is_welch(rng):
    x, y = rng.normal(size=80), 3 * rng.normal(size=150) + 0.3
    found = apart(left_mean(x), left_mean(y), paired=False)
    welch = stats.ttest_ind(y, x, equal_var=False)
    assert found.value / found.error == pytest.approx(welch.statistic)
    assert found.df == pytest.approx(welch.df)


def test_a_shift_of_every_replicate_has_no_error(rng):
    x = rng.normal(size=50)
    found = apart(left_mean(x), left_mean(x + 1.0), paired=True)
    assert found.error == pytest.approx(0, abs=1e-15)
    assert Difference(0.2, 0.0, 49).beyond(0.1) == np.inf
    assert Difference(0.3, 0.1, 49).beyond(0.1) == pytest.approx(2)
    assert Difference(-0.3, 0.1, 49).beyond(0.1) == pytest.approx(2)
    assert Difference(0.1, 0.0, 49).beyond(0.1) == 0
    assert Difference(0.2, 0.0, 49).limits(0.01) == (0.2, 0.2)


@pytest.mark.parametrize("paired", [True, False])
def test_errors_in_units_of_the_spread_are_those_of_many_runs(rng, paired):
    n, runs = 60, 3000
    ratios, errors = [], []
    for _ in range(runs):
        x = rng.normal(size=n)
        y = 0.6 + (x + rng.normal(size=n) if paired else rng.normal(size=n))
        unit = left_sd(x)
        found = apart_in_units(left_mean(x), left_mean(y), unit, paired=paired)
        ratios.append(found.value)
        errors.append(found.error)
    spread = np.std(ratios, ddof=1)
    # the spread of runs has a relative error of 1/sqrt(2 runs); four of them, and the jackknife's
    # bias of order 1/n
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(
        spread, rel=4 / np.sqrt(2 * runs) + 2 / n
    )


@pytest.mark.parametrize(
    ("kink", "below", "above"), [(0.0, -1.0, 1.0), (0.95, -1.0, 0.0), (0.3, 1.0, -2.0)]
)
def test_the_extremes_of_a_loss_are_those_of_a_fine_grid(rng, kink, below, above):
    def g(value):
        return np.where(value > kink, above, below) * (value - kink)

    for _ in range(60):
        x = np.sort(kink + rng.normal(size=2))
        d = np.sort(rng.normal(size=2))
        xs, ds = np.meshgrid(np.linspace(*x, 301), np.linspace(*d, 301))
        values = g(xs + ds) - g(xs)
        low, high = extremes(tuple(x), tuple(d), kink, below, above)
        assert low <= values.min() + 1e-12 and high >= values.max() - 1e-12
        step = 3 * (np.ptp(x) + np.ptp(d)) / 300
        assert low >= values.min() - step and high <= values.max() + step
