"""The clustered designs: who shares a cluster, and what the correlation does to variances."""

from statistics import NormalDist

import numpy as np
import pytest

from cibench import find_scenario
from cibench.model.streams import stream

NAMES = ("rd/clustered-schools", "rd/clustered-bins")
N = 200_000


def draw(name, n=N, replicate=0, **fields):
    return find_scenario(name)(**fields).draw(n, stream("test", name, replicate))


def test_schools_lie_on_one_side_and_spread_over_it():
    drawn = draw("rd/clustered-schools")
    x, cluster = drawn.columns["x"], drawn.columns["cluster"]
    assert np.array_equal(np.unique(cluster), np.arange(40))
    for school in (0, 25):
        pupils = x[cluster == school]
        assert (pupils >= 0).all() == (school >= 20)
        assert np.ptp(pupils) == pytest.approx(1, abs=0.01)
        assert pupils.size == pytest.approx(N / 40, rel=0.1)


def test_bins_are_narrow_pieces_of_the_running_variable():
    drawn = draw("rd/clustered-bins")
    x, cluster = drawn.columns["x"], drawn.columns["cluster"]
    assert np.array_equal(np.unique(cluster), np.arange(200))
    assert np.array_equal(x >= 0, cluster >= 100)
    for one in (0, 99, 100, 199):
        low, high = x[cluster == one].min(), x[cluster == one].max()
        assert one / 100 - 1 <= low < high < (one + 1) / 100 - 1


@pytest.mark.parametrize("name", NAMES)
def test_the_correlation_is_icc_and_the_variance_one_at_any_setting(name):
    within, total = [], []
    for replicate in range(40):
        fields = {"icc": 0.5, "clusters": 100}
        noisy = draw(name, 20_000, replicate, **fields)
        e = (noisy.baseline - draw(name, 20_000, replicate, noise=0.0, **fields).baseline) / 0.5
        cluster = noisy.columns["cluster"]
        count = np.bincount(cluster, minlength=200)
        mean = np.bincount(cluster, e, 200) / count
        within.append(np.mean((e - mean[cluster]) ** 2) * (1 + 1 / count.mean()))
        total.append(np.mean(e**2))
    # 8,000 shocks: their variance is known to sqrt(2/8000)
    assert np.mean(total) == pytest.approx(1, abs=0.5 * 4 * np.sqrt(2 / 8000) + 0.01)
    assert np.mean(within) == pytest.approx(0.5, abs=0.01)


def test_independence_understates_the_variance_of_means_as_the_docstring_says():
    e = []
    for replicate in range(50):
        fields = {"icc": 0.5, "clusters": 1000}
        noisy = draw("rd/clustered-bins", 20_000, replicate, **fields)
        quiet = draw("rd/clustered-bins", 20_000, replicate, noise=0.0, **fields)
        rows = (noisy.baseline - quiet.baseline) / 0.5
        order = np.argsort(noisy.columns["cluster"], kind="stable")
        starts = np.searchsorted(noisy.columns["cluster"][order], np.arange(2000))
        full = np.bincount(noisy.columns["cluster"], minlength=2000) >= 10
        e.append(rows[order][starts[full][:, None] + np.arange(10)].mean(axis=1))
    means = np.concatenate(e)
    times = means.var() * 10
    assert times == pytest.approx(5.5, abs=4 * 5.5 * np.sqrt(2 / means.size))
    cover = 2 * NormalDist().cdf(NormalDist().inv_cdf(0.975) / np.sqrt(5.5)) - 1
    assert cover == pytest.approx(0.60, abs=0.005)


@pytest.mark.parametrize("name", NAMES)
def test_the_difference_in_means_is_off_by_the_slope(name):
    drawn = draw(name, noise=0.0)
    y, d = drawn.columns["y"], drawn.columns["d"]
    gap = y[d == 1].mean() - y[d == 0].mean() - 0.5
    assert gap == pytest.approx(0.8, abs=4 * 0.25 * np.sqrt(4 / N))
