"""Sides, interval scores, signs, precision, adjusted power, bands and posteriors."""

from __future__ import annotations

from math import inf, isnan, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import integrate, stats

from cibench.metrics import METRICS, core, intervals, posterior
from cibench.metrics.standard_errors import precision_gain, size_adjusted_power

Array = NDArray[Any]
ORACLES = Path(__file__).parents[2].parent / "shared" / "oracles"
Z = float(stats.norm.ppf(0.975))


def arrays(*columns: Any) -> list[Array]:
    return [np.asarray(c, dtype=float) for c in columns]


def bootstrapped(measure: Any, columns: list[Array], resamples: int = 500) -> float:
    """Return the bootstrap's standard error over joint resamples of the columns."""
    rng, n = np.random.default_rng(6), columns[0].size
    picks = rng.integers(0, n, (resamples, n))
    return float(np.std([measure(*(c[i] for c in columns)).value for i in picks], ddof=1))


# --- which side misses


def test_the_two_sides_add_up_to_what_coverage_lacks() -> None:
    low, high, theta = arrays([0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [-1, -0.1, 0, 0.5, 2])
    below = intervals.lower_noncoverage(low, high, theta)
    above = intervals.upper_noncoverage(low, high, theta)
    assert below == core.proportion(2, 5) and above == core.proportion(1, 5)
    held = intervals.coverage(low, high, theta).value
    assert below.value + above.value == pytest.approx(1 - held)


def test_empty_sets_and_rays_miss_on_no_side() -> None:
    low, high, theta = arrays([inf, 0], [-inf, 1], [0, 0.5])
    outside = np.array([0.0, 1.0])
    for side in (intervals.lower_noncoverage, intervals.upper_noncoverage):
        assert side(low, high, theta, outside).value == 0
    assert intervals.coverage(low, high, theta, outside).value == 0


# --- interval score


def test_answers_outside_their_own_limits_are_counted() -> None:
    t = np.array([0.0, 3.0, 1.0, 0.0, 0.0, 5.0, 1.0 + 1e-9])
    low = np.array([-1.0, -1, -1, -1, np.inf, -1, -1])
    high = np.array([1.0, 1, 1, np.inf, -np.inf, 1, 1])
    rays = np.array([0, 0, 0, 0, 0, 1, 0], dtype=bool)
    by_hand = [False, True, False, False, True, False, False]  # 5 lies outside (-1, 1), as it says
    found = intervals.excludes_estimate(t, low, high, rays)
    assert found.value == np.mean(by_hand)
    assert intervals.excludes_estimate(t, t - 1, t + 1, False).value == 0
    assert intervals.excludes_estimate(t, t, t, False).value == 0  # noiseless


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_p_values_that_limits_contradict_are_counted(level: float) -> None:
    far, few = 0.51, 0.99 * (1 - level) / 10
    cases = [  # p, low, high, outside, contradicted
        (0.4, 1, 2, 0, False), (far, 1, 2, 0, True), (few, -1, 2, 0, True), (1, -1, 2, 0, False),
        (far, -1, 1, 1, True), (few, 1, 2, 1, True), (far, np.inf, -np.inf, 0, False),
        (few, -np.inf, 1, 0, True), (far, 0, 1, 0, False), (few, -1e-9, 1, 0, False),
        (np.nan, 1, 2, 0, False),
    ]  # fmt: skip
    for p, low, high, outside, contradicted in cases:
        answer = (np.array([float(x)]) for x in (p, low, high))
        score = intervals.contradicts_p_value(*answer, bool(outside), level=level)
        assert score.value == contradicted, (p, low, high, outside)


@pytest.mark.parametrize(
    ("level", "share"), [(0.95, 0.5), (0.9, 0.75), (0.99, 0.25), (0.5, 1.0), (0.999, 0.25)]
)
def test_p_values_reject_below_one_minus_the_level(level: float, share: float) -> None:
    p = np.array([0.0, 0.04, 0.05, 0.1])
    assert intervals.rejection_by_p_value(p, level=level).value == share


def test_the_p_value_of_a_test_and_its_limits_agree_in_every_answer() -> None:
    rng = np.random.default_rng(4)
    t, s = 3 * rng.normal(size=2000), rng.uniform(0.5, 2, 2000)
    for df in (2, 10, np.inf):
        p = 2 * stats.t(df).sf(np.abs(t) / s)
        reach = stats.t(df).ppf(0.975) * s
        assert intervals.contradicts_p_value(p, t - reach, t + reach, level=0.95).value == 0
        turned = intervals.contradicts_p_value(1 - p, t - reach, t + reach, level=0.95)
        assert turned.value > 0.1
        by_limits = intervals.rejection(t - reach, t + reach)
        by_p_value = intervals.rejection_by_p_value(p, level=0.95)
        assert by_p_value.value == by_limits.value and by_p_value.mcse == by_limits.mcse


def test_the_interval_score_by_hand() -> None:
    low, high, theta = arrays([0, 0, 0], [2, 2, 2], [1, -0.5, 3])
    score = intervals.interval_score(low, high, theta, level=0.9)
    each = np.array([2, 2 + 20 * 0.5, 2 + 20 * 1])
    assert score.value == pytest.approx(each.mean())
    assert score.mcse == pytest.approx(each.std(ddof=1) / sqrt(3))


def test_the_interval_score_is_least_at_the_true_quantiles() -> None:
    y = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)  # the thing to be caught
    level = 0.9
    z = float(stats.norm.ppf(0.95))

    def score(low: float, high: float) -> float:
        ends = np.full(y.size, low), np.full(y.size, high)
        return intervals.interval_score(*ends, y, level=level).value

    best = score(-z, z)
    # Closed form: the mean score of the central interval is (2 / alpha) 2 phi(z).
    assert best == pytest.approx(2 / 0.1 * 2 * stats.norm.pdf(z), rel=1e-3)
    assert all(score(a, b) > best for a, b in [(-z - 0.1, z), (-z + 0.1, z), (-1.9, 1.9), (-1, 1)])


