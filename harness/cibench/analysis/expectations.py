"""From scores and declarations to verdicts: does every method do what was expected of it.

Everything comes from the run folder: the score table, the catalogue, the suite as it was run. A
method is valid where its coverage is above the floor, that of its simultaneous bands too, its bias
at most half an empirical SE and its SE ratio within a range. Each is read off limits that hold for
all of a run at once (`cibench.analysis.judged_scores`). It fails where one of them is on the wrong
side, beyond doubt; standard errors that are too large make it conservative. What cannot be judged
is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from math import nan
from typing import TYPE_CHECKING, Any

from cibench.analysis.coverage_verdicts import ALPHA, MOST_LEFT_OUT, Coverage, CoverageVerdict
from cibench.analysis.coverage_verdicts import MEANING as COVERAGE_MEANING
from cibench.analysis.error_verdicts import BIAS, SE_RATIO, ErrorLimits
from cibench.analysis.failures import commonest_reasons
from cibench.analysis.judged_scores import Bounds, Judged, JudgedScore, Side, judge_scores
from cibench.render.numbers import percent
from cibench.storage.schema import SCORED
from cibench.suite.expectations import (
    SHORTFALL,
    Expectation,
    Expected,
    Statement,
    entries,
    expectation,
    stated,
)
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ALPHA", "EXPECTATIONS", "MEANING", "SURPRISES", "ExpectationVerdict", "Expected",
    "judge_expectation", "judge_expectations",
]  # fmt: skip

EXPECTATIONS = (
    *SCORED, "expected", "because", "broken", "verdict", "decided_by", "unjudged", "needed", "note",
    "declined", "failed", "floor", "tries", "covered", "coverage", "low", "high",
    "coverage_verdict", "bands", "bands_low", "bands_high", "bands_verdict",
    "bias_most", "bias_surely", "bias_in_se", "bias_low", "bias_high", "bias_verdict",
    "se_ratio_least", "se_ratio_most", "se_ratio_surely", "se_ratio", "se_ratio_low",
    "se_ratio_high", "se_ratio_verdict",
)  # fmt: skip
"""The columns of the table."""

BEARING = (Expected.VALID, Expected.FAILS)
"""What leads to a verdict."""


class ExpectationVerdict(StrEnum):
    """Say what the rows show of an expectation; the empty one: there is none to judge."""

    VALID = "valid as declared"
    FAILS = "fails as declared"
    FAILS_UNEXPECTEDLY = "fails unexpectedly"
    SURVIVES = "survives unexpectedly"
    CONSERVATIVE = "conservative"
    INCONCLUSIVE = "inconclusive"
    NO_ANSWER = "no answer"
    CONTRADICTS = "contradicts itself"
    OTHER_QUESTION = "different question"
    NONE = ""


SURPRISES = (ExpectationVerdict.FAILS_UNEXPECTEDLY, ExpectationVerdict.SURVIVES)

FAULTS = (ExpectationVerdict.NO_ANSWER, ExpectationVerdict.CONTRADICTS)
"""What is wrong with a method or its adapter, whatever was expected of its statistics."""

CONTRADICTING = 0.01
"""The share of answers at odds with themselves above which, beyond doubt, a method is."""

CONTRADICTIONS = {
    "excludes_estimate": "its answers lie outside their own limits",
    "contradicts_p_value": "its p-values contradict its limits",
}
"""The metrics that count how often answers contradict themselves, in words."""

MEANING = {
    ExpectationVerdict.VALID: "nothing that it assumes is broken, and what could be judged of "
    "coverage, bands, bias and standard errors is within its bounds",
    ExpectationVerdict.FAILS: "what it assumes is broken far enough, and coverage, bands, bias or "
    "standard errors are on the wrong side of their bound",
    ExpectationVerdict.FAILS_UNEXPECTEDLY: "nothing that it assumes is broken, yet coverage, "
    "bands, bias or standard errors are on the wrong side of their bound",
    ExpectationVerdict.SURVIVES: "what it assumes is broken far enough, yet all that could be "
    "judged is within its bounds",
    ExpectationVerdict.CONSERVATIVE: "nothing is on the wrong side of its bound, but intervals "
    "miss less than half as often as they may, or standard errors are too large",
    ExpectationVerdict.INCONCLUSIVE: "too few replicates to tell on which side of a bound it is",
    ExpectationVerdict.NO_ANSWER: "more than half of the fits failed, which is no finding about "
    "the method’s statistics: failures.csv says why, and where in the code",
    ExpectationVerdict.CONTRADICTS: "more than one answer in a hundred lies outside its own "
    "limits, whose coverage says nothing of it, or has a p-value that its limits contradict: above "
    "one half where they exclude no effect, below a tenth of 1 - level where they hold it",
    ExpectationVerdict.OTHER_QUESTION: "the method does not answer what it was scored on",
}


def judge_expectation(
    expected: Expected, sides: Mapping[Judged, Side]
) -> tuple[ExpectationVerdict, tuple[Judged, ...]]:
    """Return what was found of an expectation, VALID or FAILS, and which numbers decide it.

    `sides` has all that could be judged; where that is nothing there is no verdict.
    """
    on = {side: tuple(name for name, s in sides.items() if s is side) for side in Side}
    fails, valid = ExpectationVerdict.FAILS, ExpectationVerdict.VALID
    if expected is Expected.VALID:
        fails = ExpectationVerdict.FAILS_UNEXPECTEDLY
    else:
        valid = ExpectationVerdict.SURVIVES
    if not sides:
        return ExpectationVerdict.NONE, ()
    if on[Side.BAD]:
        return fails, on[Side.BAD]
    if on[Side.UNCLEAR] and not (on[Side.WIDE] and expected is Expected.VALID):
        return ExpectationVerdict.INCONCLUSIVE, on[Side.UNCLEAR]
    if on[Side.WIDE] and expected is Expected.VALID:
        return ExpectationVerdict.CONSERVATIVE, on[Side.WIDE]
    return valid, tuple(sides)


def judge_expectations(
    scores: pd.DataFrame, catalogue: Mapping[str, Any], spec: Mapping[str, Any],
    failures: pd.DataFrame | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Return one row per row of the score table: what it shows, and what was expected.

    `spec` is the content of the suite file. `verdict` (one of `ExpectationVerdict`) is what was
    found of the expectation and `decided_by` the numbers that it rests on; `unjudged` says of which
    of them there is nothing to judge, and why. `needed` says of an inconclusive one how many
    replicates would decide it; `note` why there is no coverage to judge, or what the suite gives as
    a reason for its bounds; with the table of `failures` it gives the commonest reason why most
    fits failed.

    `covered` of `tries` hold the truth: a failure is a miss, who declines has not tried; `declined`
    is the share of data sets that it did. `bands` is the share of tries whose simultaneous bands
    hold the truths of all horizons, in the first row of each family of horizons that has them.
    `bias_in_se` is bias over empirical SE. Each has its limits, which hold for all that is judged
    in the table at once, its bounds, those of the suite or the defaults, and its verdict. A bias or
    SE ratio is too large beyond doubt where its limits lie beyond `bias_surely` or
    `se_ratio_surely`, the bound with room for tails that the replicates cannot have shown
    (`cibench.analysis.error_verdicts`). Raises BadInput where two [[cells]] tables contradict each
    other.

    >>> import cibench
    >>> from cibench.analysis import judge_expectations
    >>> cell = {"scenario": "did/two-group", "n": 30, "dials": {"trend": 0.5}}
    >>> cell |= {"estimators": "did/collapsed", "expect": {"fails": {"did/*": {"trend": 0.5}}}}
    >>> run = cibench.run({"name": "small", "seed": 1, "replicates": 40, "cells": [cell]})
    >>> table = judge_expectations(run.scores, run.catalogue, run.suite)
    >>> table[["setting", "expected", "coverage", "low", "high", "verdict"]].round(2)
       setting expected  coverage   low  high            verdict
    0      NaN    valid       1.0  0.87  1.00       inconclusive
    1      0.5    fails       0.0  0.00  0.13  fails as declared
    """
    import pandas as pd

    tables, scenarios = entries(spec), catalogue.get("scenarios") or {}
    rows: list[Mapping[str, Any]] = [
        {str(key): value for key, value in record.items()} for record in scores.to_dict("records")
    ]
    words = [stated(tables, row, scenarios.get(row["scenario"]) or {}) for row in rows]
    bounds = [bounds_of(word, float(row["level"])) for row, word in zip(rows, words, strict=True)]
    reasons = [""] * len(rows) if failures is None else commonest_reasons(scores, failures)
    lines, judgements = [], judge_scores(rows, bounds)
    for row, word, judged, reason in zip(rows, words, judgements, reasons, strict=True):
        expected = Expectation(Expected.NOTHING, "")
        if row["kind"] != "diagnostic":
            expected = expectation(row, catalogue, word)
        lines.append(_line(row, expected, judged, word.why))
        if fault := _fault(row, judged.coverage, reason):
            verdict, note = fault
            lines[-1] |= {"verdict": str(verdict), "decided_by": "", "needed": nan, "note": note}
    table = pd.DataFrame(lines, columns=list(EXPECTATIONS))
    keys = scores[list(SCORED)].reset_index(drop=True)
    return table.assign(**{name: keys[name] for name in SCORED})


