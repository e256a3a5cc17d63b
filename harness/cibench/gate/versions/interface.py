"""Tell versions with which no fit comes to an answer, and why: there is nothing to compare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from cibench.gate.comparison import CellResult, Comparison
from cibench.gate.rules import ChangeVerdict
from cibench.storage.reader import read_table

if TYPE_CHECKING:
    from cibench.results.run_folder import Run

INTERFACE = ("TypeError", "AttributeError", "ImportError", "ModuleNotFoundError", "KeyError",
         "NameError", "NotImplementedError")  # fmt: skip
"""What Python raises where a name, an argument or a column is not what the caller took it for."""


def strangers(run: Run) -> dict[str, str]:
    """Return the estimators of which no fit came to an answer although some tried, and why."""
    names = ["estimator", "status", "reason"]
    rows = read_table(run.folder, names).group_by(names).aggregate([([], "count_all")])
    reasons: dict[str, Counter[str]] = {}
    answered = set()
    for row in rows.to_pylist():
        if row["status"] == "ok":
            answered.add(row["estimator"])
        elif row["status"] != "declined":
            text = row["reason"] or row["status"]
            reasons.setdefault(row["estimator"], Counter())[text] += row["count_all"]
    return {
        name: _in_words(texts.most_common(1)[0][0])
        for name, texts in reasons.items() if name not in answered
    }  # fmt: skip


def _in_words(reason: str) -> str:
    if reason.split(":", maxsplit=1)[0] in INTERFACE:
        return f"the adapter does not know its interface: {reason}"
    return f"no fit comes to an answer: {reason}"


def without_strangers(comparison: Comparison, unknown: Mapping[str, str]) -> Comparison:
    """Return the comparison in which what cannot talk to the package is not comparable."""
    return replace(comparison, cells=tuple(_cell(cell, unknown) for cell in comparison.cells))


def _cell(cell: CellResult, unknown: Mapping[str, str]) -> CellResult:
    why = unknown.get(cell.names["estimator"])
    if why is None:
        return cell
    return replace(
        cell, verdict=ChangeVerdict.NOT_COMPARABLE, measures=(), notes=(), why=why, changes=None
    )
