"""The words and numbers of a cell that every output of a check shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from math import ceil, floor, inf, log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.gate.comparison import CellResult, Comparison, commonest
from cibench.gate.judge import MeasureVerdict
from cibench.gate.pairing import Pair
from cibench.gate.row_changes import Changes
from cibench.gate.rules import MEANING, MEASURES, WORST_FIRST, ChangeVerdict, Scale
from cibench.metrics.groups import Group
from cibench.model.types import Array
from cibench.render.labels import DEFAULT, label, view_titles
from cibench.render.numbers import BLANK, count, number, plain, signed
from cibench.render.replay_command import command
from cibench.storage.manifest import SKIPPED, read_catalogue
from cibench.storage.schema import SCORED
from cibench.utils.errors import BadInput
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd

NO_NOISE = 1e6
"""A change of so many errors has none to speak of: every replicate moved alike."""


GONE = "a number gone"
"""What is written for a move without end: an answer, or a number of it, that is not there now."""


def value(measure: MeasureVerdict, number_of: float) -> str:
    """Write a measure's value on one side."""
    scale = MEASURES[measure.name].scale
    if missing(number_of):
        return BLANK
    if scale is Scale.POINTS:
        return f"{100 * number_of:.3g} %"
    if scale is Scale.OWN:
        return GONE if number_of == inf else f"{number(number_of)}{_unit(measure.name)}"
    text = number(number_of)
    return f"{text} SE" if scale is Scale.SE else text


def change(measure: MeasureVerdict) -> str:
    """Write a difference beside its paired error, a fact without one."""
    if noiseless(measure):
        fact = MEASURES[measure.name].fact
        return size(measure, measure.difference) + ("" if fact else " (0)")
    written = signed(
        _factor(measure.name) * measure.difference, _factor(measure.name) * measure.error
    )
    return f"{written}{_unit(measure.name)} ({_bare_error(measure)})"


def error(measure: MeasureVerdict) -> str:
    """Write a difference's Monte Carlo error, in the unit of the difference."""
    return "0" if noiseless(measure) else f"{_bare_error(measure)}{_unit(measure.name)}"


def _bare_error(measure: MeasureVerdict) -> str:
    scaled = _factor(measure.name) * measure.error
    return number(scaled, scaled)


def size(measure: MeasureVerdict, difference: float) -> str:
    """Write a difference, or an end of its limits, to three digits."""
    if difference == inf and MEASURES[measure.name].scale is Scale.OWN:
        return GONE
    scaled = float(f"{_factor(measure.name) * difference:.12g}")  # -9.999999999999 is -10
    return f"{signed(scaled)}{_unit(measure.name)}"


def _factor(name: str) -> float:
    return 100.0 if MEASURES[name].scale in (Scale.RELATIVE, Scale.POINTS) else 1.0


def _unit(name: str) -> str:
    units = {Scale.SE: " SE", Scale.OWN: " own SE", Scale.RELATIVE: " %", Scale.POINTS: " points"}
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
    def loud(self) -> bool:
        """Say whether more than single numbers changed, or nothing can be compared."""
        return self.cell.verdict not in (ChangeVerdict.NUMERICALLY, ChangeVerdict.IDENTICAL)

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
    summary = ", ".join(
        f"{counts[v]} {v}{_in_what(comparison, v)}" for v in WORST_FIRST if counts[v]
    )
    return f"{OUTCOMES[comparison.exit_code]}: {summary or 'nothing to compare'}"


def _in_what(comparison: Comparison, verdict: ChangeVerdict) -> str:
    """Say in which measures cells have a verdict, the most frequent first, "" of no measure."""
    words = Counter(
        MEASURES[m.name].words
        for cell in comparison.cells if cell.verdict is verdict
        for m in cell.measures if m.verdict is verdict and m.changed
    )  # fmt: skip
    names = [name for name, _ in words.most_common(MOST_NAMES)]
    more = f" and {len(words) - MOST_NAMES} more" if len(words) > MOST_NAMES else ""
    return f" ({', '.join(names)}{more})" if names else ""