def test_unbounded_empty_and_outside_sets_have_an_infinite_interval_score() -> None:
    theta = np.zeros(2)
    for low, high, outside in (
        ([-inf, -1], [1, 1], 0),
        ([inf, -1], [-inf, 1], 0),
        ([-1] * 2, [1] * 2, 1),
    ):
        sets = *arrays(low, high), theta, np.full(2, float(outside))
        score = intervals.interval_score(*sets, level=0.95)
        assert score.value == inf and isnan(score.mcse)


# --- type S and type M


def test_type_s_and_type_m_by_hand() -> None:
    t, theta = arrays([3, -3, 0.5, 6], [1, 1, 1, 2])
    low, high = t - 1, t + 1
    wrong = intervals.type_s(t, theta, low, high)
    assert wrong == core.proportion(1, 3)
    size = intervals.type_m(t, theta, low, high)
    assert size.value == pytest.approx(3) and size.mcse == pytest.approx(0)


def test_type_s_and_type_m_of_a_weak_study_are_gelmans_and_carlins() -> None:
    # Their example: an effect of 1 measured with a standard error of 3.28 (p. 645 has 2.8 / 8.1).
    effect, se, n = 1.0, 3.28, 400_000
    t = np.random.default_rng(1).normal(effect, se, n)
    theta, limits = np.full(n, effect), (t - Z * se, t + Z * se)
    law = stats.norm(effect, se)
    below, above = law.cdf(-Z * se), law.sf(Z * se)
    wrong = intervals.type_s(t, theta, *limits)
    assert abs(wrong.value - below / (below + above)) < 3.5 * wrong.mcse
    tails = [(-inf, -Z * se), (Z * se, inf)]
    mean = sum(integrate.quad(lambda x: abs(x) * law.pdf(x), *tail)[0] for tail in tails)
    size = intervals.type_m(t, theta, *limits)
    assert abs(size.value - mean / (below + above)) < 3.5 * size.mcse


