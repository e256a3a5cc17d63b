"""From scores and declarations to verdicts: does every method do what was expected of it.

Everything comes from the run folder: the score table, the catalogue, the suite as it was run.
Whether a method is valid or fails is read off the limits of its coverage, of which
`cibench.analysis.coverage_verdicts` says what they are worth. A surprise can be false in one way
only, the upper limit of a valid method too low or the lower one of a broken one too high: false
surprises turn up in half of the runs with a false verdict at most, and in far fewer where coverages
do not sit on their floors.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.analysis.coverage_verdicts import (
    ALPHA,
    Coverage,
    CoverageVerdict,
    judge_coverages,
)
from cibench.analysis.coverage_verdicts import (
    MEANING as UNJUDGED_MEANING,
)
from cibench.render.numbers import percent
from cibench.storage.schema import SCORED
from cibench.suite.expectations import (
    SHORTFALL,
    Expectation,
    Expected,
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
    *SCORED, "expected", "because", "broken", "floor", "tries", "covered", "coverage", "low",
    "high", "coverage_verdict", "verdict", "needed", "note",
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
"""The share of answers outside their own limits above which, beyond doubt, they contradict them."""

MEANING = {
    ExpectationVerdict.VALID: "nothing that it assumes is broken, and coverage is above the floor",
    ExpectationVerdict.FAILS: "what it assumes is broken far enough, and coverage is below the "
    "floor",
    ExpectationVerdict.FAILS_UNEXPECTEDLY: "nothing that it assumes is broken, yet coverage is "
    "below the floor",
    ExpectationVerdict.SURVIVES: "what it assumes is broken far enough, yet coverage is above the "
    "floor",
    ExpectationVerdict.CONSERVATIVE: "valid, with intervals that miss less than half as often as "
    "they may",
    ExpectationVerdict.INCONCLUSIVE: "too few replicates to tell on which side of the floor "
    "coverage lies",
    ExpectationVerdict.NO_ANSWER: "more than half of the fits failed, which is no finding about "
    "the method’s statistics: failures.csv says why, and where in the code",
    ExpectationVerdict.CONTRADICTS: "more than one answer in a hundred lies outside its own "
    "limits, whose coverage says nothing of it",
    ExpectationVerdict.OTHER_QUESTION: "the method does not answer what it was scored on",
}


def judge_expectation(expected: Expected, coverage: Coverage) -> ExpectationVerdict:
    """Return what a coverage shows of what was expected of it: VALID or FAILS."""
    if expected is Expected.FAILS:
        if coverage.below:
            return ExpectationVerdict.FAILS
        return ExpectationVerdict.SURVIVES if coverage.above else ExpectationVerdict.INCONCLUSIVE
    if coverage.below:
        return ExpectationVerdict.FAILS_UNEXPECTEDLY
    if coverage.conservative:
        return ExpectationVerdict.CONSERVATIVE
    return ExpectationVerdict.VALID if coverage.above else ExpectationVerdict.INCONCLUSIVE


def judge_expectations(
    scores: pd.DataFrame, catalogue: Mapping[str, Any], spec: Mapping[str, Any],
    failures: pd.DataFrame | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Return one row per row of the score table: what its coverage shows, and what was expected.

    `spec` is the content of the suite file. `covered` of `tries` hold the truth: a failure is a
    miss, who declines has not tried. `low` and `high` are exact limits that hold for all rows of
    the table at once, widened by an error in the truth; `floor` is the one that the suite states,
    else nominal less five points; `coverage_verdict` says where coverage lies, `verdict` (one of
    `ExpectationVerdict`) what that means for what was expected. `needed` says of an inconclusive
    one how many replicates would decide it, `note` why there is none to judge, or what the suite
    gives as a reason for its floor; with the table of `failures` it gives the commonest reason why
    most fits failed. Raises BadInput where two [[cells]] tables contradict each
    other.

    >>> import cibench
    >>> from cibench.analysis import judge_expectations
    >>> cell = {"scenario": "did/two-group", "n": 30, "dials": {"trend": 0.5}}
    >>> cell |= {"estimators": "did/collapsed", "expect": {"fails": {"did/*": {"trend": 0.5}}}}
    >>> run = cibench.run({"name": "small", "seed": 1, "replicates": 40, "cells": [cell]})
    >>> table = judge_expectations(run.scores, run.catalogue, run.suite)
    >>> table[["setting", "expected", "coverage", "low", "high", "verdict"]].round(2)
       setting expected  coverage  low  high            verdict
    0      NaN    valid       1.0  0.9   1.0       inconclusive
    1      0.5    fails       0.0  0.0   0.1  fails as declared
    """
    import pandas as pd

    tables, scenarios = entries(spec), catalogue.get("scenarios") or {}
    rows: list[Mapping[str, Any]] = [
        {str(key): value for key, value in record.items()} for record in scores.to_dict("records")
    ]
    words = [stated(tables, row, scenarios.get(row["scenario"]) or {}) for row in rows]
    floors = [
        word.floor or round(float(row["level"]) - SHORTFALL, 12)
        for row, word in zip(rows, words, strict=True)
    ]
    lines = []
    for row, word, coverage in zip(rows, words, judge_coverages(rows, floors), strict=True):
        expected = Expectation(Expected.NOTHING, "")
        if row["kind"] != "diagnostic":
            expected = expectation(row, catalogue, word)
        lines.append(_line(row, expected, coverage, word.why))
        if fault := _fault(row, coverage, failures):
            verdict, note = fault
            lines[-1] |= {"verdict": str(verdict), "needed": nan, "note": note}
    table = pd.DataFrame(lines, columns=list(EXPECTATIONS))
    keys = scores[list(SCORED)].reset_index(drop=True)
    return table.assign(**{name: keys[name] for name in SCORED})


