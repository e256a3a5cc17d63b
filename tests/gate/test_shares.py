from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binom, binomtest

from cibench.gate.differences import OneShare, PairedShares, TwoShares

NORMAL = NormalDist()


def log_binomial(count, n, p):
    return binom.logpmf(count, n, p)


@pytest.mark.parametrize("at", [-0.03, 0.0, 0.002, 0.05])
@pytest.mark.parametrize(("gained", "lost", "n"), [(20, 3, 400), (0, 5, 200), (7, 0, 900)])
def test_the_trinomial_likelihood_is_the_best_over_the_lost_share(gained, lost, n, at):
    def minus(x):
        p = np.array([x + at, x, 1 - 2 * x - at])
        counts = np.array([gained, lost, n - gained - lost])
        return -sum(c * np.log(max(q, 1e-300)) for c, q in zip(counts, p, strict=True) if c)

    low, high = max(0.0, -at), (1 - at) / 2
    best = minimize_scalar(minus, bounds=(low, high), method="bounded", options={"xatol": 1e-12})
    found = PairedShares(gained, lost, n).fit(at)
    assert found == pytest.approx(-min(best.fun, minus(low + 1e-15)), abs=1e-6)


@pytest.mark.parametrize("at", [-0.04, 0.0, 0.01])
@pytest.mark.parametrize("counts", [(12, 300, 20, 250), (0, 500, 9, 500), (299, 300, 5, 100)])
def test_two_shares_are_fitted_as_an_optimiser_fits_them(counts, at):
    x, n, y, m = counts

    def minus(p):
        return -log_binomial(x, n, p) - log_binomial(y, m, p + at)

    low, high = max(0.0, -at), min(1.0, 1 - at)
    best = minimize_scalar(minus, bounds=(low, high), method="bounded", options={"xatol": 1e-12})
    free = TwoShares(*counts)
    gap = 2 * (log_binomial(x, n, x / n) + log_binomial(y, m, y / m) + best.fun)
    assert free.root(at) ** 2 == pytest.approx(gap, abs=1e-5)
    assert np.sign(free.root(at)) == np.sign(free.value - at)


@pytest.mark.parametrize(
    "share",
    [OneShare(3, 400), OneShare(0, 50), PairedShares(9, 2, 500), PairedShares(0, 0, 300),
     TwoShares(4, 300, 20, 280), TwoShares(0, 100, 0, 100)],
)  # fmt: skip
def test_limits_are_where_the_root_is_critical(share):
    z = -NORMAL.inv_cdf(0.005)
    low, high = share.limits(0.01)
    assert low <= share.value <= high
    if low > share.lowest:
        assert share.root(low) == pytest.approx(z, abs=1e-6)
    if high < 1:
        assert share.root(high) == pytest.approx(-z, abs=1e-6)
    roots = [share.root(x) for x in np.linspace(max(low, share.lowest), high, 9)]
    assert all(a >= b for a, b in pairwise(roots))


def test_errors_of_shares_are_those_of_means_of_zeros_and_ones():
    before = np.repeat([0, 1, 0, 1], [480, 9, 6, 5])
    after = np.repeat([0, 0, 1, 1], [480, 9, 6, 5])
    n = before.size
    one, other = (OneShare(int(x.sum()), n).error for x in (before, after))
    assert (one, other) == pytest.approx((before.std() / np.sqrt(n), after.std() / np.sqrt(n)))
    paired = PairedShares(6, 9, n)
    assert paired.value == pytest.approx((after - before).mean())
    assert paired.error == pytest.approx((after - before).std() / np.sqrt(n))
    every = PairedShares(n, 0, n)  # all pairs changed, and so would all others
    assert (every.value, every.error) == (1, 0)
    apart = TwoShares(int(before.sum()), n, int(after.sum()), n)
    assert apart.error == pytest.approx(np.hypot(one, other))


def test_one_share_is_close_to_the_exact_limits_in_the_tail():
    exact = binomtest(20, 2000).proportion_ci(1 - 2e-5, method="exact")
    low, high = OneShare(20, 2000).limits(2e-5)
    assert low == pytest.approx(exact.low, rel=0.06)
    assert high == pytest.approx(exact.high, rel=0.06)


def exceeds_one(n, p, z):
    """Return the chance that the root of one share at p is above z, by enumeration."""
    counts = np.arange(n + 1)
    over = [OneShare(int(k), n).root(p) > z for k in counts]
    return binom.pmf(counts, n, p)[over].sum()


def exceeds_paired(n, lost, margin, z):
    """Return the chance that the root at the margin is above z, where that is the difference.

    Of n pairs gained and lost are drawn as two binomials: that they exclude one another matters
    little where both are rare, and makes the difference vary less.
    """
    total = 0.0
    for c in range(int(binom.ppf(1 - 1e-12, n, lost)) + 1):
        chance = binom.pmf(c, n, lost) if lost else float(c == 0)
        b = max(int(c + n * margin), 0)
        while PairedShares(b, c, n).root(margin) <= z:
            b += 1
        total += chance * binom.sf(b - 1, n, lost + margin)
    return total


def exceeds_two(n, p, margin, z):
    total, low = 0.0, max(int(binom.ppf(1e-10, n, p)), 0)
    for x in range(low, int(binom.ppf(1 - 1e-10, n, p)) + 1):
        y = max(int(x + n * margin), 0)
        while y <= n and TwoShares(x, n, y, n).root(margin) <= z:
            y += 1
        total += binom.pmf(x, n, p) * binom.sf(y - 1, n, p + margin)
    return total


@pytest.mark.parametrize("z", [3.09, 4.26])
@pytest.mark.parametrize("margin", [0.002, 0.01])
@pytest.mark.parametrize("n", [200, 1000])
def test_far_in_the_tail_alarms_are_as_rare_as_stated(n, margin, z):
    nominal = NORMAL.cdf(-z)
    assert exceeds_one(n, margin, z) <= 1.8 * nominal
    for lost in (0.0, 0.001, 0.02):
        assert exceeds_paired(n, lost, margin, z) <= 1.8 * nominal
    for p in (0.0, 0.001, 0.05):
        assert exceeds_two(n, p, margin, z) <= 1.8 * nominal


def test_wald_would_not_do():
    """Say why there is no simpler way: at a rare share Wald's interval fails far too often."""
    n, p, z = 1000, 0.01, 3.09
    counts = np.arange(1, n)
    wald = (p - counts / n) / np.sqrt(counts / n * (1 - counts / n) / n) > z
    assert binom.pmf(counts, n, p)[wald].sum() > 5 * NORMAL.cdf(-z)
    assert exceeds_one(n, p, z) < 1.8 * NORMAL.cdf(-z)
