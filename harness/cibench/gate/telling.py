"""The words and numbers that every output of a check shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cibench.errors import BadInput
from cibench.gate.compare import CellResult, Comparison
from cibench.gate.judge import Judged
from cibench.gate.quantities import change, errors_beyond, margin, value
from cibench.gate.rules import MEANING, MEASURES, WORST_FIRST, Verdict
from cibench.replay_command import command
from cibench.report.labels import DEFAULT, label, view_titles
from cibench.report.numbers import count, number
from cibench.rows import SCORED
from cibench.store import read_catalogue

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Told:
    """Hold a cell's result with its names: where it is, at which setting, of which method."""

    cell: CellResult
    where: str
    setting: str
    method: str

    @property
    def place(self) -> str:
        """Return where the cell is, its setting unless that is the default."""
        return self.where if self.setting == DEFAULT else f"{self.where}, {self.setting}"

    @property
    def telling(self) -> list[Judged]:
        """Return the measures that changed, the worst verdict and the largest change first."""
        found = [one for one in self.cell.measures if one.changed]
        return sorted(found, key=lambda one: (WORST_FIRST.index(one.verdict), -one.z))


def tell(found: Comparison, catalogue: Mapping[str, Any]) -> list[Told]:
    """Name every cell, the worst verdict and the largest change first."""
    import pandas as pd

    if not found.cells:
        return []
    names = pd.DataFrame([dict(cell.names) for cell in found.cells], columns=list(SCORED))
    named = label(names, catalogue)
    titles = view_titles([{str(k): v for k, v in row.items()} for row in named.to_dict("records")])
    told = [
        Told(cell, f"{row['scenario']}, {title}", str(row["at"]), str(row["method"]))
        for cell, title, row in zip(found.cells, titles, _rows(named), strict=True)
    ]
    return sorted(told, key=_rank)


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]


def _rank(told: Told) -> tuple[int, float, float]:
    largest = max((one.z for one in told.telling), default=0.0)
    moved = told.cell.changes
    share = float(moved.largest.max(initial=0)) if moved is not None else 0.0
    return WORST_FIRST.index(told.cell.verdict), -largest, -share


OUTCOMES = {0: "passed", 1: "failed", 2: "not comparable"}


def headline(found: Comparison) -> str:
    """Say what the gate says, and how many cells have each verdict."""
    counts = Counter(cell.verdict for cell in found.cells)
    said = ", ".join(f"{counts[v]} {v}" for v in WORST_FIRST if counts[v])
    return f"{OUTCOMES[found.exit_code]}: {said or 'nothing to compare'}"


def level_line(found: Comparison) -> str:
    """State the chance of a false alarm and what it covers."""
    how = "the same data on both sides" if found.paired else "other data on either side"
    return (
        f"{how}; the chance of any false alarm over {count(len(found.cells), 'comparison')} is at "
        f"most {found.rules.alpha:g} ({found.intervals} simultaneous intervals)"
    )


def open_line(found: Comparison) -> str:
    """Say how many intervals are too wide to exclude a change beyond the margin, "" of none."""
    judged = [one for cell in found.cells for one in cell.measures]
    wide = sum(not one.settled for one in judged)
    if not wide:
        return ""
    return (
        f"{wide} of {len(judged)} intervals reach beyond their margin to one side: changes of that "
        "size are neither shown nor excluded; more replicates narrow them"
    )


def numbers(cell: CellResult, tolerance: float) -> str:
    """Say how many single numbers changed and by how much, and how the cell was compared."""
    return "; ".join(part for part in (largest_change(cell, tolerance), *cell.notes) if part)


def largest_change(cell: CellResult, tolerance: float) -> str:
    """Say how many single numbers changed and by how much, "" where nothing is to be said."""
    if cell.changes is None or not cell.changes.largest.size:
        return ""
    share, largest = cell.changes.share(tolerance), float(cell.changes.largest.max())
    if not share:
        return "" if not largest else f"rounding: at most {largest:.0e} SE"
    size = f"at most {number(largest)} SE" if isfinite(largest) else "some have no answer"
    return f"{100 * share:.3g} % of the fits changed, {size}"


def replay(run: str, cell: CellResult, replicate: int) -> str:
    """Return the command that fits one replicate again."""
    folder = Path(run)
    folder = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    return command(folder, {**cell.names, "replicate": replicate}, _catalogue(Path(run).resolve()))


@lru_cache
def _catalogue(run: Path) -> Mapping[str, Any]:
    """Return what a run's catalogue says, which tells settings from defaults; empty without one."""
    try:
        return read_catalogue(run)
    except BadInput:
        return {}


def reasons(told: Told) -> Sequence[str]:
    """Return why a cell has its verdict, in a line each."""
    cell = told.cell
    if cell.verdict is Verdict.NOT_COMPARABLE:
        return [cell.why]
    return [
        f"{MEASURES[one.name].words} {value(one, one.before)} → {value(one, one.after)}, "
        f"{change(one)}, {errors_beyond(one)} errors beyond the margin of {margin(one)}"
        for one in told.telling
    ] or [numbers(cell, 0.0) or MEANING[cell.verdict]]
