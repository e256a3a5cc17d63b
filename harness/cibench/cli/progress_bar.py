"""Progress on a terminal: a bar, or a plain line now and then where nobody watches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cibench.execution.progress import Progress
from cibench.render.terminal import console

if TYPE_CHECKING:
    from cibench.execution.progress import Status

QUIET_SECONDS = 5.0


@contextmanager
def progress_bar() -> Iterator[Callable[[Progress], None]]:
    """Yield a listener that shows rate and remaining time: a bar, or a line now and then."""
    err = console(stderr=True)
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
            left = "" if p.left is None else f", {clock(p.left)} left"
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
        console(stderr=True).print(line, markup=False)

    return show


def pace(p: Progress | Status) -> str:
    """Say how far, how fast, how long still and how many failures."""
    share = p.done / max(p.total, 1)
    left = "" if p.left is None else f"{clock(p.left)} left, "
    return (
        f"{share:4.0%}  {p.done:,} of {p.total:,} rows, {p.rate:.0f}/s, {left}"
        f"{p.failures:,} fits without an answer"
    )


def clock(seconds: float) -> str:
    """Write a time as people say it: 12 s, 3 min, 1.5 h."""
    if not math.isfinite(seconds):
        return "–"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
