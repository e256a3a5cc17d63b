"""What the command line shows of runs, plans, replays and failures: tables and plain lines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cibench.progress_bar import PLAIN_WIDTH, clock, pace
from cibench.rows import FINE

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from cibench.planning import Plan
    from cibench.replay import Replayed
    from cibench.run_folder import Run
    from cibench.status import Status

EXAMPLES = 5


def console() -> Console:
    """Return a console on standard output, wide enough for tables where it is piped."""
    made = Console(highlight=False)
    return made if made.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


def table(rows: list[dict[str, str]], title: str = "") -> Table:
    """Return a table with the rows' keys as its columns."""
    made = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for name in rows[0] if rows else ():
        made.add_column(name, overflow="fold")
    for row in rows:
        made.add_row(*(Text(v) for v in row.values()))
    return made


def show_scores(run: Run) -> None:
    """Print a run's score table and below it the surprises."""
    from cibench.summary import told

    show_table(run.scores, run.catalogue)
    for line in told(run.expectations, run.catalogue):
        console().print(Text(line))


def show_table(scores: pd.DataFrame, catalogue: Mapping[str, Any]) -> None:
    """Print scores, one block per scenario and size, broken coverage in bold red."""
    from cibench.summary import summary

    out = console()
    lines = summary(scores, catalogue)
    for scenario, part in lines.groupby("scenario", sort=False):
        out.print(_block(str(scenario), part.drop(columns="scenario")), "")
    out.print("In brackets the Monte Carlo standard error; of shares the 95 % Wilson limits.")
    if lines["broken"].any():
        out.print("▼ coverage is below nominal minus 5 points, beyond Monte Carlo doubt")


def show_plan(made: Plan) -> None:
    """Print what each cell needs, what decides it and how long it takes; totals below."""
    from cibench.plan import UNITS

    out = console()
    made_table = Table(box=None, pad_edge=False)
    names = ("cell", "replicates", "at most", "decided by", "s each", "time", "at most")
    for i, name in enumerate(names):
        made_table.add_column(name, justify="left" if i in (0, 3) else "right", overflow="fold")
    for cell in made.cells:
        counts = cell.replicates, cell.at_most
        times = [clock(count * cell.seconds / made.workers) for count in counts]
        by = f"{cell.measure} of {cell.estimator}" if cell.measure else "nothing is known"
        shown = (cell.cell, *map(_count, counts), by, f"{cell.seconds:.2g}", *times)
        made_table.add_row(*map(Text, shown))
    targets = [f"{m} {t:g} {UNITS[m]}".rstrip() for m, t in made.targets.items()]
    out.print(f"Monte Carlo errors wanted: {', '.join(targets)}")
    out.print(made_table)
    out.print(
        f"All cells with their own counts: {clock(made.seconds)}, at most "
        f"{clock(made.seconds_at_most)}, on {made.workers} worker(s); one count for all: "
        f"{_count(made.replicates)}. From {made.pilot} replicates a cell."
    )
    for cell in made.cells:
        for why in cell.unreached:
            out.print(f"not planned in {cell.cell}: {why}", markup=False)


def _count(count: float) -> str:
    return f"{int(count):,}" if math.isfinite(count) else "–"


def _block(title: str, part: pd.DataFrame) -> Table:
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in part.columns.drop("broken"):
        text = name in ("setting", "estimator")
        made.add_column(name, justify="left" if text else "right", no_wrap=True)
    before = None
    for line in part.to_dict("records"):
        broken, setting = line.pop("broken"), line["setting"]
        if setting == before:
            line["setting"] = ""
        elif before is not None:
            made.add_row()
        before = setting
        if broken:
            line["coverage %"] = f"▼ {line['coverage %']}"
        styles = {"coverage %": "bold red"} if broken else {}
        made.add_row(*(Text(str(v), style=styles.get(str(k), "")) for k, v in line.items()))
    return made


def show_replay(replayed: Replayed, bundle: Path) -> None:
    """Print what came of making a fit again, and where its bundle lies."""
    out, row = console(), replayed.stored.iloc[0]
    said = "" if row["status"] == "ok" else f": {row['reason']}"
    out.print(f"stored: {row['status']}{said}", markup=False)
    if replayed.differences:
        lines = ["made again it differs:", *replayed.differences]
        out.print("\n  ".join(lines), markup=False, soft_wrap=True)
    else:
        out.print("made again it is the same row, bit for bit")
    for change in replayed.changed:
        out.print(f"changed since: {change}", markup=False)
    out.print(f"bundle: {bundle}", markup=False)
    printed = (bundle / "output.txt").read_text(encoding="utf-8")
    out.print(printed, markup=False, soft_wrap=True)


def show_failures(run: Run) -> None:
    """Print why fits gave no answer and, for one of each kind, how to look at it."""
    from cibench.replay_command import command
    from cibench.tally import failures_folder

    tally = failures_folder(run.folder)
    kinds = tally[~tally["status"].isin(FINE)].sort_values("fits", ascending=False, kind="stable")
    if kinds.empty:
        return
    out = console()
    out.print(f"{kinds['fits'].sum():,} fits gave no answer:")
    for kind in kinds.head(EXAMPLES).to_dict("records"):
        said = f"{kind['fits']:,} {kind['estimator']} {kind['status']}: {kind['reason']}"
        out.print(f"  {said}", markup=False, soft_wrap=True)
        words = command(run.place, {**kind, "replicate": kind["first"]}, run.catalogue)
        out.print(f"    {words}", markup=False, soft_wrap=True)
    if len(kinds) > EXAMPLES:
        out.print(f"  and {len(kinds) - EXAMPLES} more kinds, all in the report")


def show_status(found: Status, place: str) -> None:
    """Print how far a run is and how to go on with it, and a line for each cell."""
    out = console()
    if found.state == "running":
        out.print(f"running, {found.where}", pace(found), markup=False)
    else:
        out.print(f"{found.state}: {found.done:,} of {found.total:,} rows are stored", markup=False)
    lines = [
        {
            "cell": cell["name"], "rows": f"{cell['done']:,} of {cell['total']:,}",
            "without an answer": f"{cell['failures']:,}", "state": _state(cell),
        }
        for cell in found.cells
    ]  # fmt: skip
    if lines:
        out.print(table(lines))
    if found.state in ("interrupted", "killed"):
        out.print(f"to go on from there: cibench run {place}", markup=False)


def _state(cell: Mapping[str, Any]) -> str:
    if cell.get("stopped"):
        return str(cell["stopped"])
    if cell["done"] >= cell["total"]:
        return "done"
    return "begun" if cell["done"] else "waiting"