def _line(
    score: Mapping[str, Any], expected: Expectation, coverage: Coverage, why: str
) -> dict[str, Any]:
    """Return a row of the table."""
    bears, judged = expected.expected in BEARING, coverage.unjudged is None
    verdict, needed = ExpectationVerdict.NONE, nan
    if expected.expected is Expected.OTHER_QUESTION:
        verdict = ExpectationVerdict.OTHER_QUESTION
    elif bears and judged:
        verdict = judge_expectation(expected.expected, coverage)
        needed = coverage.needed if verdict is ExpectationVerdict.INCONCLUSIVE else nan
    return {
        **{name: score[name] for name in SCORED}, "expected": str(expected.expected),
        "because": expected.because, "broken": "; ".join(expected.broken),
        "floor": coverage.floor if judged else nan, "tries": coverage.tries,
        "covered": coverage.covered, "coverage": coverage.share, "low": coverage.low,
        "high": coverage.high, "coverage_verdict": str(coverage.verdict), "verdict": str(verdict),
        "needed": needed, "note": _note(coverage, why if bears else ""),
    }  # fmt: skip


def _fault(
    score: Mapping[str, Any], coverage: Coverage, failures: pd.DataFrame | None
) -> tuple[ExpectationVerdict, str] | None:
    """Return what is wrong with a method, and in words how much; it is no finding about statistics.

    Whether answers lie outside their own limits is told by Wilson's lower limit of their share.
    """
    if score["kind"] == "diagnostic":
        return None
    if coverage.unjudged is None and 2 * int(score["answered"]) < coverage.tries:
        return ExpectationVerdict.NO_ANSWER, _silence(score, coverage, failures)
    low = score.get("excludes_estimate_low")
    if missing(low) or not float(low or 0) > CONTRADICTING:
        return None
    share = percent(score["excludes_estimate"])
    note = f"{share} % of its answers lie outside their own limits"
    return ExpectationVerdict.CONTRADICTS, note


def _note(coverage: Coverage, why: str) -> str:
    """Say why there is no coverage to judge, or what the suite gives as its reason."""
    if coverage.unjudged is CoverageVerdict.DIAGNOSTIC:
        return "a diagnostic: diagnostics.csv scores it"
    return UNJUDGED_MEANING[coverage.unjudged] if coverage.unjudged else why


def _silence(score: Mapping[str, Any], coverage: Coverage, failures: pd.DataFrame | None) -> str:
    """Say how few tries were answered, and the commonest reason for it."""
    text = f"answered {score['answered'] or 'none'} of {coverage.tries}"
    if failures is None:
        return text
    keys = ("scenario", "dials", "parameters", "n", "options", "estimator")
    same = np.logical_and.reduce([failures[key].to_numpy() == score[key] for key in keys])
    tried = failures[same & (failures["status"] != "declined").to_numpy()]
    if tried.empty:
        return text
    commonest = tried.sort_values("fits", ascending=False, kind="stable").iloc[0]
    return f"{text}: {commonest['reason'] or commonest['status']}"
