"""One pass over a run's rows for all of its tables: each cell is read once and shown to everyone.

A collector takes the cells one by one and gives its table in the end. What it can settle it settles
cell by cell; of what must wait for other cells it puts the columns aside (`CellRows.put_aside`),
which several collectors share and which do not fill memory.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from cibench.storage import CellRows, cells_of

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

Cells = Callable[[Collection[str]], Iterable[CellRows]]
"""Return a run's cells, with the named columns beside those that scoring needs."""


class Collector(Protocol[T_co]):
    """Take what one table needs of each cell; `reads` are columns beside those of scoring.

    >>> from functools import partial
    >>> import cibench
    >>> from cibench.analysis import collect
    >>> from cibench.storage import cells
    >>> class Longest:
    ...     reads, seconds = (), 0.0
    ...     def add(self, cell):
    ...         self.seconds = max(self.seconds, *cell.table["seconds"].to_pylist())
    ...     def table(self):
    ...         return self.seconds
    >>> cell = {"scenario": "did/two-group", "n": [20, 30], "estimators": "did/collapsed"}
    >>> run = cibench.run({"name": "small", "seed": 1, "replicates": 20, "cells": [cell]})
    >>> longest = Longest()
    >>> collect(partial(cells, run.folder), [longest])
    >>> longest.table() == max(run.replicates["seconds"])
    True
    """

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the columns that it reads beside those that scoring needs."""

    def add(self, cell: CellRows) -> None:
        """Take a cell, the next in order."""

    def table(self) -> T_co:
        """Return what all cells amount to."""


def collect(cells: Cells, collectors: Sequence[Collector[Any]]) -> None:
    """Show every cell to every collector, reading the rows once.

    `cells` returns a run's cells with the columns that it is given, beside those of scoring; the
    tables are then the collectors'. Raises what `cells` raises: BadInput where a shard is not
    readable or lacks columns.

    See `Collector`, whose example shows a run to one.
    """
    also = dict.fromkeys(name for collector in collectors for name in collector.reads)
    for cell in cells(tuple(also)):
        for collector in collectors:
            collector.add(cell)


def from_rows(rows: Any, collector: Collector[T]) -> T:
    """Return the table of a DataFrame of replicate rows; raises BadInput if columns are missing."""
    collector.add(cells_of(rows, collector.reads))
    return collector.table()
