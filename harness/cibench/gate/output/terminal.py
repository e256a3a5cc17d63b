"""What a check prints: the verdict, what changed, worst first, and what stayed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cibench.gate.comparison import Comparison
from cibench.gate.compatibility import notes
from cibench.gate.output import cell_views
from cibench.gate.output.cell_views import Told, changed_most
from cibench.gate.rules import MEASURES, ChangeVerdict

STYLES = {
    ChangeVerdict.WORSE: "bold red", ChangeVerdict.STATISTICALLY: "bold yellow",
    ChangeVerdict.NOT_COMPARABLE: "bold magenta", ChangeVerdict.BETTER: "bold green",
    ChangeVerdict.NUMERICALLY: "cyan", ChangeVerdict.IDENTICAL: "dim",
}  # fmt: skip
CHANGED = (
    ChangeVerdict.WORSE,
    ChangeVerdict.STATISTICALLY,
    ChangeVerdict.NOT_COMPARABLE,
    ChangeVerdict.BETTER,
)
MOST_CELLS, MOST_MEASURES, MOST_REPLAYS = 20, 4, 3


def show(out: Console, found: Comparison, told: Sequence[Told]) -> None:
    """Print a comparison."""
    loud = [one for one in told if one.cell.verdict in CHANGED]
    if loud:
        out.print(_table(loud[:MOST_CELLS]), "")
    if len(loud) > MOST_CELLS:
        out.print(f"... and {len(loud) - MOST_CELLS} more, in verdict.html", "")
    quiet = [one for one in told if one.cell.verdict not in CHANGED]
    for line in _quiet(quiet, found.rules.tolerance):
        out.print(line)
    _replays(out, found, loud)
    _slower(out, told)
    if differs := notes(found.provenance) if found.provenance else []:
        out.print(f"between the two: {'; '.join(differs)}", markup=False)
    out.print(cell_views.level_line(found), markup=False)
    if wide := cell_views.open_line(found):
        out.print(wide, markup=False)
    out.print(Text(cell_views.headline(found), style=STYLES[found.verdict]))


def _table(told: Sequence[Told]) -> Table:
    made = Table(box=None, pad_edge=False)
    for name in ("verdict", "measure"):
        made.add_column(name, overflow="fold")
    for name in ("before", "after", "change (error)", "margin", "errors beyond"):
        made.add_column(name, justify="right", no_wrap=True)
    for one in told:
        made.add_row(
            Text(one.cell.verdict, style=STYLES[one.cell.verdict]),
            Text(f"{one.place}: {one.method}", style="bold"),
        )
        for line in _lines(one):
            made.add_row("", *map(Text, line))
    return made


def _lines(one: Told) -> list[tuple[str, ...]]:
    if one.cell.verdict is ChangeVerdict.NOT_COMPARABLE:
        return [(one.cell.why,)]
    return [
        (
            MEASURES[m.name].words, cell_views.value(m, m.before), cell_views.value(m, m.after),
            cell_views.change(m), cell_views.margin(m), cell_views.errors_beyond(m),
        )
        for m in one.telling[:MOST_MEASURES]
    ]  # fmt: skip


def _quiet(told: Sequence[Told], tolerance: float) -> list[Text]:
    lines = []
    for verdict, group in groupby(told, key=lambda one: one.cell.verdict):
        some = list(group)
        said = Text(f"{len(some)} {verdict}", style=STYLES[verdict])
        if verdict is ChangeVerdict.NUMERICALLY:
            for one in some[:MOST_CELLS]:
                what = cell_views.numbers(one.cell, tolerance)
                said.append(f"\n  {one.place}: {one.method}: {what}")
        lines.append(said)
    return lines


def _replays(out: Console, found: Comparison, told: Sequence[Told]) -> None:
    run = str(found.provenance.get("run", "RUN"))
    commands: dict[str, None] = {}
    for one in told:
        for worst in changed_most(one.cell, found.rules.tolerance, 1):
            commands[cell_views.replay(run, one.cell, worst.replicate)] = None
    if commands:
        out.print("the fits that changed most, one a cell:")
        for command in list(commands)[:MOST_REPLAYS]:
            out.print(f"  {command}", markup=False, soft_wrap=True)
        out.print("")


def _slower(out: Console, told: Sequence[Told]) -> None:
    """Name the estimators that take half as long again, or a third less; no verdict heeds it."""
    seen: dict[str, float] = {}
    for one in told:
        before, after = one.cell.seconds
        if before > 0 and after == after and one.cell.verdict is not ChangeVerdict.NOT_COMPARABLE:  # noqa: PLR0124 - NaN
            ratio = after / before
            if ratio > 1.5 or ratio < 1 / 1.5:
                seen.setdefault(one.method, ratio)
    if seen:
        said = ", ".join(f"{method} {ratio:.2g} times" for method, ratio in list(seen.items())[:8])
        out.print(f"run time (no verdict heeds it): {said}", markup=False)


def show_baselines(out: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the baselines of a folder."""
    from cibench.render.terminal import table

    if rows:
        out.print(table([{k: str(v) for k, v in row.items()} for row in rows]))
    else:
        out.print("no baseline here; cibench baseline save RUN NAME makes one")
