"""The words and numbers of a cell that every output of a check shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.gate.comparison import CellResult, Comparison
from cibench.gate.judge import MeasureVerdict
from cibench.gate.rules import MEANING, MEASURES, WORST_FIRST, ChangeVerdict, Scale
from cibench.metrics.groups import Group
from cibench.render.labels import DEFAULT, label, view_titles
from cibench.render.numbers import BLANK, count, number, plain, signed
from cibench.render.replay_command import command
from cibench.storage.manifest import read_catalogue
from cibench.storage.schema import SCORED
from cibench.utils.errors import BadInput
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd

NO_NOISE = 1e6
"""A change of so many errors has none to speak of: every replicate moved alike."""


def value(measure: MeasureVerdict, number_of: float) -> str:
    """Write a measure's value on one side."""
    scale = MEASURES[measure.name].scale
    if scale is Scale.POINTS:
        return BLANK if missing(number_of) else f"{100 * number_of:.3g} %"
    text = number(number_of)
    return f"{text} SE" if scale is Scale.SE else text


def change(measure: MeasureVerdict) -> str:
    """Write a difference beside its paired error."""
    if noiseless(measure):
        return f"{size(measure, measure.difference)} (0)"
    written = signed(
        _factor(measure.name) * measure.difference, _factor(measure.name) * measure.error
    )
    return f"{written}{_unit(measure.name)} ({error(measure)})"


def error(measure: MeasureVerdict) -> str:
    """Write a difference's Monte Carlo error."""
    scaled = _factor(measure.name) * measure.error
    return "0" if noiseless(measure) else number(scaled, scaled)


def size(measure: MeasureVerdict, difference: float) -> str:
    """Write a difference, or an end of its limits, to three digits."""
    scaled = float(f"{_factor(measure.name) * difference:.12g}")  # -9.999999999999 is -10
    return f"{signed(scaled)}{_unit(measure.name)}"


def _factor(name: str) -> float:
    return 100.0 if MEASURES[name].scale in (Scale.RELATIVE, Scale.POINTS) else 1.0


def _unit(name: str) -> str:
    units = {Scale.SE: " SE", Scale.RELATIVE: " %", Scale.POINTS: " points"}
    return units.get(MEASURES[name].scale, "")


def noiseless(measure: MeasureVerdict) -> bool:
    """Say whether the change is the same in every replicate, but for rounding."""
    return measure.error <= abs(measure.difference) / NO_NOISE


def margin(measure: MeasureVerdict) -> str:
    """Write the margin in the unit of the difference."""
    return bare_margin(measure.name, measure.margin)


def bare_margin(name: str, number_of: float) -> str:
    """Write a measure's margin in the unit of its differences."""
    return f"{plain(_factor(name) * number_of)}{_unit(name)}"


def errors_beyond(measure: MeasureVerdict) -> str:
    """Write how many errors a change lies beyond its margin; ∞ where it has no noise."""
    if measure.z > NO_NOISE or (measure.z and noiseless(measure)):
        return "∞"
    return f"{measure.z:.1f}" if measure.z else "0"


@dataclass(frozen=True, eq=False)
class CellView:
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
    def telling(self) -> list[MeasureVerdict]:
        """Return the measures that changed, the worst verdict and the largest change first."""
        measures = [one for one in self.cell.measures if one.changed]
        return sorted(measures, key=lambda one: (WORST_FIRST.index(one.verdict), -one.z))


def tell(comparison: Comparison, catalogue: Mapping[str, Any]) -> list[CellView]:
    """Name every cell, the worst verdict and the largest change first."""
    import pandas as pd

    if not comparison.cells:
        return []
    names = pd.DataFrame([dict(cell.names) for cell in comparison.cells], columns=list(SCORED))
    named = label(names, catalogue)
    titles = view_titles([{str(k): v for k, v in row.items()} for row in named.to_dict("records")])
    views = [
        CellView(cell, f"{row['scenario']}, {title}", str(row["at"]), str(row["method"]))
        for cell, title, row in zip(comparison.cells, titles, _rows(named), strict=True)
    ]
    return sorted(views, key=_rank)


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]


def _rank(view: CellView) -> tuple[int, float, float]:
    largest = max((one.z for one in view.telling), default=0.0)
    moved = view.cell.changes
    share = float(moved.largest.max(initial=0)) if moved is not None else 0.0
    return WORST_FIRST.index(view.cell.verdict), -largest, -share


OUTCOMES = {0: "passed", 1: "failed", 2: "not comparable"}


def headline(comparison: Comparison) -> str:
    """Say what the gate says, and how many cells have each verdict."""
    counts = Counter(cell.verdict for cell in comparison.cells)
    summary = ", ".join(f"{counts[v]} {v}" for v in WORST_FIRST if counts[v])
    return f"{OUTCOMES[comparison.exit_code]}: {summary or 'nothing to compare'}"


def level_line(comparison: Comparison) -> str:
    """State the chance of a false alarm and what it covers."""
    how = "the same data on both sides" if comparison.paired else "other data on either side"
    return (
        f"{how}; the chance of any false alarm over {count(len(comparison.cells), 'comparison')} "
        f"is at most {comparison.rules.alpha:g} ({comparison.intervals} simultaneous intervals)"
    )


def open_line(comparison: Comparison) -> str:
    """Say how many intervals are too wide to exclude a change beyond the margin, "" of none."""
    judged = [one for cell in comparison.cells for one in cell.measures]
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


def reasons(view: CellView) -> Sequence[str]:
    """Return why a cell has its verdict, in a line each."""
    cell = view.cell
    if cell.verdict is ChangeVerdict.NOT_COMPARABLE:
        return [cell.why]
    return [
        f"{MEASURES[m.name].words} {value(m, m.before)} → {value(m, m.after)}, "
        f"{change(m)}, {errors_beyond(m)} errors beyond the margin of {margin(m)}"
        for m in view.telling
    ] or [numbers(cell, 0.0) or MEANING[cell.verdict]]


MOST_REPLICATES = 5


@dataclass(frozen=True)
class Replicate:
    """Hold one replicate's answers before and after; NaN is what was not answered.

    `change` is the largest change of a number in standard errors, infinite where one side lacks
    an answer.
    """

    replicate: int
    change: float
    estimate: tuple[float, float]
    std_error: tuple[float, float]
    limits: tuple[float, float, float, float]
    status: tuple[str, str]


def changed_most(
    cell: CellResult, tolerance: float, count: int = MOST_REPLICATES
) -> list[Replicate]:
    """Return the replicates that changed by more than the tolerance, the largest change first."""
    if cell.changes is None:
        return []
    before, after = cell.pair.before, cell.pair.after

    def both(name: str, i: int) -> tuple[float, float]:
        return float(before[name][i]), float(after[name][i])

    return [
        Replicate(
            int(cell.changes.replicate[i]), float(cell.changes.largest[i]), both("estimate", i),
            both("std_error", i), (*both("ci_low", i), *both("ci_high", i)),
            (_status(before, i), _status(after, i)),
        )
        for i in cell.changes.most(count, tolerance)
    ]  # fmt: skip


def _status(group: Group, i: int) -> str:
    flags = ("ok", "failed", "declined")
    return next((flag for flag in flags if np.asarray(group[flag])[i]), "failed")
