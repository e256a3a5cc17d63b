"""What the command line shows: tables, progress, and plain lines where nobody watches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cibench.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

    from cibench.runs import Run

PLAIN_WIDTH = 160
QUIET_SECONDS = 5.0


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
    """Print the score table, one block per scenario and size, broken coverage in bold red."""
    from cibench.summary import summary

    out = console()
    lines = summary(run.scores, run.catalogue)
    for scenario, part in lines.groupby("scenario", sort=False):
        out.print(_block(str(scenario), part.drop(columns="scenario")), "")
    out.print("In brackets the Monte Carlo standard error; of shares the 95 % Wilson limits.")
    if lines["broken"].any():
        out.print("▼ coverage is below nominal minus 5 points, beyond Monte Carlo doubt")


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
        bars.TextColumn("{task.fields[rate]}"), bars.TimeRemainingColumn(),
    )  # fmt: skip
    with bars.Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("starting workers", total=None, rate="")

        def show(p: Progress) -> None:
            rate = f"{p.rate:.0f} fits/s, {p.failures} failed"
            bar.update(task, completed=p.done, total=p.total, description=p.cell, rate=rate)

        yield show


def _lines() -> Callable[[Progress], None]:
    last = 0.0

    def show(p: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < QUIET_SECONDS and p.done < p.total:
            return
        last, left = now, (p.total - p.done) / max(p.rate, 1e-9)
        share = p.done / p.total
        Console(stderr=True, highlight=False, width=PLAIN_WIDTH).print(
            f"{share:4.0%}  {p.done} of {p.total} fits, {p.rate:.0f}/s, {left:.0f} s left, "
            f"{p.failures} failed  {p.cell}"
        )

    return show