MOST_NAMES = 3


def _rounded_up(chance: float) -> str:
    """Write a chance that something has at most, to two digits and no lower than it is."""
    unit = 10.0 ** (floor(log10(chance)) - 1)
    return f"{ceil(chance / unit - 1e-9) * unit:.2g}"


def level_line(comparison: Comparison) -> str:
    """State the chance of a false alarm and what it covers."""
    how = "the same data on both sides" if comparison.paired else "other data on either side"
    return (
        f"{how}; the chance of any false alarm over {count(len(comparison.cells), 'comparison')} "
        f"is at most {_rounded_up(comparison.rules.alpha)} "
        f"({comparison.intervals} simultaneous intervals)"
    )


def unchecked_line(comparison: Comparison) -> str:
    """Say that plug-ins were not held to their contracts, "" where they were."""
    return SKIPPED if comparison.provenance.get("unchecked") else ""


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
    """Grade what became of single numbers: identical, rounding, a numerical change, a change.

    "" where rows are not compared in pairs.
    """
    moved = cell.changes
    if moved is None or not moved.largest.size:
        return ""
    parts = [
        f"{count(int(fits.sum()), 'fit')} {words}"
        for words, fits in _kinds(cell.pair, moved) if fits.any()
    ]  # fmt: skip
    finite = moved.largest[np.isfinite(moved.largest)]
    share, largest = (finite > tolerance).sum() / moved.largest.size, float(finite.max(initial=0))
    if not parts or largest:
        parts.append(_grade(largest, share, tolerance))
    return "; ".join(parts)


def _kinds(pair: Pair, moved: Changes) -> Iterator[tuple[str, Array]]:
    """Yield what may become of a fit that no size can be given, and which fits it became of.

    A fit is of one kind at most.
    """
    words = {"ok": "answered", "failed": "failed", "declined": "declined"}
    for old, new in permutations(words, 2):
        yield f"{words[old]} before and {words[new]} now", pair.before[old] & pair.after[new]
    yield "with a number on one side alone", moved.answered & np.isinf(moved.largest)


NUMERICAL = 1e-3
"""Standard errors from which on a change is more than another way to the same number."""


def _grade(largest: float, share: float, tolerance: float) -> str:
    if not largest:
        return "identical"
    if largest <= tolerance:
        return f"rounding, at most {largest:.1g} SE"
    word = "numerical change" if largest < NUMERICAL else "change"
    some = f"{100 * share:.3g} % of the fits"
    return f"{word} of at most {number(largest)} SE, in {some}"


def what_became(view: CellView, tolerance: float) -> str:
    """Say in one line what became of a cell: its verdict and in which measure, and its grade."""
    cell = view.cell
    if cell.verdict is ChangeVerdict.NOT_COMPARABLE:
        return f"{cell.verdict}: {cell.why}"
    parts = [directions(view), largest_change(cell, tolerance) or "compared statistically"]
    return "; ".join(part for part in parts if part)


def directions(view: CellView) -> str:
    """Say what changed beyond its margin, which way, and what that is called; "" of nothing.

    A cell that got better is said to have changed where other measures did too, as they do where
    standard errors double.
    """
    some, name = view.telling, str(view.cell.verdict)
    if not some:
        return ""
    better = [m for m in some if m.verdict is ChangeVerdict.BETTER]
    if view.cell.verdict is ChangeVerdict.BETTER and len(better) < len(some):
        better.sort(key=lambda m: list(MEASURES).index(m.name))
        name, some = "changed", [*(m for m in some if m not in better)][:1] + better
    more = len(view.telling) - len(some[:MOST_NAMES])
    words = ", ".join(_direction(m, view.cell) for m in some[:MOST_NAMES])
    return f"{name}: {words}{f' and {more} more' if more else ''}"


