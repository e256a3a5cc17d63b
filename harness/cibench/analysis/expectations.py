"""From scores and declarations to verdicts: does every method do what was expected of it.

Everything comes from the run folder: the score table, the catalogue, the suite as it was run.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import nan, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

from cibench.analysis.expectation_verdicts import (
    ALPHA,
    MEANING,
    SURPRISES,
    ExpectationVerdict,
    exact,
    judge,
    replicates_needed,
)
from cibench.metrics.moments import noiseless
from cibench.storage.schema import SCORED
from cibench.suite.expectations import SHORTFALL, Expectation, Expected, entries, expectation, said
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ALPHA",
    "EXPECTATIONS",
    "MEANING",
    "SURPRISES",
    "ExpectationVerdict",
    "Expected",
    "judge_expectations",
]

EXPECTATIONS = (
    *SCORED, "expected", "because", "broken", "floor", "tries", "covered", "coverage", "low",
    "high", "verdict", "needed", "note",
)  # fmt: skip
"""The columns of the table."""


class _Tally(NamedTuple):
    """Hold of how many tries how many cover, and what an error in the truth adds to the doubt."""

    covered: int
    tries: int
    doubt: float


def judge_expectations(
    scores: pd.DataFrame, catalogue: Mapping[str, Any], spec: Mapping[str, Any]
) -> pd.DataFrame:
    """Return one row per row of the score table: what was expected of it and what is found.

    `spec` is the content of the suite file. Coverage counts failures as misses; who declines has
    not tried. `low` and `high` are exact limits, adjusted for all verdicts of the table
    (`cibench.analysis.expectation_verdicts` derives what they are worth); an error in the truth
    widens them by as many of its standard errors as their level has. `verdict` is one of
    `ExpectationVerdict`, `needed` says of an inconclusive one how many replicates would decide it,
    `note` why there is none to judge, or what the suite gives as a reason for its floor. Raises
    BadInput where two [[cells]] tables contradict each other.
    """
    import pandas as pd

    tables = entries(spec)
    scenarios = catalogue.get("scenarios") or {}
    lines = []
    for record in scores.to_dict("records"):
        score = {str(key): value for key, value in record.items()}
        words = said(tables, score, scenarios.get(score["scenario"]) or {})
        found = Expectation(Expected.NOTHING, "")
        if score["kind"] != "diagnostic":
            found = expectation(score, catalogue, words)
        floor = words.floor or round(float(score["level"]) - SHORTFALL, 12)
        lines.append(_line(score, found, floor, words.why))
    bearing = [line for line in lines if line["tries"] and line["expected"] in _BEARING]
    for line in bearing:
        _decide(line, ALPHA / len(bearing))
    table = pd.DataFrame(lines, columns=[*EXPECTATIONS, "doubt"])
    keys = scores[list(SCORED)].reset_index(drop=True)
    return table.drop(columns="doubt").assign(**{name: keys[name] for name in SCORED})


_BEARING = (Expected.VALID, Expected.FAILS)


def _line(score: Mapping[str, Any], found: Expectation, floor: float, why: str) -> dict[str, Any]:
    """Return a row of the table without its verdict."""
    silent = _unjudged(score)
    tally = _Tally(0, 0, 0.0) if silent else _tally(score)
    judged = found.expected in _BEARING
    other = found.expected is Expected.OTHER_QUESTION
    return {
        **{name: score[name] for name in SCORED}, "expected": str(found.expected),
        "because": found.because, "broken": "; ".join(found.broken),
        "floor": floor if judged else nan, "tries": tally.tries, "covered": tally.covered,
        "coverage": tally.covered / tally.tries if tally.tries else nan, "low": nan, "high": nan,
        "verdict": str(ExpectationVerdict.OTHER_QUESTION if other else ExpectationVerdict.NONE),
        "needed": nan,
        "note": silent or (why if judged else ""), "doubt": tally.doubt,
    }  # fmt: skip


def _unjudged(score: Mapping[str, Any]) -> str:
    """Say why coverage cannot be judged, "" where it can."""
    if score["kind"] == "diagnostic":
        return "a diagnostic: diagnostics.csv scores it"
    if score["declined"] == score["replicates"]:
        return "declined every data set"
    if not 0 < float(score["level"]) < 1:
        return "no level between 0 and 1"
    share = score["coverage_with_failures"]
    if missing(share):
        return "gives no limits, so coverage is undefined"
    return "the estimates do not vary, so coverage says nothing" if noiseless(score) else ""


def _tally(score: Mapping[str, Any]) -> _Tally:
    replicates, share = int(score["replicates"]), float(score["coverage_with_failures"])
    tries = replicates - int(score["declined"])
    of_chance = share * (1 - share) / replicates
    error = float(score["coverage_with_failures_mcse"])
    return _Tally(round(share * replicates), tries, sqrt(max(0.0, error**2 - of_chance)))


def _decide(line: dict[str, Any], alpha: float) -> None:
    """Fill in limits and verdict."""
    low, high = exact(line["covered"], line["tries"], alpha)
    slack = 0.0
    if line["doubt"] > _ROUNDING:
        slack = NormalDist().inv_cdf(1 - alpha / 2) * line["doubt"]
    line["low"], line["high"] = max(0.0, low - slack), min(1.0, high + slack)
    found = judge(Expected(line["expected"]), line["low"], line["high"], line["floor"],
                  float(line["level"]))  # fmt: skip
    line["verdict"] = str(found)
    if found is ExpectationVerdict.INCONCLUSIVE:
        needed = replicates_needed(line["covered"], line["tries"], line["floor"], alpha)
        line["needed"] = max(needed, line["tries"] + 1.0)


_ROUNDING = 1e-9
