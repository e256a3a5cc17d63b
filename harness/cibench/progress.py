"""How far a run is: rows, failures and seconds, in all and cell by cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter

SETTLED = 2.0
"""Seconds before which the first fits, which warm caches up, say nothing of the others."""


@dataclass
class CellProgress:
    """Count one cell's rows and failed fits, and the seconds that its blocks took here.

    `stopped` says why the cell has no more replicates, where precision decides.
    """

    name: str
    total: int
    done: int = 0
    failures: int = 0
    rows: int = 0
    seconds: float = 0.0
    stopped: str = ""

    def add(self, rows: int, failures: int, seconds: float) -> None:
        """Count a block."""
        self.done += rows
        self.failures += failures
        self.rows += rows
        self.seconds += seconds


@dataclass
class Progress:
    """Hold the progress of a run's cells; handed to the listener after every block.

    `cell` names the one that the last block was of. What was stored before does not count for the
    rate.
    """

    cells: list[CellProgress]
    cell: str = ""
    started: float = field(default_factory=perf_counter)

    def lengthen(self, totals: Sequence[int], stopped: Mapping[int, str] | None = None) -> None:
        """Take note of how many rows the cells are to have now, and which stopped and why."""
        for index, (cell, total) in enumerate(zip(self.cells, totals, strict=True)):
            cell.total, cell.stopped = total, (stopped or {}).get(index, "")

    @property
    def total(self) -> int:
        """Return how many rows the run will have."""
        return sum(cell.total for cell in self.cells)

    @property
    def done(self) -> int:
        """Return how many rows there are."""
        return sum(cell.done for cell in self.cells)

    @property
    def failures(self) -> int:
        """Return how many fits gave no answer."""
        return sum(cell.failures for cell in self.cells)

    @property
    def elapsed(self) -> float:
        """Return seconds since the clock started."""
        return max(perf_counter() - self.started, 1e-9)

    @property
    def rate(self) -> float:
        """Return rows a second since the clock started."""
        return sum(cell.rows for cell in self.cells) / self.elapsed

    @property
    def left(self) -> float | None:
        """Return the seconds that the rest will take, None while nobody knows.

        Cells differ: each goes on at its own pace, one that has not begun at that of the others.
        """
        rows, busy = sum(c.rows for c in self.cells), sum(c.seconds for c in self.cells)
        if not rows or not busy or self.elapsed < SETTLED:
            return None
        work = sum(
            (c.total - c.done) * (c.seconds / c.rows if c.rows else busy / rows) for c in self.cells
        )
        return work / (busy / self.elapsed)


Listener = Callable[[Progress], object]
