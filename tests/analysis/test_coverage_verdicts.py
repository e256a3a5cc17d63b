"""The one verdict on a coverage: exact limits for all rows at once, failures as misses."""

from dataclasses import replace
from math import inf, isnan

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from cibench.analysis.coverage_verdicts import (
    ALPHA,
    MEANING,
    Coverage,
    CoverageVerdict,
    exact,
    replicates_needed,
)
from cibench.analysis.judged_scores import Bounds, judge_scores
from cibench.metrics.core import proportion


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (95, 100), (1, 3), (450, 1000)])
@pytest.mark.parametrize("alpha", [0.05, 0.0007])
def test_limits_are_clopper_and_pearsons(k, n, alpha):
    interval = binomtest(k, n).proportion_ci(1 - alpha, "exact")
    assert exact(k, n, alpha) == pytest.approx((interval.low, interval.high), abs=1e-12)


def chance(size, p, floor, alpha, above):
    """Return, count by count, the chance that the limits come to lie off the floor."""
    limits = [exact(k, size, alpha) for k in range(size + 1)]
    sure = np.array([low > floor if above else high < floor for low, high in limits])
    return float(binom.pmf(np.arange(size + 1), size, p)[sure].sum())


@pytest.mark.parametrize(
    ("covered", "tries", "above"),
    [(97, 100, True), (19, 20, True), (85, 100, False), (0, 5, False), (46, 50, True)],
)
def test_that_many_replicates_decide_nine_times_in_ten(covered, tries, above):
    floor, alpha = 0.9, 0.05 / 40
    p = covered / tries if covered else 0.5 / (tries + 1)
    needed = int(replicates_needed(covered, tries, floor, alpha))
    assert chance(needed, p, floor, alpha, above) >= 0.9
    # it moves in teeth, so that a few fewer may do too; but not a tenth less
    fewer = max(1, int(0.9 * needed) - 1)
    assert chance(fewer, p, floor, alpha, above) < 0.9


def test_at_the_floor_nothing_decides():
    assert replicates_needed(899_999, 999_999, 0.9, 0.001) == inf


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.70, 0.899, CoverageVerdict.BROKEN), (0.85, 0.94, CoverageVerdict.LOW),
        (0.91, 0.97, CoverageVerdict.SOUND), (0.91, 0.94, CoverageVerdict.SOUND),
        (0.85, 0.96, CoverageVerdict.UNCLEAR), (0.98, 1.0, CoverageVerdict.CONSERVATIVE),
    ],
)  # fmt: skip
def test_a_verdict_waits_for_the_doubt_to_end(low, high, verdict):
    assert Coverage(90, 100, 0.9, 0.95, low, high).verdict is verdict


def row(covered, replicates=100, failures=0, declined=0, **changes):
    """Return a line of a score table; `covered` of the tries cover, failures among the misses."""
    tries = replicates - declined
    held = proportion(covered, tries)
    return {
        "kind": "estimate", "level": 0.95, "replicates": replicates, "failures": failures,
        "declined": declined, "answered": tries - failures, "truth": 1.0, "bias": 0.0,
        "empirical_se": 1.0, "coverage_with_failures": held.value,
        "coverage_with_failures_mcse": held.mcse,
    } | changes  # fmt: skip


def one(line, floor=0.9):
    (judged,) = judge_scores([line], [Bounds(floor)])
    return judged.coverage


def test_who_declines_has_not_tried_and_who_fails_has_missed():
    declining = one(row(231, 300, declined=60))
    assert (declining.covered, declining.tries) == (231, 240)
    assert declining.verdict is CoverageVerdict.SOUND
    failing = one(row(231, 300, failures=60))
    assert (failing.covered, failing.tries) == (231, 300)
    assert failing.verdict is CoverageVerdict.BROKEN


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        (row(0, declined=100), CoverageVerdict.DECLINED),
        (row(0, failures=100), CoverageVerdict.SILENT),
        (row(95, coverage_with_failures=np.nan), CoverageVerdict.NO_LIMITS),
        (row(95, level=np.nan), CoverageVerdict.NO_LEVEL),
        (row(95, empirical_se=1e-18), CoverageVerdict.NOISELESS),
        (row(95, kind="diagnostic"), CoverageVerdict.DIAGNOSTIC),
    ],
)
def test_what_is_not_judged_says_why_and_costs_the_others_nothing(line, verdict):
    judged = [score.coverage for score in judge_scores([line, row(95)], [Bounds(0.9)] * 2)]
    assert judged[0].verdict is verdict and MEANING[verdict]
    beside = 2 if verdict is CoverageVerdict.SILENT else 1
    assert (judged[1].low, judged[1].high) == exact(95, 100, ALPHA / beside)
    assert isnan(judged[0].low) is (verdict is not CoverageVerdict.SILENT)


@pytest.mark.parametrize("share", [0, 14])
@pytest.mark.parametrize(
    ("truth", "bias", "spread"),
    [(0.0, 2.0, 0.0), (1.0, -2.0, 0.0), (1e6, 2.7e-5, 9e-6), (-1e-9, 1e-3, 1e-15)],
)
def test_who_is_wrong_without_noise_is_broken(share, truth, bias, spread):
    line = row(share, truth=truth, bias=bias, empirical_se=spread)
    assert one(line).verdict is CoverageVerdict.BROKEN


@pytest.mark.parametrize(
    ("truth", "bias", "spread"),
    [(0.0, 0.0, 0.0), (0.0, 1e-16, 0.0), (1.0, 3e-16, 1e-17), (1e6, 1e-6, 9e-6)],
)
def test_without_noise_rounding_is_no_miss(truth, bias, spread):
    for share in (0, 50, 100):
        line = row(share, truth=truth, bias=bias, empirical_se=spread)
        assert one(line).verdict is CoverageVerdict.NOISELESS


def test_every_verdict_is_explained():
    assert set(MEANING) == set(CoverageVerdict)


def test_no_number_of_replicates_decides_what_the_truths_own_error_leaves_open():
    sure = Coverage(285, 300, 0.9, 0.95, alpha=0.001, answered=True)
    assert 300 < sure.needed < inf
    at_the_floor = replace(sure, covered=270)  # as measured; half a count more is what is taken
    assert at_the_floor.needed < inf
    for error, last in ((0.01, False), (0.3, True)):
        assert (replace(sure, truth_error=error).needed == inf) is last


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_conservative_is_beyond_the_middle_of_level_and_one(level):
    """Limits wholly above nominal are sound: a little more than promised is no fault."""
    middle = (1 + level) / 2
    for low, verdict in (
        (level - 0.001, CoverageVerdict.SOUND), (level + 0.001, CoverageVerdict.SOUND),
        (middle - 1e-6, CoverageVerdict.SOUND), (middle + 1e-6, CoverageVerdict.CONSERVATIVE),
    ):  # fmt: skip
        coverage = Coverage(99, 100, 0.8, level, low=low, high=1.0, alpha=0.01, answered=True)
        assert coverage.verdict is verdict