def test_type_errors_are_blank_at_a_zero_truth_and_without_significance() -> None:
    t, theta = arrays([3, -3], [0, 0])
    for measure in (intervals.type_s, intervals.type_m):
        assert measure(t, theta, t - 1, t + 1).why == "the truth is zero"
        assert measure(t, theta + 1, t - 9, t + 9).why == "nothing is significant"
        assert isnan(measure(*arrays([], [], [], [])).value)


def test_type_m_agrees_with_the_bootstrap() -> None:
    t = np.random.default_rng(2).normal(1, 1, 2000)
    columns = [t, np.ones(2000), t - Z, t + Z]
    error = bootstrapped(intervals.type_m, columns)
    assert intervals.type_m(*columns).mcse == pytest.approx(error, rel=0.12)


# --- precision over a reference


@pytest.mark.skipif(not ORACLES.is_dir(), reason="the oracle files are not beside this checkout")
def test_misim_relative_precision_is_reproduced() -> None:
    wide = pd.read_csv(ORACLES / "misim_estimates.csv").pivot(
        index="dataset", columns="method", values="b"
    )
    expected = pd.read_csv(ORACLES / "misim_expected.csv").query("stat == 'relprec'")
    theta = np.full(len(wide), 0.5)
    for _, row in expected.iterrows():  # its error is skipped: an older formula
        gain = precision_gain(wide[row["method"]].to_numpy(), wide["CC"].to_numpy(), theta)
        assert 100 * gain.value == pytest.approx(row["est"], abs=2e-6)
    itself = precision_gain(wide["CC"].to_numpy(), wide["CC"].to_numpy(), theta)
    assert itself.value == 0 and itself.mcse == pytest.approx(0, abs=1e-12)


def test_precision_gain_has_the_published_error_and_the_jackknifes() -> None:
    rng, n = np.random.default_rng(9), 60
    a = rng.normal(size=n)
    b, theta = 0.7 * a + 0.4 * rng.normal(size=n), np.zeros(n)
    plain = precision_gain(b, a, theta, normal=True)
    ratio, r = a.var(ddof=1) / b.var(ddof=1), np.corrcoef(a, b)[0, 1]
    assert plain.value == pytest.approx(ratio - 1)
    assert plain.mcse == pytest.approx(2 * ratio * sqrt((1 - r**2) / (n - 1)))
    keep = [np.delete(np.arange(n), i) for i in range(n)]
    each = np.array([a[k].var(ddof=1) / b[k].var(ddof=1) for k in keep])
    error = sqrt((n - 1) / n * ((each - each.mean()) ** 2).sum())
    assert precision_gain(b, a, theta).mcse == pytest.approx(error)
    assert bootstrapped(precision_gain, [b, a, theta]) == pytest.approx(error, rel=0.35)


def test_the_two_errors_of_precision_agree_for_normal_estimates() -> None:
    rng, n = np.random.default_rng(10), 200_000
    a = rng.normal(size=n)
    b = 0.5 * a + rng.normal(size=n)
    both = [precision_gain(b, a, np.zeros(n), normal=way).mcse for way in (True, False)]
    assert both[0] == pytest.approx(both[1], rel=0.02)


def test_precision_is_blank_where_nothing_varies() -> None:
    t, constant = arrays([1, 2, 4], [3, 3, 3])
    for pair in ((t, constant), (constant, t)):
        assert precision_gain(*pair, np.zeros(3)).why == "all errors are equal"
    assert precision_gain(t[:1], t[:1], t[:1]).why == "one replicate has no spread"


# --- power at the size that was meant


def paired_statistics(n: int, seed: int, over: float = 1.5) -> tuple[Array, Array]:
    """Return statistics of a test that rejects too often, with effect 2 and without, paired."""
    noise = over * np.random.default_rng(seed).standard_t(12, n)
    return noise + 2 * over, noise