def count_unjudged(rows: Iterable[Mapping[str, Any]]) -> dict[Judged, int]:
    """Count, of rows of the table that carry an expectation, how many lack a verdict on what."""
    counts = dict.fromkeys(Judged, 0)
    for row in rows:
        if row["expected"] in BEARING and row["verdict"] not in FAULTS:
            for clause in filter(None, str(row["unjudged"]).split("; ")):
                for name in clause.partition(": ")[0].split(", "):
                    counts[Judged(name)] += 1
    return {name: n for name, n in counts.items() if n}


def bounds_of(statement: Statement, level: float) -> Bounds:
    """Return the bounds that a suite states of a row, the defaults where it says nothing."""
    floor = statement.floor or round(level - SHORTFALL, 12)
    return Bounds(floor, statement.bias or BIAS, statement.se_ratio or SE_RATIO)


def _line(
    score: Mapping[str, Any], expected: Expectation, judged: JudgedScore, why: str
) -> dict[str, Any]:
    """Return a row of the table."""
    bears = expected.expected in BEARING
    verdict, needed = ExpectationVerdict.NONE, nan
    decided_by: tuple[Judged, ...] = ()
    if expected.expected is Expected.OTHER_QUESTION:
        verdict = ExpectationVerdict.OTHER_QUESTION
    elif bears:
        verdict, decided_by = judge_expectation(expected.expected, judged.sides)
        needed = judged.needed if verdict is ExpectationVerdict.INCONCLUSIVE else nan
    return {
        **{name: score[name] for name in SCORED}, "expected": str(expected.expected),
        "because": expected.because, "broken": "; ".join(expected.broken),
        "verdict": str(verdict), "decided_by": ", ".join(decided_by),
        "unjudged": _unjudged(judged) if bears else "", "needed": needed,
        "note": _note(judged.coverage, why if bears else "", score),
        "declined": score["declined"] / score["replicates"],
        "failed": score["failures"] / max(score["replicates"] - score["declined"], 1),
        **_coverage_columns(judged.coverage, judged.bands),
        **_error_columns(judged.bias, judged.se_ratio),
    }  # fmt: skip


