"""Verdicts on bias and standard errors: limits that hold, bounds that count, reasons that are told.

The study of `benchmarks/verdicts.py`, whose table is committed, has the laws with heavy tails; what
is tested here is the kind, at a size that a test can carry.
"""

from __future__ import annotations

from math import inf, isnan, log, sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cibench.analysis.error_verdicts import (
    BIAS,
    SE_RATIO,
    ErrorLimits,
    ErrorVerdict,
    fieller,
    judge_bias,
    judge_se_ratio,
    sizes_within,
    unseen,
)
from cibench.analysis.judged_scores import Bounds, Side, judge_scores
from cibench.metrics import accuracy, standard_errors
from cibench.metrics.influence import scored
from cibench.metrics.moments import SQUARES

STUDY = Path(__file__).parents[2] / "results" / "reference" / "verdicts" / "study.csv"


@pytest.mark.parametrize("d", [-2.0, -0.3, 0.0, 0.1, 0.7, 5.0])
@pytest.mark.parametrize(("v", "r", "q"), [(0.07, 0.05, 3.0), (0.14, 0.1, 4.5), (0.3, 0.2, 2.0)])
def test_fiellers_set_is_what_its_inequality_says(d, v, r, q):
    low, high = fieller(d, v, r, q)
    b = np.linspace(-40, 40, 800_001)
    inside = b[np.abs(d - b) <= q * np.sqrt(v**2 + (b * r) ** 2)]
    step = b[1] - b[0]
    assert inside.min() == pytest.approx(low, abs=2 * step)
    assert inside.max() == pytest.approx(high, abs=2 * step)
    assert [-end for end in fieller(-d, v, r, q)] == pytest.approx([high, low])


def test_where_the_spread_is_hardly_known_a_limit_is_infinite():
    assert fieller(0.1, 0.14, 0.2, 8.0) == (-inf, inf)
    low, high = fieller(6.0, 0.14, 0.2, 6.0)
    assert 0.5 < low < 6 and high == inf  # that there is a large bias is known all the same


def line(t, s, theta=0.0):
    """Return a score of estimates and standard errors, by the metrics themselves."""
    theta = np.full(t.size, theta)
    measured = {
        "bias": scored(accuracy.bias(t, theta)),
        "empirical_se": scored(accuracy.empirical_se(t, theta)),
        "model_se": scored(standard_errors.model_se(s)),
        "se_ratio": scored(standard_errors.se_ratio(t, theta, s)),
    }
    numbers = {name: score.value for name, score in measured.items()}
    numbers |= {f"{name}_mcse": score.mcse for name, score in measured.items()}
    return {"kind": "estimate", "moments": True, "answered": t.size, "truth": theta[0], **numbers}


@pytest.mark.parametrize("n", [25, 100, 400])
@pytest.mark.parametrize(("bias", "ratio"), [(0.0, 1.0), (0.5, 0.8), (-2.0, 2.0)])
def test_limits_hold_the_truth_of_normal_estimates_as_often_as_they_promise(n, bias, ratio):
    """Standard errors vary, by chi-square; at alpha = 0.05 both miss in 5 of 100 at most."""
    rng, trials, alpha = np.random.default_rng(n), 1500, 0.05
    missed = np.zeros(2)
    for _ in range(trials):
        s = ratio * np.sqrt(rng.chisquare(30, n) / 30)
        score = line(rng.normal(bias, 1, n), s)
        limits = judge_bias(score, BIAS, alpha), judge_se_ratio(score, SE_RATIO, alpha)
        missed += [not at.low <= true <= at.high
                   for at, true in zip(limits, (bias, ratio), strict=True)]  # fmt: skip
    assert (missed / trials).max() < alpha + 3 * sqrt(alpha * (1 - alpha) / trials)


def test_a_fault_is_found_and_a_sound_method_is_shown_to_be_within():
    rng, alpha = np.random.default_rng(5), 0.05 / 30
    found = {"bias": 0, "small": 0, "large": 0, "within": 0}
    for _ in range(200):
        t, s = rng.normal(0, 1, 500), np.ones(500)
        found["bias"] += judge_bias(line(t + 1.5, s), BIAS, alpha).verdict == "too large"
        found["bias"] -= judge_bias(line(t - 1.5, s), BIAS, alpha).verdict != "too small"
        found["small"] += judge_se_ratio(line(t, 0.6 * s), SE_RATIO, alpha).verdict == "too small"
        found["large"] += judge_se_ratio(line(t, 2.5 * s), SE_RATIO, alpha).verdict == "too large"
        both = judge_bias(line(t, s), BIAS, alpha), judge_se_ratio(line(t, s), SE_RATIO, alpha)
        found["within"] += all(at.verdict is ErrorVerdict.WITHIN for at in both)
    assert min(found.values()) >= 190, found