def test_adjusted_power_is_power_at_the_null_quantile_within_three_errors() -> None:
    over, law = 1.5, stats.t(12)
    c = float(law.ppf(0.975))
    true = 1 - float(law.cdf(c - 2) - law.cdf(-c - 2))
    for paired in (True, False):
        found = []
        for seed in range(300):
            statistic, null = paired_statistics(800, seed, over)
            if not paired:
                null = paired_statistics(800, 10_000 + seed, over)[1]
            found.append(size_adjusted_power(statistic, null, 0.95))
        values, errors = np.array([(s.value, s.mcse) for s in found]).T
        assert (np.abs(values - true) < 3 * errors).mean() >= 0.98
        assert errors.mean() == pytest.approx(values.std(ddof=1), rel=0.2)


def test_limits_of_adjusted_power_are_wilsons_at_the_effective_number() -> None:
    score = size_adjusted_power(*paired_statistics(1000, 1), 0.95)
    tries = score.value * (1 - score.value) / score.mcse**2
    wilson = core.proportion(score.value * tries, tries)
    assert (score.low, score.high) == pytest.approx((wilson.low, wilson.high))
    none = size_adjusted_power(np.zeros(200), np.arange(200.0), 0.95)
    assert none == core.proportion(0, 200)


def test_adjusted_power_of_the_null_itself_is_the_size() -> None:
    null = np.random.default_rng(1).normal(size=2000)
    score = size_adjusted_power(null, null, 0.9)
    assert score.value == pytest.approx(0.1, abs=1e-3)
    assert score.mcse < 0.004  # the noise is shared, so that little is left


def test_the_critical_value_is_that_of_an_exact_test() -> None:
    """Of 200 exchangeable statistics each in turn is the new one: alpha of them lie beyond."""
    every = np.random.default_rng(5).normal(size=200)
    for level in (0.9, 0.95):
        beyond = [
            size_adjusted_power(np.full(199, x), np.delete(every, i), level).value
            for i, x in enumerate(every)
        ]
        assert np.mean(beyond) == pytest.approx(1 - level)


def test_adjusted_power_needs_replicates_beyond_the_critical_value() -> None:
    x = np.arange(100.0)
    assert size_adjusted_power(x[:99], x[:99], 0.95).why.startswith("too few")
    assert not size_adjusted_power(x, x, 0.95).why
    assert isnan(size_adjusted_power(x[:0], x[:0], 0.95).value)
    assert size_adjusted_power(x, x, 1.5).why == "no level between 0 and 1"


# --- bands and posteriors


def test_bands_must_hold_all_horizons_at_once() -> None:
    theta = np.array([[0.0, 0, 0], [1, 1, 1]])
    low, high = theta - 0.5, theta + np.array([[0.5, 0.5, -0.1], [0.5, -0.1, -0.1]])
    assert intervals.simultaneous_coverage(low, high, theta) == core.proportion(1, 3)


def test_the_transform_of_a_calibrated_posterior_is_centred_and_spread_like_the_uniform() -> None:
    pit = (np.arange(1000) + 0.5) / 1000
    assert posterior.pit_mean(pit).value == pytest.approx(0.5)
    assert posterior.pit_dispersion(pit).value == pytest.approx(1, rel=1e-3)
    narrow = stats.norm.cdf(2 * stats.norm.ppf(pit))  # posteriors half as wide as they should be
    wide = stats.norm.cdf(0.5 * stats.norm.ppf(pit))
    assert posterior.pit_dispersion(narrow).value > 1.15
    assert posterior.pit_dispersion(wide).value < 0.85
    assert posterior.pit_dispersion(pit[:1]).why == "one replicate has no spread"


@pytest.mark.parametrize("name", ["crps", "pit_mean", "pit_dispersion"])
def test_errors_of_posterior_summaries_agree_with_the_bootstrap(name: str) -> None:
    pit = np.random.default_rng(4).beta(2, 1, 1500)
    measure = METRICS[name]
    score = measure(pit)
    assert score.mcse == pytest.approx(bootstrapped(measure, [pit]), rel=0.12)