def _coverage_columns(coverage: Coverage, bands: Coverage | None) -> dict[str, Any]:
    held_to = coverage.unjudged is None
    columns = {
        "floor": coverage.floor if held_to else nan, "tries": coverage.tries,
        "covered": coverage.covered, "coverage": coverage.share, "low": coverage.low,
        "high": coverage.high, "coverage_verdict": str(coverage.verdict),
        "bands": nan, "bands_low": nan, "bands_high": nan, "bands_verdict": "",
    }  # fmt: skip
    if bands is not None:
        columns |= {
            "floor": bands.floor, "bands": bands.share, "bands_low": bands.low,
            "bands_high": bands.high, "bands_verdict": str(bands.verdict),
        }  # fmt: skip
    return columns


def _error_columns(bias: ErrorLimits, se_ratio: ErrorLimits) -> dict[str, Any]:
    return {
        "bias_most": nan if bias.unjudged else bias.most, "bias_surely": bias.surely[1],
        "bias_in_se": bias.value,
        "bias_low": bias.low, "bias_high": bias.high, "bias_verdict": str(bias.verdict),
        "se_ratio_least": nan if se_ratio.unjudged else se_ratio.least,
        "se_ratio_most": nan if se_ratio.unjudged else se_ratio.most,
        "se_ratio_surely": se_ratio.surely[1],
        "se_ratio": se_ratio.value, "se_ratio_low": se_ratio.low, "se_ratio_high": se_ratio.high,
        "se_ratio_verdict": str(se_ratio.verdict),
    }  # fmt: skip


def _unjudged(judged: JudgedScore) -> str:
    """Say of which numbers there is nothing to judge, and why: a clause for each reason."""
    reasons: dict[str, list[str]] = {}
    for name, reason in judged.unjudged.items():
        reasons.setdefault(reason, []).append(name)
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in reasons.items())


def _fault(
    score: Mapping[str, Any], coverage: Coverage, reason: str
) -> tuple[ExpectationVerdict, str] | None:
    """Return what is wrong with a method, and in words how much; it is no finding about statistics.

    Whether answers contradict themselves is told by Wilson's lower limit of their share.
    """
    if score["kind"] == "diagnostic":
        return None
    if coverage.unjudged is None and 2 * int(score["answered"]) < coverage.tries:
        return ExpectationVerdict.NO_ANSWER, _silence(score, coverage, reason)
    notes = []
    for name, words in CONTRADICTIONS.items():
        low = score.get(f"{name}_low")
        if not missing(low) and float(low or 0) > CONTRADICTING:
            notes.append(f"{percent(score[name])} % of {words}")
    return (ExpectationVerdict.CONTRADICTS, "; ".join(notes)) if notes else None


def selective(row: Mapping[str, Any]) -> bool:
    """Say whether a verdict rests on the data sets alone that a method did not decline, too few."""
    return row["expected"] in BEARING and MOST_LEFT_OUT < row["declined"] < 1


def _note(coverage: Coverage, why: str, score: Mapping[str, Any]) -> str:
    """Say why there is no coverage to judge, of which data sets it is, or what the suite says."""
    if coverage.unjudged is CoverageVerdict.DIAGNOSTIC:
        return "a diagnostic: diagnostics.csv scores it"
    if coverage.unjudged:
        return COVERAGE_MEANING[coverage.unjudged]
    lost, every = int(score["declined"]), int(score["replicates"])
    few = f"judged on the {every - lost} of {every} data sets that it did not decline"
    return "; ".join(filter(None, (few if lost > MOST_LEFT_OUT * every else "", why)))


def _silence(score: Mapping[str, Any], coverage: Coverage, reason: str) -> str:
    """Say how few tries were answered, and the commonest reason for it."""
    text = f"answered {score['answered'] or 'none'} of {coverage.tries}"
    return f"{text}: {reason}" if reason else text
