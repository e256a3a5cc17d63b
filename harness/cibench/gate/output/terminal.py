"""What a check prints: the verdict, what changed, worst first, and what stayed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cibench.gate.comparison import Comparison
from cibench.gate.compatibility import provenance_lines
from cibench.gate.output import cell_views
from cibench.gate.output.cell_views import CellView, changed_most
from cibench.gate.rules import MEASURES, ChangeVerdict

STYLES = {
    ChangeVerdict.WORSE: "bold red", ChangeVerdict.STATISTICALLY: "bold yellow",
    ChangeVerdict.MOVED: "bold yellow", ChangeVerdict.NOT_COMPARABLE: "bold magenta",
    ChangeVerdict.BETTER: "bold green",
    ChangeVerdict.NUMERICALLY: "cyan", ChangeVerdict.IDENTICAL: "dim",
}  # fmt: skip
MOST_CELLS, MOST_MEASURES, MOST_REPLAYS = 20, 4, 3


def show(out: Console, comparison: Comparison, views: Sequence[CellView]) -> None:
    """Print a comparison."""
    loud = [view for view in views if view.loud]
    if loud:
        out.print(_table(loud[:MOST_CELLS]), "")
    if len(loud) > MOST_CELLS:
        out.print(f"... and {len(loud) - MOST_CELLS} more, in verdict.html", "")
    quiet = [view for view in views if not view.loud]
    for line in _quiet(quiet, comparison.rules.tolerance):
        out.print(line)
    _replays(out, comparison, loud)
    _slower(out, views)
    for words in provenance_lines(comparison.provenance):
        out.print(words, markup=False)
    out.print(cell_views.level_line(comparison), markup=False)
    for words in (cell_views.open_line(comparison), cell_views.unchecked_line(comparison)):
        if words:
            out.print(words, markup=False)
    out.print(Text(cell_views.headline(comparison), style=STYLES[comparison.verdict]))


def _table(views: Sequence[CellView]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("verdict", "measure"):
        table.add_column(name, overflow="fold")
    for name in ("before", "after", "change (error)", "margin", "errors beyond"):
        table.add_column(name, justify="right", no_wrap=True)
    for view in views:
        table.add_row(
            Text(view.cell.verdict, style=STYLES[view.cell.verdict]),
            Text(f"{view.place}: {view.method}", style="bold"),
        )
        for line in _lines(view):
            table.add_row("", *map(Text, line))
    return table


def _lines(view: CellView) -> list[tuple[str, ...]]:
    if view.cell.verdict is ChangeVerdict.NOT_COMPARABLE:
        return [(view.cell.why,)]
    words = (cell_views.directions(view), cell_views.failure_line(view.cell))
    numbers = [
        (
            MEASURES[m.name].words, cell_views.value(m, m.before), cell_views.value(m, m.after),
            cell_views.change(m), cell_views.margin(m), cell_views.errors_beyond(m),
        )
        for m in view.telling[:MOST_MEASURES]
    ]  # fmt: skip
    return [*((line,) for line in words if line), *numbers]


def _quiet(views: Sequence[CellView], tolerance: float) -> list[Text]:
    lines = []
    for verdict, group in groupby(views, key=lambda one: one.cell.verdict):
        some = list(group)
        text = Text(f"{len(some)} {verdict}", style=STYLES[verdict])
        for view in some[:MOST_CELLS]:
            words = cell_views.numbers(view.cell, tolerance), cell_views.failure_line(view.cell)
            what = "; ".join(filter(None, words))
            if what != str(ChangeVerdict.IDENTICAL):
                text.append(f"\n  {view.place}: {view.method}: {what}")
        lines.append(text)
    return lines


def _replays(out: Console, comparison: Comparison, views: Sequence[CellView]) -> None:
    commands: dict[str, str] = {}
    for view in views:
        for worst in changed_most(view.cell, comparison.rules.tolerance, 1):
            command = cell_views.replay(comparison, view.cell, worst.replicate)
            commands.setdefault(command, f"{view.place}: {view.method}: {worst.words}")
    if commands:
        out.print("the fits that changed most, one a cell:")
        for command, words in list(commands.items())[:MOST_REPLAYS]:
            for line in (words, command):
                out.print(f"  {line}", markup=False, soft_wrap=True)
        out.print("")


def _slower(out: Console, views: Sequence[CellView]) -> None:
    """Name the estimators that take half as long again, or a third less; no verdict heeds it."""
    seen: dict[str, float] = {}
    for view in views:
        before, after = view.cell.seconds
        if before > 0 and after == after and view.cell.verdict is not ChangeVerdict.NOT_COMPARABLE:  # noqa: PLR0124 - NaN
            ratio = after / before
            if ratio > 1.5 or ratio < 1 / 1.5:
                seen.setdefault(view.method, ratio)
    if seen:
        times = ", ".join(f"{method} {ratio:.2g} times" for method, ratio in list(seen.items())[:8])
        out.print(f"run time (no verdict heeds it): {times}", markup=False)


def show_baselines(out: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the baselines of a folder."""
    from cibench.render.terminal import table

    if rows:
        out.print(table([{k: str(v) for k, v in row.items()} for row in rows]))
    else:
        out.print("no baseline here; cibench baseline save RUN NAME makes one")
