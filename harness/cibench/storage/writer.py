"""Write rows as they come: shards grow, at most a few seconds behind."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cibench.storage import shards
from cibench.storage.inventory import Shard, locate
from cibench.storage.shards import Span
from cibench.suite.precision import most
from cibench.suite.suite import Suite

if TYPE_CHECKING:
    import pyarrow as pa


MOST_TABLES = 256
"""Blocks whose rows wait as tables of their own: one of three rows takes 20 KB, most of it none."""


class Writer:
    """Collect blocks' rows by the cells that share a shard and write them to the last of these.

    `stored` are the shards that there are. Rows wait for `flush_seconds`, or until `waiting_rows`
    wait; a shard with `shard_rows` is full. Of either there are at most about `most_bytes`.
    """

    def __init__(
        self, run: Path, suite: Suite, stored: Sequence[Shard] = (), *,
        flush_seconds: float, waiting_rows: int, shard_rows: int, most_bytes: int,
    ) -> None:  # fmt: skip
        self._run, self._suite = run, suite
        self._flush_seconds = flush_seconds
        self._waiting_rows, self._shard_rows = waiting_rows, shard_rows
        self._most_bytes = most_bytes
        self._waiting: dict[Span, list[pa.Table]] = {}
        self._since: dict[Span, float] = {}
        self._rows: Counter[Span] = Counter()
        self._bytes: Counter[Span] = Counter()
        self._spans = neighbours(suite, shard_rows)
        self._last: dict[Span, tuple[int, int]] = {}
        for shard in sorted(stored, key=lambda shard: shards.part_of(shard.path)):
            span = shards.span_of(shard.path)
            if span is not None:
                self._last[span] = shards.part_of(shard.path), shard.rows

    def add(self, cell: int, table: pa.Table) -> None:
        """Take the rows of a block."""
        import pyarrow as pa

        span = self._spans[cell]
        waiting = self._waiting.setdefault(span, [])
        waiting.append(table)
        if len(waiting) == MOST_TABLES:
            self._waiting[span] = [pa.concat_tables(waiting).combine_chunks()]
        self._since.setdefault(span, time.monotonic())
        self._rows[span] += table.num_rows
        self._bytes[span] += table.nbytes
        if self._rows[span] >= self._shard_rows:
            self._write(span)
        elif self._rows.total() >= self._waiting_rows:
            self._write(self._rows.most_common(1)[0][0])
        elif self._bytes.total() >= self._most_bytes:
            self._write(self._bytes.most_common(1)[0][0])

    def flush(self, everything: bool = False) -> None:
        """Write the rows that have waited long enough, or all."""
        due = time.monotonic() - self._flush_seconds
        for span in [s for s, since in self._since.items() if everything or since <= due]:
            self._write(span)

    def _write(self, span: Span) -> None:
        import pyarrow as pa

        part, rows = self._last.get(span, (0, 0))
        if rows >= self._shard_rows:
            part, rows = part + 1, 0
        path = shards.place(self._run, span, part)
        before = [shards.read(path)] if rows else []
        table = pa.concat_tables([*before, *self._waiting[span]])
        shards.write(path, self._in_order(table))
        full = table.nbytes >= self._most_bytes  # rows with long reasons: not to be read again
        self._last[span] = part, self._shard_rows if full else table.num_rows
        del self._waiting[span], self._since[span], self._rows[span], self._bytes[span]

    def _in_order(self, table: pa.Table) -> pa.Table:
        """Return the rows by cell, replicate and, within one, in the order of the entrants."""
        import pyarrow as pa

        order = locate(self._suite, table).in_order(table["replicate"].to_numpy())
        return table if order is None else table.take(pa.array(order))


def neighbours(suite: Suite, shard_rows: int) -> list[Span]:
    """Return for each cell which neighbours it shares its shards with.

    It does as long as all rows that they may have by the suite go into one shard. So a shard that
    is rewritten as it grows is never large, and whoever reads a cell reads little else; a cell that
    takes shards of its own has them.
    """
    ends: list[Span] = []
    first, rows = 0, 0
    for place, (cell, count) in enumerate(zip(suite.cells, suite.counts, strict=True)):
        longest = max(count, most(suite.precision)) if suite.precision else count
        fits = longest + min(longest, suite.refits.replicates) * suite.refits.times
        own = fits * cell.rows
        if rows + own > shard_rows and place > first:
            ends += [Span(first, place - 1)] * (place - first)
            first, rows = place, 0
        rows += own
    return ends + [Span(first, len(suite.cells) - 1)] * (len(suite.cells) - first)
