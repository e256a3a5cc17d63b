"""Medians and their errors, and the flag for estimates whose averages cannot be believed."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan, log, nan, pi, sqrt
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from cibench.metrics import METRICS, Score, accuracy, core, families, moments, standard_errors
from cibench.metrics.influence import scored

Array = NDArray[Any]
LAWS: dict[str, Any] = {
    "normal": stats.norm(), "uniform": stats.uniform(-0.5, 1), "logistic": stats.logistic(),
    "double exponential": stats.laplace(), "cauchy": stats.cauchy(), "skewed": stats.gamma(2),
}  # fmt: skip


def zeros(x: Array) -> Array:
    return np.zeros_like(x)


# --- medians


@pytest.mark.parametrize("n", [1, 2, 3, 10, 101, 400])
def test_the_medians_are_numpys(n: int) -> None:
    rng = np.random.default_rng(n)
    t, theta = rng.normal(3, 1, n), rng.normal(2, 1, n)
    assert accuracy.median_bias(t, theta).value == pytest.approx(np.median(t - theta))
    assert accuracy.mad(t, theta).value == pytest.approx(np.median(np.abs(t - theta)))


def test_the_median_absolute_percentage_error_is_scikit_learns_in_median() -> None:
    from sklearn.metrics import mean_absolute_percentage_error

    rng = np.random.default_rng(3)
    t, theta = rng.normal(3, 1, 81), rng.normal(-2, 0.5, 81)
    each = [mean_absolute_percentage_error([b], [a]) for a, b in zip(t, theta, strict=True)]
    found = accuracy.mdape(t, theta)
    assert found.value == pytest.approx(np.median(each)) and found.mcse > 0
    assert accuracy.mdape(5 * t, 5 * theta).value == pytest.approx(found.value)  # no unit
    assert accuracy.mdape(t, np.where(np.arange(81) == 4, 0.0, theta)).why == "a truth is zero"
    assert isnan(accuracy.mdape(np.empty(0), np.empty(0)).value)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("n", [40, 400])
def test_three_median_errors_hold_the_laws_median_with_moments_or_without(law: str, n: int) -> None:
    draws = LAWS[law].rvs(size=(1000, n), random_state=np.random.default_rng(8))
    centre, spread = LAWS[law].median(), stats.norm.ppf(0.75)
    scores = [accuracy.median_bias(row, zeros(row)) for row in draws]
    away = np.array([abs(s.value - centre) / s.mcse for s in scores])
    assert (away < 3).mean() >= 0.98
    assert 0.9 < (away < 2).mean() < 0.99
    if law == "normal":
        away = np.array([
            abs(m.value - spread) / m.mcse for m in (accuracy.mad(r, zeros(r)) for r in draws)
        ])  # fmt: skip
        assert (away < 3).mean() >= 0.98


def test_the_median_error_is_the_large_sample_one_of_a_normal_law() -> None:
    n = 40_001
    quantiles = stats.norm.ppf((np.arange(n) + 0.5) / n)
    error = accuracy.median_bias(quantiles, zeros(quantiles)).mcse
    assert error == pytest.approx(sqrt(pi / 2 / n), rel=1e-3)


@pytest.mark.parametrize("measure", [accuracy.median_bias, accuracy.mad])
def test_the_median_error_agrees_with_the_bootstrap(
    measure: Callable[[Array, Array], Score],
) -> None:
    rng, n = np.random.default_rng(5), 2000
    t = rng.gamma(2, 1, n)
    values = [measure(t[i], zeros(t)).value for i in rng.integers(0, n, (500, n))]
    assert measure(t, zeros(t)).mcse == pytest.approx(np.std(values, ddof=1), rel=0.2)


LUMPY = {
    "signs": lambda rng, size: rng.choice([-1.0, 1.0], size),
    "three": lambda rng, size: rng.choice([-1.0, 0.0, 1.0], size, p=[0.45, 0.1, 0.45]),
    "counts": lambda rng, size: rng.poisson(1.68, size).astype(float),
}  # fmt: skip


@pytest.mark.parametrize("law", LUMPY)
@pytest.mark.parametrize("n", [51, 200])
def test_errors_of_medians_of_few_values_are_of_the_size_that_medians_stray_by(law, n):
    """By distances of order statistics they were half of it; a resample's median has two thirds."""
    samples = LUMPY[law](np.random.default_rng(4), (600, n))
    errors = [core.median_score(x).mcse for x in samples]
    ratio = np.sqrt(np.square(errors).mean()) / np.median(samples, axis=1).std()
    assert 0.75 < ratio < 1.25


def test_medians_of_few_or_equal_answers() -> None:
    none, one, equal = np.empty(0), np.array([3.0]), np.full(7, 0.3)
    assert isnan(accuracy.median_bias(none, none).value)
    assert accuracy.median_bias(one, zeros(one)).value == 3
    assert isnan(accuracy.median_bias(one, zeros(one)).mcse)
    assert accuracy.median_bias(equal, zeros(equal)) == Score(0.3, 0)


def test_a_simulated_truth_moves_the_median_bias_by_its_error() -> None:
    t = np.random.default_rng(2).normal(size=50)
    exact = accuracy.median_bias(t, zeros(t))
    blurred = core.with_truth_error(lambda th: accuracy.median_bias(t, th), zeros(t), 0.3)
    assert blurred.mcse == pytest.approx(sqrt(exact.mcse**2 + 0.09))


