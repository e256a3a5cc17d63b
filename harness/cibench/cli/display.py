"""What the command line shows of runs, plans, replays and failures: tables and plain lines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from cibench.cli.progress_bar import clock, pace
from cibench.render.numbers import count
from cibench.render.terminal import console, table
from cibench.storage.schema import FINE

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from cibench.execution.plans import Plan
    from cibench.execution.progress import Status
    from cibench.execution.replays import Replayed
    from cibench.results.run_folder import Run
    from cibench.storage.undrawn import Undrawn

EXAMPLES = 5
KIND = ("scenario", "estimator", "options", "status", "reason")


def show_scores(run: Run) -> None:
    """Print a run's score table and below it the surprises."""
    from cibench.report.sections.equalities import summary_lines
    from cibench.report.sections.repeated_data import sentences
    from cibench.report.summary import surprise_lines

    show_table(run.scores, run.expectations, run.catalogue)
    for line in sentences(run.repeated, run.catalogue):
        console().print(f"equal data sets: {line}", markup=False, soft_wrap=True)
    for plugin in (run.manifest.get("checks") or {}).get("plugins", {}).values():
        if plugin["warning"]:
            console().print(plugin["warning"], markup=False, soft_wrap=True)
    for line in surprise_lines(run.expectations, run.catalogue):
        console().print(Text(line))
    for line in summary_lines(run.equalities, run.catalogue, run.place):
        console().print(line, markup=False, soft_wrap=True)


def show_table(
    scores: pd.DataFrame, expectations: pd.DataFrame, catalogue: Mapping[str, Any]
) -> None:
    """Print scores, one block per scenario and size, broken coverage in bold red."""
    from cibench.report.summary import summary, summary_notes

    out = console()
    lines = summary(scores, expectations, catalogue)
    for scenario, part in lines.groupby("scenario", sort=False):
        out.print(_block(str(scenario), part.drop(columns="scenario")), "")
    out.print("In brackets the Monte Carlo standard error; of shares the 95 % Wilson limits.")
    for note in summary_notes(scores, catalogue):
        out.print(note, markup=False)
    if lines["broken"].any():
        out.print("▼ coverage is below its floor, in all rows at once beyond Monte Carlo doubt")


def show_plan(plan: Plan) -> None:
    """Print what each cell needs, what decides it and how long it takes; totals below."""
    from cibench.metrics import METRICS

    out = console()
    listing = Table(box=None, pad_edge=False)
    names = ("cell", "replicates", "at most", "decided by", "s each", "time", "at most")
    for i, name in enumerate(names):
        listing.add_column(name, justify="left" if i in (0, 3) else "right", overflow="fold")
    for cell in plan.cells:
        counts = cell.replicates, cell.at_most
        times = [clock(count * cell.seconds / plan.workers) for count in counts]
        by = f"{cell.measure} of {cell.estimator}" if cell.measure else "nothing is known"
        texts = (cell.cell, *map(_count, counts), by, f"{cell.seconds:.2g}", *times)
        listing.add_row(*map(Text, texts))
    targets = [f"{m} {t:g} {METRICS[m].kind}".rstrip() for m, t in plan.targets.items()]
    out.print(f"Monte Carlo errors wanted: {', '.join(targets)}")
    out.print(listing)
    out.print(
        f"All cells with their own counts: {clock(plan.seconds)}, at most "
        f"{clock(plan.seconds_at_most)}, on {plan.workers} worker(s); one count for all: "
        f"{_count(plan.replicates)}. From {plan.pilot} replicates a cell."
    )
    for cell in plan.cells:
        for why in cell.unreached:
            out.print(f"not planned in {cell.cell}: {why}", markup=False)


def _count(count: float) -> str:
    return f"{int(count):,}" if math.isfinite(count) else "–"


def _block(title: str, part: pd.DataFrame) -> Table:
    from cibench.metrics import METRICS

    coverage = METRICS["coverage"].heading
    block = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in part.columns.drop("broken"):
        text = name in ("setting", "estimator")
        block.add_column(name, justify="left" if text else "right", no_wrap=True)
    before = None
    for line in part.to_dict("records"):
        broken, setting = line.pop("broken"), line["setting"]
        if setting == before:
            line["setting"] = ""
        elif before is not None:
            block.add_row()
        before = setting
        if broken:
            line[coverage] = f"▼ {line[coverage]}"
        styles = {coverage: "bold red"} if broken else {}
        block.add_row(*(Text(str(v), style=styles.get(str(k), "")) for k, v in line.items()))
    return block


def show_replay(replayed: Replayed, bundle: Path) -> None:
    """Print what came of making a fit again, and where its bundle lies."""
    out, row = console(), replayed.stored.iloc[0]
    reason = "" if row["status"] == "ok" else f": {row['reason']}"
    out.print(f"stored: {row['status']}{reason}", markup=False)
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


def show_draw(undrawn: Undrawn | None) -> None:
    """Print what came of drawing a data set again."""
    out = console()
    if undrawn is None:
        out.print("the data set is drawn without a fault")
    else:
        text = undrawn.traceback or f"{undrawn.status}: {undrawn.reason}"
        out.print(text, markup=False, soft_wrap=True, highlight=False)


def show_failures(run: Run) -> None:
    """Print why fits gave no answer and, for one of each kind, how to look at it.

    What a method lost in a scenario for one reason is one kind, at whatever settings and sizes.
    """
    from cibench.render.replay_command import command

    tally = run.failures
    lost = tally[~tally["status"].isin(FINE)].sort_values("fits", ascending=False, kind="stable")
    if lost.empty:
        return
    out = console()
    out.print(f"{lost['fits'].sum():,} fits gave no answer:")
    kinds = [part for _, part in lost.groupby(list(KIND), dropna=False, sort=False)]
    kinds.sort(key=lambda part: -int(part["fits"].sum()))
    for part in kinds[:EXAMPLES]:
        first = part.iloc[0].to_dict()
        cells = f" in {len(part)} cells" if len(part) > 1 else ""
        text = f"{part['fits'].sum():,} {first['estimator']} {first['status']}{cells}"
        out.print(f"  {text}: {first['reason']}", markup=False, soft_wrap=True)
        words = command(run.place, {**first, "replicate": first["first"]}, run.catalogue)
        out.print(f"    {words}", markup=False, soft_wrap=True)
    if len(kinds) > EXAMPLES:
        out.print(f"  and {count(len(kinds) - EXAMPLES, 'more kind')}, all in the report")


def show_status(status: Status, place: str) -> None:
    """Print how far a run is and how to go on with it, and a line for each cell."""
    out = console()
    if status.state == "running":
        out.print(f"running, {status.where}", pace(status), markup=False)
    else:
        out.print(
            f"{status.state}: {status.done:,} of {status.total:,} rows are stored", markup=False
        )
    lines = [
        {
            "cell": cell["name"], "rows": f"{cell['done']:,} of {cell['total']:,}",
            "without an answer": f"{cell['failures']:,}", "state": _state(cell),
        }
        for cell in status.cells
    ]  # fmt: skip
    if lines:
        out.print(table(lines))
    for line in status.notes:
        out.print(line, markup=False, soft_wrap=True)
    if status.state in ("interrupted", "killed", "unfinished"):
        out.print(f"to go on from there: cibench run {place}", markup=False)


def _state(cell: Mapping[str, Any]) -> str:
    if cell.get("stopped"):
        return str(cell["stopped"])
    if cell.get("undrawn"):
        return f"{count(cell['undrawn'], 'data set')} could not be drawn"
    if cell["done"] >= cell["total"]:
        return "done"
    return "begun" if cell["done"] else "waiting"
