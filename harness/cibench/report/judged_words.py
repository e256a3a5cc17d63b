"""How a number that is judged is written: with its limits, and on which side of its bound it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cibench.analysis.error_verdicts import ErrorVerdict
from cibench.analysis.judged_scores import Judged
from cibench.model.types import SUBDIVISIONS
from cibench.render.numbers import digits, limits, number, percent, plain, signed
from cibench.utils.missing import missing

Line = Mapping[str, Any]
"""One row of the expectations, by column; in the report with `method`, `at` and `title`."""

UNDECIDED = "undecided beside"


def fact(row: Line, name: Judged) -> str:
    """Say of one number of a row what it is, and on which side of its bound, where that is sure."""
    if name is Judged.BIAS:
        side = {ErrorVerdict.UNCLEAR: UNDECIDED, ErrorVerdict.WITHIN: "not more than"}
        beyond, most = side.get(row["bias_verdict"], "more than"), row["bias_most"]
        nearly = min(abs(row["bias_low"]), abs(row["bias_high"])) > most
        room = nearly and row["bias_low"] * row["bias_high"] > 0 and beyond == UNDECIDED
        return f"bias {in_se(row)} SE, {beyond} {plain(most)}{_room(row, 'bias', room)}"
    if name is Judged.SE_RATIO:
        room = row["se_ratio_low"] > row["se_ratio_most"]
        room = room and row["se_ratio_verdict"] == ErrorVerdict.UNCLEAR
        return f"SE ratio {ratio(row)}, {_side_of_ratio(row)}{_room(row, 'se_ratio', room)}"
    if name is Judged.BANDS:
        beside = _side_of_floor(row, "bands_")
        several = family_word(row.get(name) for name in SUBDIVISIONS)
        return f"bands of all {several} cover {bands(row)}, {beside}"
    return f"coverage {coverage(row)}, {_side_of_floor(row, '')}{_of_failures(row)}"


def family_word(values: Iterable[Any]) -> str:
    """Return what several targets of an estimand are called: horizons, or targets of any kind.

    `values` are those of groups, contrasts and labels, blank where there are none.
    """
    return "horizons" if all(value == "" or missing(value) for value in values) else "targets"


def _of_failures(row: Line) -> str:
    """Say that failures make half of the misses or more, "" where they do not."""
    failed = row["failed"]
    if not failed or failed < (1 - row["coverage"]) / 2:
        return ""
    return f", with misses by the {percent(failed)} % of its fits that failed"


def _room(row: Line, name: str, due: bool) -> str:
    """Say what limits that are beyond a bound would have to be beyond, for unseen tails."""
    return f" (with room for tails {number(row[f'{name}_surely'], 0.1)})" if due else ""


def _side_of_floor(row: Line, prefix: str) -> str:
    floor = row["floor"]
    sides = {"below": row[f"{prefix}high"] < floor, "above": row[f"{prefix}low"] > floor}
    side = next((word for word, sure in sides.items() if sure), UNDECIDED)
    return f"{side} the floor of {percent(floor)} %"


def _side_of_ratio(row: Line) -> str:
    least, most = plain(row["se_ratio_least"]), plain(row["se_ratio_most"])
    return {
        ErrorVerdict.TOO_SMALL: f"below {least}",
        ErrorVerdict.TOO_LARGE: f"above {most}",
        ErrorVerdict.WITHIN: f"between {least} and {most}",
    }.get(row["se_ratio_verdict"], f"{UNDECIDED} {least} and {most}")


def coverage(row: Line) -> str:
    """Write a coverage beside its limits, which are adjusted for all verdicts of the run."""
    low, high = row["low"], row["high"]
    return f"{percent(row['coverage'], digits(low, high))} % ({limits(low, high)})"


def bands(row: Line) -> str:
    """Write the joint coverage of simultaneous bands beside its limits."""
    low, high = row["bands_low"], row["bands_high"]
    return f"{percent(row['bands'], digits(low, high))} % ({limits(low, high)})"


def in_se(row: Line) -> str:
    """Write a bias in empirical standard errors beside its limits."""
    return signed(row["bias_in_se"], 0.1) + _ends(row["bias_low"], row["bias_high"], signed)


def ratio(row: Line) -> str:
    """Write an SE ratio beside its limits."""
    return number(row["se_ratio"], 0.1) + _ends(row["se_ratio_low"], row["se_ratio_high"], number)


def _ends(low: float, high: float, write: Callable[[Any, Any], str]) -> str:
    return f" ({write(low, 0.1)} to {write(high, 0.1)})"
