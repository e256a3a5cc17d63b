"""What the command line shows: tables, progress, and plain lines where nobody watches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cibench.progress import Progress
from cibench.rows import FINE

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from cibench.planning import Plan
    from cibench.replay import Replayed
    from cibench.run_folder import Run
    from cibench.status import Status

PLAIN_WIDTH = 160
QUIET_SECONDS = 5.0
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


def clock(seconds: float) -> str:
    """Write a time as people say it: 12 s, 3 min, 1.5 h."""
    if not math.isfinite(seconds):
        return "–"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


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


@contextmanager
def progress_bar() -> Iterator[Callable[[Progress], None]]:
    """Yield a listener that shows rate and remaining time: a bar, or a line now and then."""
    err = Console(stderr=True, highlight=False)
    if not err.is_terminal:
        yield _lines()
        return
    from rich import progress as bars

    columns = (
        bars.TextColumn("{task.description}"), bars.BarColumn(), bars.TaskProgressColumn(),
        bars.TextColumn("{task.fields[rate]}"),
    )  # fmt: skip
    with bars.Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("starting workers", total=None, rate="")

        def show(p: Progress) -> None:
            left = "" if p.left is None else f", {duration(p.left)} left"
            rate = f"{p.rate:.0f} rows/s{left}, {p.failures:,} without an answer"
            bar.update(task, completed=p.done, total=p.total, description=p.cell, rate=rate)

        yield show


def _lines() -> Callable[[Progress], None]:
    last = 0.0

    def show(p: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < QUIET_SECONDS and p.done < p.total:
            return
        last = now
        line = f"{pace(p)}  {p.cell}"
        Console(stderr=True, highlight=False, width=PLAIN_WIDTH).print(line, markup=False)

    return show


def pace(p: Progress | Status) -> str:
    """Say how far, how fast, how long still and how many failures."""
    share = p.done / max(p.total, 1)
    left = "" if p.left is None else f"{duration(p.left)} left, "
    return (
        f"{share:4.0%}  {p.done:,} of {p.total:,} rows, {p.rate:.0f}/s, {left}"
        f"{p.failures:,} fits without an answer"
    )


def duration(seconds: float) -> str:
    """Return a span of time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


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