def _direction(measure: MeasureVerdict, cell: CellResult) -> str:
    words = MEASURES[measure.name].words
    if measure.verdict not in (ChangeVerdict.WORSE, ChangeVerdict.BETTER):
        return f"{words} {size(measure, measure.difference)}"
    better = measure.verdict is ChangeVerdict.BETTER
    goals = {"bias": "0", "se_ratio": "1", "coverage": f"{100 * (cell.names['level'] or 0):.3g} %"}
    values = f"{words} {value(measure, measure.before)} → {value(measure, measure.after)}"
    if measure.name not in goals:
        return f"{words} {size(measure, measure.difference)} ({'better' if better else 'worse'})"
    return f"{values} ({'closer to' if better else 'farther from'} {goals[measure.name]})"


def replay(comparison: Comparison, cell: CellResult, replicate: int) -> str:
    """Return the command that fits one replicate again.

    It is the one that the comparison's provenance makes of a cell and a replicate, where that knows
    one: an estimator that stands in a test alone is no command's.
    """
    if own := comparison.provenance.get("replay"):
        return str(own.format(scenario=cell.names["scenario"], replicate=replicate))
    run = str(comparison.provenance.get("run", "RUN"))
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
    lines = [directions(view)] if view.telling else []
    lines += [
        f"{MEASURES[m.name].words} {value(m, m.before)} → {value(m, m.after)}, {change(m)}"
        + (f", over {margin(m)}" if MEASURES[m.name].fact else
           f", {errors_beyond(m)} errors beyond the margin of {margin(m)}")
        for m in view.telling
    ]  # fmt: skip
    lines += [failure_line(cell)] if failure_line(cell) else []
    return lines or [numbers(cell, 0.0) or MEANING[cell.verdict]]


def failure_line(cell: CellResult) -> str:
    """Say how many fits of the new run gave no answer, and the commonest reason; "" of none."""
    if not cell.failures:
        return ""
    many, of = len(cell.failures), cell.pair.after["replicate"].size
    why = commonest(cell.failures.values())
    return f"{many:,} of {count(of, 'fit')} without an answer, mostly: {why}"


MOST_REPLICATES = 5


@dataclass(frozen=True)
class Replicate:
    """Hold one replicate's answers before and after; NaN is what was not answered.

    `change` is the largest change of a number in standard errors, infinite where one side lacks
    an answer. `reason` is why the new run has none.
    """

    replicate: int
    change: float
    estimate: tuple[float, float]
    std_error: tuple[float, float]
    limits: tuple[float, float, float, float]
    status: tuple[str, str]
    reason: str = ""

    @property
    def words(self) -> str:
        """Say what of the answer changed: estimate, standard error, limits, status."""
        low, high = self.limits[:2], self.limits[2:]
        pairs = [
            ("estimate", *map(_six, self.estimate)),
            ("standard error", *map(_six, self.std_error)),
            ("limits", *(f"({_six(a)}, {_six(b)})" for a, b in zip(low, high, strict=True))),
            ("", *self.status),
        ]
        parts = [f"{name} {a} → {b}".strip() for name, a, b in pairs if a != b]
        if self.status[1] != "ok":
            parts = [f"estimate {_six(self.estimate[0])}, {' → '.join(dict.fromkeys(self.status))}"]
        why = f": {self.reason}" if self.reason else ""
        return f"replicate {self.replicate}: {', '.join(parts) or 'other numbers'}{why}"


def _six(number_of: float) -> str:
    return BLANK if missing(number_of) else f"{number_of:.6g}"


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
            cell.failures.get(int(cell.changes.replicate[i]), ""),
        )
        for i in cell.changes.most(count, tolerance)
    ]  # fmt: skip


def _status(group: Group, i: int) -> str:
    flags = ("ok", "failed", "declined")
    return next((flag for flag in flags if np.asarray(group[flag])[i]), "failed")