# --- one replicate that makes the sum of squares


def flagged(e: Array) -> bool:
    return moments.heavy(moments.largest_share(e, zeros(e)), e.size)


def flagged_share(law: Any, n: int, trials: int, seed: int = 3) -> float:
    draws = law.rvs(size=(trials, n), random_state=np.random.default_rng(seed))
    squares = draws**2
    largest = squares.max(axis=1) / squares.sum(axis=1)
    return float(np.mean([moments.heavy(share, n) for share in largest]))


@pytest.mark.parametrize("law", ["normal", "uniform", "logistic", "double exponential"])
@pytest.mark.parametrize("n", [30, 100, 1000])
def test_a_light_tailed_law_is_all_but_never_flagged(law: str, n: int) -> None:
    assert flagged_share(LAWS[law], n, trials=2000) <= 0.002


def test_a_plain_tenth_would_flag_normal_errors_of_a_hundred_replicates() -> None:
    draws = np.random.default_rng(1).normal(size=(2000, 100)) ** 2
    assert (draws.max(axis=1) / draws.sum(axis=1) > 0.1).mean() > 0.1


@pytest.mark.parametrize(("n", "least"), [(100, 0.6), (1000, 0.9)])
def test_a_law_without_moments_is_flagged(n: int, least: float) -> None:
    assert flagged_share(stats.cauchy(), n, trials=500) > least


def test_from_a_thousand_replicates_on_the_limit_is_a_tenth() -> None:
    assert moments.light_share(1000) < 0.1 < moments.light_share(850)
    square = log(1000 * 100) ** 2 / 2
    assert moments.light_share(100) == pytest.approx(square / (100 - sqrt(500) + square))
    assert moments.heavy(0.1001, 1000) and not moments.heavy(0.0999, 1000)


@pytest.mark.parametrize("bias", [0.0, 3.0, -100.0])
def test_a_bias_hides_no_dominating_replicate(bias: float) -> None:
    """Its square had a part in the sum, so that a biased method was never flagged."""
    e = np.r_[np.random.default_rng(3).normal(size=199), 40.0]
    share = moments.largest_share(e + bias, zeros(e))
    assert share == pytest.approx(np.square(e - e.mean()).max() / np.square(e - e.mean()).sum())
    assert flagged(e + bias) and not flagged(e[:-1] + bias)


def test_few_replicates_and_rounding_errors_are_not_flagged() -> None:
    assert not flagged(np.r_[np.zeros(28), 5.0])
    assert flagged(np.r_[np.zeros(29), 5.0])
    truth = np.full(40, 2.0)
    almost = truth + np.r_[4e-16, np.zeros(39)]
    assert moments.largest_share(almost, truth) == 0
    assert moments.largest_share(np.empty(0), np.empty(0)) == 0
    assert not moments.heavy(nan, 1000)


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e9])
@pytest.mark.parametrize("noise", [0.0, 1e-16, 1e-12, 1e-10, 1e-6, 1.0])
def test_estimates_that_vary_by_rounding_alone_have_no_se_ratio_and_no_precision(
    size: float, noise: float
) -> None:
    rng, theta = np.random.default_rng(4), np.full(60, size)
    t, other = (theta * (1 + noise * rng.normal(size=60)) for _ in range(2))
    s = size * noise * np.ones(60) + size * 1e-17
    ratio, gain = METRICS["se_ratio"](t, theta, s), standard_errors.precision_gain(t, other, theta)
    columns = {"estimate": t, "truth": theta, "std_error": s, "ci_low": t - s, "ci_high": t + s}
    attributed = scored(METRICS["shortfall_bias"].of(columns | {"outside": zeros(t)}, 0.95))
    for score in (ratio, gain, attributed):
        assert isnan(score.value) is (noise < 1e-11)
        assert (score.why == "all errors are equal") is (noise < 1e-11)
    if noise > 1e-11:
        assert ratio.value == pytest.approx(1, abs=4 / sqrt(2 * 60))


def test_the_reference_of_precision_is_who_varies_by_more_than_rounding() -> None:
    theta, rng = np.ones(50), np.random.default_rng(5)
    exact, noisy = theta * (1 + 1e-15 * rng.normal(size=50)), theta + rng.normal(size=50)
    groups = [
        {"estimate": t, "truth": theta, "ok": np.ones(50, dtype=bool)}
        for t in (theta, exact, noisy)
    ]
    assert families.reference(groups) == 2
    assert families.reference(groups[:2]) is None


def test_one_absurd_standard_error_of_sixty_leaves_no_average_of_them() -> None:
    rng, theta = np.random.default_rng(6), np.zeros(60)
    t, s = rng.normal(size=60), np.full(60, 1.0)
    assert METRICS["model_se"](s).value == 1
    spoilt = np.r_[5e7, s[1:]]
    why = "one replicate makes 100 % of the sum of squared standard errors"
    columns = {"std_error": spoilt, "estimate": t, "truth": theta, "outside": zeros(t)}
    columns |= {"ci_low": t - 2 * spoilt, "ci_high": t + 2 * spoilt}
    for name in ("model_se", "se_ratio", "shortfall_bias"):
        score = scored(METRICS[name].of(columns, 0.95))
        assert isnan(score.value) and score.why == why, name
    length = scored(METRICS["ci_length"].of(columns, 0.95))
    assert isnan(length.value) and length.why == why.replace("standard errors", "lengths")