def test_what_no_replicate_has_shown_is_allowed_for():
    """One estimate in 40 lies ten times as far out; in 200 replicates, now and then none does."""
    alpha, n = 0.05 / 30, 200
    sd = sqrt(0.975 + 0.025 * 100)
    rng = np.random.default_rng(3)
    lucky = line(rng.normal(0.5 * sd, 1, n), np.full(n, 0.8 * sd))
    bias = judge_bias(lucky, BIAS, alpha)
    assert bias.low > BIAS and bias.verdict is ErrorVerdict.UNCLEAR
    assert unseen(n, alpha) == pytest.approx(sqrt(1 + 100 * log(1 / alpha) / n))
    assert unseen(10**9, alpha) == pytest.approx(1, abs=1e-5)
    # The chance that none of them does is what alpha allows for, for a part of this size.
    assert alpha ** (1 / n) == pytest.approx(1 - log(1 / alpha) / n, abs=1e-3)


def test_an_error_in_the_truth_widens_the_limits_of_a_bias():
    rng = np.random.default_rng(8)
    score = line(rng.normal(0, 1, 400), np.ones(400))
    blurred = score | {"bias_mcse": sqrt(score["bias_mcse"] ** 2 + 0.1**2)}
    sharp, wide = (judge_bias(one, BIAS, 0.01) for one in (score, blurred))
    assert wide.high - wide.low > 2 * (sharp.high - sharp.low)


def test_one_number_beyond_its_bound_decides_however_near_the_others_are_to_theirs():
    """A bias of 0.8 SE brings coverage to its floor, on whose side 10^5 replicates would decide."""
    n = 300
    law = stats.norm.ppf((np.arange(n) + 0.5) / n)
    covered = {
        "kind": "estimate", "level": 0.95, "replicates": n, "declined": 0, "failures": 0,
        "coverage_with_failures": 0.897, "coverage_with_failures_mcse": sqrt(0.897 * 0.103 / n),
    }  # fmt: skip
    score = line(0.8 + law / law.std(ddof=1), np.ones(n)) | covered
    others = [line(law, np.ones(n)) | covered | {"coverage_with_failures": 0.95}] * 9
    judged, *_ = judge_scores([score, *others], [Bounds(0.9)] * 10)
    assert {Side.UNCLEAR} >= {judged.sides[name] for name in ("coverage", "bias")}
    assert judged.coverage.needed > 10 * judged.bias.needed
    assert judged.needed == judged.bias.needed
    good = line(0.3 + law / law.std(ddof=1), np.ones(n)) | covered
    good |= {"coverage_with_failures": 0.91}
    judged, *_ = judge_scores([good, *others], [Bounds(0.9)] * 10)
    assert judged.needed == max(judged.coverage.needed, judged.bias.needed)


@pytest.mark.parametrize(("bias", "ratio"), [(0.3, 1.1), (0.9, 0.9), (0.0, 0.7)])
def test_so_many_replicates_decide_nine_times_in_ten(bias, ratio):
    alpha, n = 0.05 / 20, 100
    law = stats.norm.ppf((np.arange(n) + 0.5) / n)
    score = line(bias + law / law.std(ddof=1), np.full(n, ratio))
    parts = judge_bias(score, BIAS, alpha), judge_se_ratio(score, SE_RATIO, alpha)
    unclear = [i for i, at in enumerate(parts) if at.verdict is ErrorVerdict.UNCLEAR]
    assert unclear
    size, rng = int(max(parts[i].needed for i in unclear)), np.random.default_rng(9)
    assert size > n
    decided = 0
    for _ in range(200):
        again = line(rng.normal(bias, 1, size), np.full(size, ratio))
        both = judge_bias(again, BIAS, alpha), judge_se_ratio(again, SE_RATIO, alpha)
        decided += all(both[i].verdict is not ErrorVerdict.UNCLEAR for i in unclear)
    assert decided / 200 > 0.9 - 3 * sqrt(0.09 / 200)


