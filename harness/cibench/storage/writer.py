"""Write rows as they come: shards grow, at most a few seconds behind."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cibench.storage import shards
from cibench.storage.inventory import Shard
from cibench.suite.suite import Suite

if TYPE_CHECKING:
    import pyarrow as pa


class Writer:
    """Collect blocks' rows by cell and write each cell's to its last shard.

    `stored` are the shards that there are. Rows wait for `flush_seconds`, or until `waiting_rows`
    wait; a shard with `shard_rows` is full.
    """

    def __init__(
        self, run: Path, suite: Suite, stored: Sequence[Shard] = (), *,
        flush_seconds: float, waiting_rows: int, shard_rows: int,
    ) -> None:  # fmt: skip
        self._run, self._suite = run, suite
        self._flush_seconds = flush_seconds
        self._waiting_rows, self._shard_rows = waiting_rows, shard_rows
        self._waiting: dict[int, list[pa.Table]] = {}
        self._since: dict[int, float] = {}
        self._rows: Counter[int] = Counter()
        self._last: dict[int, tuple[int, int]] = {}
        for shard in stored:
            if shard.cell is not None:
                part = self._last.get(shard.cell, (-1, 0))[0] + 1
                self._last[shard.cell] = part, shard.rows

    def add(self, cell: int, table: pa.Table) -> None:
        """Take the rows of a block."""
        self._waiting.setdefault(cell, []).append(table)
        self._since.setdefault(cell, time.monotonic())
        self._rows[cell] += table.num_rows
        if self._rows[cell] >= self._shard_rows:
            self._write(cell)
        elif self._rows.total() >= self._waiting_rows:
            self._write(self._rows.most_common(1)[0][0])

    def flush(self, everything: bool = False) -> None:
        """Write the cells whose rows have waited long enough, or all."""
        due = time.monotonic() - self._flush_seconds
        for cell in [c for c, since in self._since.items() if everything or since <= due]:
            self._write(cell)

    def _write(self, cell: int) -> None:
        import pyarrow as pa

        part, rows = self._last.get(cell, (0, 0))
        if rows >= self._shard_rows:
            part, rows = part + 1, 0
        path = shards.place(self._run, cell, part)
        before = [shards.read(path)] if rows else []
        table = pa.concat_tables([*before, *self._waiting[cell]])
        shards.write(path, self._in_order(table, cell))
        self._last[cell] = part, table.num_rows
        del self._waiting[cell], self._since[cell], self._rows[cell]

    def _in_order(self, table: pa.Table, cell: int) -> pa.Table:
        """Return the rows by replicate and, within one, in the order of the cell's entrants."""
        import pyarrow as pa

        entrants = self._suite.cells[cell].entrants
        places = table["replicate"].to_numpy() * len(entrants) + shards.places(table, entrants)
        if (np.diff(places) >= 0).all():
            return table
        return table.take(pa.array(np.argsort(places, kind="stable")))
