"""Tell a version whose interface an adapter does not know from one that fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cibench.gate.comparison import CellResult, Comparison
from cibench.gate.rules import ChangeVerdict
from cibench.gate.versions.requirements import canonical_name
from cibench.storage.provenance import packages
from cibench.storage.reader import read_table

if TYPE_CHECKING:
    from cibench.results.run_folder import Run

SPEAK = ("TypeError", "AttributeError", "ImportError", "ModuleNotFoundError", "KeyError",
         "NameError", "NotImplementedError")  # fmt: skip
"""What Python raises where a name, an argument or a column is not what the caller took it for.

A library that checks its arguments itself raises something else, but always the same.
"""


def strangers(run: Run, package: str) -> dict[str, str]:
    """Return the estimators of which every fit failed over the library's interface, and how.

    An estimator that does not say that it uses the package is none of them.
    """
    names = ["estimator", "status", "reason"]
    rows = read_table(run.folder, names)
    reasons: dict[str, list[str]] = {}
    for row in rows.group_by(names).aggregate([([], "count_all")]).to_pylist():
        if row["status"] != "declined":
            reason = row["reason"] if row["status"] == "failed" else ""
            reasons.setdefault(row["estimator"], []).append(reason or "")
    mine = _users(run.catalogue, package)
    return {name: texts[0] for name, texts in reasons.items() if name in mine and _interface(texts)}


def _users(catalogue: Mapping[str, Any], package: str) -> set[str]:
    return {
        name
        for name, said in (catalogue.get("estimators") or {}).items()
        if package in map(canonical_name, packages(said.get("uses", [])))
    }


def _interface(reasons: Sequence[str]) -> bool:
    """Say whether fits that all failed did so over what they were called with."""
    return all(reasons) and (
        len(reasons) == 1 or all(reason.split(":")[0] in SPEAK for reason in reasons)
    )


def without_strangers(comparison: Comparison, unknown: Mapping[str, str]) -> Comparison:
    """Return the comparison in which what cannot talk to the package is not comparable."""
    return replace(comparison, cells=tuple(_cell(cell, unknown) for cell in comparison.cells))


def _cell(cell: CellResult, unknown: Mapping[str, str]) -> CellResult:
    why = unknown.get(cell.names["estimator"])
    if why is None:
        return cell
    message = f"the adapter does not know the version's interface: {why}"
    return replace(
        cell, verdict=ChangeVerdict.NOT_COMPARABLE, measures=(), notes=(), why=message, changes=None
    )