def test_a_planned_size_shows_that_all_is_within():
    alpha, power = 0.05 / 12, 0.9
    size, rng = int(sizes_within(BIAS, SE_RATIO, alpha, power)), np.random.default_rng(4)
    within = 0
    for _ in range(300):
        score = line(rng.normal(0, 1, size), np.ones(size))
        both = judge_bias(score, BIAS, alpha), judge_se_ratio(score, SE_RATIO, alpha)
        within += all(at.verdict is ErrorVerdict.WITHIN for at in both)
    assert within / 300 > power - 3 * sqrt(0.09 / 300)


SCORE = {
    "kind": "estimate", "moments": True, "answered": 200, "truth": 1.0, "bias": 0.0,
    "bias_mcse": 0.07, "empirical_se": 1.0, "empirical_se_mcse": 0.05, "model_se": 1.0,
    "se_ratio": 1.0, "se_ratio_mcse": 0.05,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "of_bias", "of_se_ratio"),
    [
        ({"moments": False}, "averages over replicates cannot be relied on",
         "averages over replicates cannot be relied on"),
        ({"bias": np.nan}, "the method gives no estimates", "the method gives no estimates"),
        ({"empirical_se": 1e-17, "se_ratio": 3e15}, "the estimates do not vary",
         "the estimates do not vary"),
        ({"empirical_se_mcse": np.nan}, "too few replicates", "too few replicates"),
        ({"model_se": np.nan}, "", "the method gives no standard errors"),
        ({"model_se": np.nan, "note": f"one replicate makes 99 % {SQUARES}: model_se"}, "",
         "one replicate makes most of the sum of squared standard errors"),
        ({"se_ratio": inf}, "", "standard errors that are not finite"),
        ({"kind": "diagnostic"}, "a diagnostic has no estimates", "a diagnostic has no estimates"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_says_why(changes, of_bias, of_se_ratio):
    bias = judge_bias(SCORE | changes, BIAS, 0.01)
    ratio = judge_se_ratio(SCORE | changes, SE_RATIO, 0.01)
    assert (bias.unjudged, ratio.unjudged) == (of_bias, of_se_ratio)
    for judged, reason in ((bias, of_bias), (ratio, of_se_ratio)):
        assert isnan(judged.low) is bool(reason)
        assert (judged.verdict is ErrorVerdict.NONE) is bool(reason)


def test_standard_errors_of_zero_are_too_small():
    rng = np.random.default_rng(3)
    for size in (3, 30, 300):
        limits = judge_se_ratio(line(rng.normal(0, 1, size), np.zeros(size)), SE_RATIO, 0.01)
        assert limits.verdict is ErrorVerdict.TOO_SMALL
        assert (limits.value, limits.low, limits.high) == (0, 0, 0)


def test_verdicts_are_read_off_limits_and_bounds():
    at = {"least": -0.5, "most": 0.5, "surely": (-0.8, 0.8)}
    verdicts = [
        ErrorLimits(**at, value=0, low=low, high=high).verdict
        for low, high in ((-0.4, 0.4), (-0.6, 0.4), (0.6, 0.7), (0.81, 0.9), (-2, -0.9))
    ]
    assert verdicts == ["within", "unclear", "unclear", "too large", "too small"]


def test_the_committed_study_keeps_what_the_report_promises():
    """At most 5 of 100 runs hold a surprise where every method sits exactly at its bounds."""
    study = pd.read_csv(STUDY)
    at_bounds = study[study["fault"].str.startswith("at bounds")]
    assert set(at_bounds["law"]) == {"normal", "t(3)", "lognormal", "outliers"}
    assert set(at_bounds["replicates"]) == {50, 200, 1000}
    assert (at_bounds["surprised"] <= 0.05).all()
    wide = study[study["fault"] == "wide bounds"]
    assert (wide["conservative"] <= 0.05).all()
    # What is found: a bias of 5 SE and standard errors of half the size, in normal estimates.
    normal = study[(study["law"] == "normal") & (study["replicates"] >= 200)]
    loud = normal[normal["fault"].isin(["bias 1.5", "bias 2", "bias 5", "SE ratio 0.5"])]
    assert len(loud) == 8 and (loud["surprised"] >= 0.9).all()


def test_more_replicates_do_not_know_the_truth_better():
    rng = np.random.default_rng(6)
    score = line(rng.normal(0.2, 1, 200), np.ones(200))
    assert 200 < judge_bias(score, 0.5, 0.001).needed < inf
    blurred = score | {"truth_mcse": 0.4, "bias_mcse": float(np.hypot(score["bias_mcse"], 0.4))}
    assert judge_bias(blurred, 0.5, 0.001).needed == inf
