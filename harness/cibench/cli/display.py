"""What the command line shows of runs, plans, replays and failures: tables and plain lines."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from cibench.cli.progress_bar import clock, pace
from cibench.render import shell
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
LINES = 300
"""As many scores or cells a terminal shows; of more scores those of the first scenarios, sizes."""
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
    """Print scores, one block per scenario and size, broken coverage in bold red.

    Of a long table the first blocks are printed, and how many lines of the others are broken.
    """
    from cibench.report.summary import summary, summary_notes

    out = console()
    lines = summary(scores, expectations, catalogue)
    blocks = [(str(title), part) for title, part in lines.groupby("scenario", sort=False)]
    ends = list(accumulate(len(part) for _, part in blocks))
    many = max(1, sum(end <= LINES for end in ends))
    for title, part in blocks[:many]:
        out.print(_block(title, part.drop(columns="scenario")), "")
    if rest := [part for _, part in blocks[many:]]:
        broken = sum(int(part["broken"].sum()) for part in rest)
        out.print(f"and {sum(map(len, rest)):,} more lines, {broken:,} with ▼", "")
    out.print("In brackets the Monte Carlo standard error; of shares the 95 % Wilson limits.")
    for note in summary_notes(scores, catalogue):
        out.print(note, markup=False)
    if lines["broken"].any():
        out.print("▼ coverage is below its floor, in all rows at once beyond Monte Carlo doubt")


def show_plan(plan: Plan) -> None:
    """Print what each cell needs, what decides it and how long it takes; totals below."""
    from cibench.metrics import METRICS
    from cibench.storage.manifest import SKIPPED

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
    if plan.unchecked:
        out.print(SKIPPED, markup=False, soft_wrap=True)
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


def show_process_changes(run: Run) -> None:
    """Print which methods changed the process that fits share, and what they changed of it."""
    table = run.process_changes
    if table.empty:
        return
    out = console()
    fits = f"{table['fits'].sum():,} fits changed their process"
    out.print(f"{fits}, which was put back; no other row has felt it:", soft_wrap=True)
    counts = table.groupby(["estimator", "change"], sort=False)["fits"].sum().reset_index()
    for estimator, change, number in counts.head(EXAMPLES).to_numpy().tolist():
        words = f"  {number:,} {estimator}: {change}"
        out.print(words, markup=False, soft_wrap=True)
    if len(counts) > EXAMPLES:
        out.print(f"  and {len(counts) - EXAMPLES} more, in process_changes.csv")


def show_failures(run: Run) -> None:
    """Print why fits gave no answer and, for one of each kind, how to look at it.

    What a method lost in a scenario for one reason is one kind, at whatever settings and sizes.
    """
    from cibench.render.replay_command import command
    from cibench.report.provenance_words import made_elsewhere

    tally = run.failures
    lost = tally[~tally["status"].isin(FINE)].sort_values("fits", ascending=False, kind="stable")
    if lost.empty:
        return
    out = console()
    out.print("Fits that gave no answer, or none to one of the questions:")
    kinds = [part for _, part in lost.groupby(list(KIND), dropna=False, sort=False)]
    kinds.sort(key=lambda part: -int(part["fits"].sum()))
    for part in kinds[:EXAMPLES]:
        first = part.iloc[0].to_dict()
        cells = f" in {len(part)} cells" if len(part) > 1 else ""
        text = f"{part['fits'].sum():,} {first['estimator']} {first['status']}{cells}"
        out.print(f"  {text}: {first['reason']}", markup=False, soft_wrap=True)
        if made_elsewhere(run.manifest):
            words = f"first of replicate {first['first']}"
        else:
            words = command(run.place, {**first, "replicate": first["first"]}, run.catalogue)
        out.print(f"    {words}", markup=False, soft_wrap=True)
    if len(kinds) > EXAMPLES:
        out.print(f"  and {count(len(kinds) - EXAMPLES, 'more kind')}, all in the report")


def show_status(status: Status, place: str) -> None:
    """Print how far a run is and how to go on with it, and a line for each cell.

    Of very many cells those come first that are not done and those that lost fits; of the others it
    is said how many there are in which state.
    """
    out = console()
    if status.state == "running":
        out.print(f"running, {status.where}", pace(status), markup=False)
    else:
        out.print(
            f"{status.state}: {status.done:,} of {status.total:,} rows are stored", markup=False
        )
    listed, rest = _first_cells(status.cells)
    lines = [
        {
            "cell": cell["name"], "rows": f"{cell['done']:,} of {cell['total']:,}",
            "without an answer": f"{cell['failures']:,}", "state": _state(cell),
        }
        for cell in listed
    ]  # fmt: skip
    if lines:
        out.print(table(lines))
    if rest:
        states = Counter(kind for kind, _ in rest)
        each = ", ".join(f"{number:,} {kind}" for kind, number in states.items())
        lost = sum(cell["failures"] for _, cell in rest)
        out.print(f"and {count(len(rest), 'more cell')}: {each}; {lost:,} fits without an answer")
    for line in status.notes:
        out.print(line, markup=False, soft_wrap=True)
    if status.state in ("interrupted", "killed", "unfinished"):
        out.print(f"to go on from there: {shell.command('run', shell.place(place))}", markup=False)


def _first_cells(
    cells: Sequence[Mapping[str, Any]],
) -> tuple[Sequence[Mapping[str, Any]], list[tuple[str, Mapping[str, Any]]]]:
    """Return the cells that are shown, in their order, and the others with the kind of their state.

    Those are shown first of which there is most to say.
    """
    if len(cells) <= LINES:
        return cells, []
    kinds = ["ended by precision" if cell.get("stopped") else _state(cell) for cell in cells]
    worth = {"begun": 1, "waiting": 2, "ended by precision": 3, "done": 3}
    ranks = [0 if c["failures"] else worth.get(k, 0) for c, k in zip(cells, kinds, strict=True)]
    order = sorted(range(len(cells)), key=lambda place: (ranks[place], place))
    rest = [(kinds[place], cells[place]) for place in order[LINES:]]
    return [cells[place] for place in sorted(order[:LINES])], rest


def _state(cell: Mapping[str, Any]) -> str:
    if cell.get("stopped"):
        return str(cell["stopped"])
    if cell.get("undrawn"):
        return f"{count(cell['undrawn'], 'data set')} could not be drawn"
    if cell["done"] >= cell["total"]:
        return "done"
    return "begun" if cell["done"] else "waiting"
