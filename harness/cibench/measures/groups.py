"""All measures of one group of replicate rows, each from the rows that have what it needs."""

from __future__ import annotations

from cibench.measures.accuracy import bias, empirical_se, mae, mse, relative_bias, rmse
from cibench.measures.answers import (
    LIMITS,
    NEEDS,
    POINTS,
    SETS,
    WALD,
    Group,
    answers,
    explained,
    present,
)
from cibench.measures.attribution import PARTS, attribution, lost_to_failures
from cibench.measures.core import BLANK, Score, blank, proportion, with_truth_errors
from cibench.measures.medians import mad, median_bias
from cibench.measures.posterior import crps, pit_dispersion, pit_mean
from cibench.measures.sets import (
    bias_eliminated_coverage,
    ci_length,
    coverage,
    covers,
    interval_score,
    lower_noncoverage,
    rejection,
    upper_noncoverage,
)
from cibench.measures.signs import type_m, type_s
from cibench.measures.uncertainty import model_se, se_ratio
from cibench.model import Array

BY_LEVEL = ("interval_score", "shortfall", *(f"shortfall_{part}" for part in PARTS))
NO_LEVEL, NO_MOMENTS = "no level between 0 and 1", "the estimates have no finite moments"


def measure_diagnostic(group: Group) -> dict[str, Score]:
    """Return the share of the data sets that did not pass, as `rejection`."""
    (passed,) = present(answers(group), "passed")
    return {"rejection": proportion(int((passed == 0).sum()), passed.size)}


def measure_estimator(
    group: Group, truth_mcse: float, level: float, moments: bool = True
) -> dict[str, Score]:
    """Return every measure of an estimator's answers that needs no other group.

    `truth_mcse` is the truths' own error, `level` the nominal coverage; without finite `moments`
    a shortfall is not attributed.
    """
    given = answers(group)
    scores = (
        _of_estimates(given, truth_mcse)
        | _of_sets(given, truth_mcse, level)
        | _of_posteriors(given)
        | _with_failures(group, given, truth_mcse)
    )
    if 0 < level < 1:
        scores |= _shortfall(given, scores["coverage"], truth_mcse, level)
    else:
        scores |= dict.fromkeys(BY_LEVEL, blank(NO_LEVEL))
    if not moments:
        scores |= dict.fromkeys((f"shortfall_{p}" for p in PARTS), blank(NO_MOMENTS))
    return {name: explained(name, score, given) for name, score in scores.items()}


def _of_estimates(given: Group, truth_mcse: float) -> dict[str, Score]:
    t, theta = present(given, *POINTS)
    measured = (bias, relative_bias, mse, rmse, median_bias, mad, mae)
    scores = with_truth_errors(
        lambda truth: {measure.__name__: measure(t, truth) for measure in measured},
        theta, truth_mcse,
    )  # fmt: skip
    return scores | {
        "empirical_se": empirical_se(t, theta),
        "model_se": model_se(*present(given, "std_error")),
        "se_ratio": se_ratio(*present(given, *NEEDS["se_ratio"])),
    }


def _of_sets(given: Group, truth_mcse: float, level: float) -> dict[str, Score]:
    low, high, outside, theta = present(given, *SETS)
    t, truths, lows, highs, outsides = present(given, *POINTS, *LIMITS)
    alone = present(given, *LIMITS)

    def at(theta: Array) -> dict[str, Score]:
        sided = (lower_noncoverage, upper_noncoverage)
        return {measure.__name__: measure(low, high, theta, outside) for measure in sided} | {
            "coverage": coverage(low, high, theta, outside),
            "interval_score": interval_score(low, high, theta, level, outside),
        }

    def significant(truths: Array) -> dict[str, Score]:
        wrong = (type_s, type_m)
        return {measure.__name__: measure(t, truths, lows, highs, outsides) for measure in wrong}

    return {
        **with_truth_errors(at, theta, truth_mcse),
        **with_truth_errors(significant, truths, truth_mcse),
        "bias_eliminated_coverage": bias_eliminated_coverage(lows, highs, t, truths, outsides),
        "ci_length": ci_length(*alone),
        "rejection": rejection(*alone),
    }


def _of_posteriors(given: Group) -> dict[str, Score]:
    (scores,), (pit,) = present(given, "crps"), present(given, "pit")
    return {"crps": crps(scores), "pit_mean": pit_mean(pit), "pit_dispersion": pit_dispersion(pit)}


def _with_failures(group: Group, given: Group, truth_mcse: float) -> dict[str, Score]:
    low, high, outside, theta = present(given, *SETS)
    total, answered = group["ok"].size, given["ok"].size

    def at(theta: Array) -> dict[str, Score]:
        covered = int(covers(low, high, theta, outside).sum())
        # Who answers without limits has no coverage; who never answers has covered nothing.
        counted = low.size or not answered
        return {
            "shortfall_failures": lost_to_failures(covered, low.size, total),
            "coverage_with_failures": proportion(covered, total) if counted else BLANK,
        }

    return with_truth_errors(at, theta, truth_mcse)


def _shortfall(given: Group, held: Score, truth_mcse: float, level: float) -> dict[str, Score]:
    """Return what the coverage `held` lacks and its parts."""
    t, theta, s, low, high, outside = present(given, *WALD)
    parts = dict.fromkeys(PARTS, blank("some limits stand without estimate or std_error"))
    if not t.size or t.size == present(given, *SETS)[0].size:
        parts = with_truth_errors(
            lambda truth: attribution(t, truth, s, low, high, level, outside), theta, truth_mcse
        )
    shares = {f"shortfall_{part}": score for part, score in parts.items()}
    return {"shortfall": Score(level - held.value, held.mcse), **shares}
