"""The one reader of replicate rows: cell by cell out of a run folder, each shard once.

A run's shards say by their names of which cells they have rows. Where several may have rows of one,
as after an extension, or names are others (a folder put together by hand), the columns that name
cells are looked at first, to find out with which shard every cell is whole.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from heapq import heappop, heappush
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from cibench.model.types import Array
from cibench.storage import shards
from cibench.storage.groups import NEEDED, Part, as_table, check, cut
from cibench.storage.schema import CELL, IDENTITY, TYPES, schema
from cibench.storage.shard_checks import without_huge
from cibench.storage.spool import Slot, Spool, SpooledGroup
from cibench.utils.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from cibench.suite.suite import Identity

Key = tuple[Any, ...]
"""The values of the columns that name a cell."""

Entrants = Sequence[tuple[str, str]]
"""Estimators, each with its options, in an order."""

T = TypeVar("T")

AHEAD = 2
"""Shards that are read while the caller works on the last."""


@dataclass(frozen=True, eq=False)
class CellRows:
    """Hold the stored rows of one cell, of several where they come from one DataFrame.

    `table` has all rows, repeated fits of a data set (`refit` above zero) included; `where` is the
    shard that they come from, "" where it is none.
    """

    table: pa.Table
    spool: Spool
    where: str = ""
    _slots: dict[tuple[int, str], Slot] = field(default_factory=dict, init=False, repr=False)

    @property
    def identity(self) -> Identity:
        """Return what no other cell of a suite shares, where the rows are those of one cell."""
        scenario, dials, n, parameters = (self.table[name][0].as_py() for name in IDENTITY)
        return scenario, dials, n, parameters

    @cached_property
    def part(self) -> Part:
        """Return the first fits, cut into groups of one estimator and target."""
        try:
            return cut(self.table)
        except BadInput as error:
            place = f"{self.where}: not readable: " if self.where else ""
            raise BadInput(f"{place}{error}") from error

    @cached_property
    def unanswered(self) -> pa.Table:
        """Return the rows of first fits that have no answer."""
        import pyarrow.compute as pc

        first = pc.fill_null(pc.equal(self.table["refit"], 0), True)
        return self.table.filter(pc.and_(first, pc.not_equal(self.table["status"], "ok")))

    def put_aside(self, place: int, names: Sequence[str]) -> SpooledGroup:
        """Put columns of the group at a place of `part` aside, each once whoever asks for it."""
        columns, slots = self.part.groups[place], []
        for name in names:
            key = place, name
            if key not in self._slots:
                self._slots[key] = self.spool.put(name, columns[name])
            slots.append(self._slots[key])
        return SpooledGroup(self.spool, names, tuple(slots))


def cells(
    folder: Path, also: Collection[str] = (), only: Collection[int] | None = None,
    entrants: Entrants = (),
) -> Iterator[CellRows]:  # fmt: skip
    """Yield the cells of a run folder in order, each shard read once and let go soon.

    Rows have the columns that scoring needs, and `also` those named. Shards are left out that have
    nothing of `only` the cells with those places in the suite, where some are given; what shares a
    shard with these is read too. The next shards are read while the caller works on the last.
    Cells come in the suite's order; new ones between others that have no new rows come after or
    before these. A cell's rows come by replicate and in the order of the `entrants`, if that is
    said, else as they were stored. Raises BadInput where a shard is not readable or lacks columns.
    """
    paths = shards.paths(folder) if only is None else _with_some(shards.paths(folder), only)
    columns, spool = tuple(dict.fromkeys((*NEEDED, *also))), Spool()
    seen: dict[Key, Path] = {}
    for key, first, rows in _whole_cells(paths, columns):
        if key in seen:
            raise BadInput(f"{first}: not readable: {seen[key].name} holds rows of its cell")
        seen[key] = first
        yield CellRows(_in_order(rows, entrants) if entrants else rows, spool, str(first))


def _with_some(paths: Sequence[Path], only: Collection[int]) -> list[Path]:
    """Return the shards that may have rows of some cells."""
    places, some = sorted(only), []
    for path in paths:
        span = shards.span_of(path)
        if span is None or bisect_left(places, span.first) < bisect_right(places, span.last):
            some.append(path)
    return some


def cells_of(rows: pd.DataFrame, also: Collection[str] = ()) -> CellRows:
    """Return the rows of a DataFrame as what a reader yields; raises BadInput as `cells` does."""
    check(rows.columns, also)
    return CellRows(as_table(rows, also), Spool())


def read_table(where: Path, columns: Sequence[str] | None = tuple(TYPES)) -> pa.Table:
    """Return columns of all rows of a run folder, or of one Parquet file, as one table.

    None stands for whatever columns there are.

    Raises BadInput where a shard is not readable or lacks columns.
    """
    import pyarrow as pa

    paths = [where] if where.is_file() else shards.paths(where)
    declared = schema()
    empty = pa.schema([declared.field(name) for name in columns or TYPES]).empty_table()
    return pa.concat_tables([_rows(path, columns) for path in paths] or [empty])


def read_rows(folder: Path, entrants: Entrants = ()) -> pd.DataFrame:
    """Return all replicate rows as a DataFrame, cell by cell in replicate order.

    After an extension or a repair a cell may have rows in several shards, in any order. Those of a
    replicate come in the order of the `entrants`, if that is said.
    """
    import pyarrow as pa

    columns = tuple(TYPES)
    tables = [
        _in_order(rows, entrants) for _, _, rows in _whole_cells(shards.paths(folder), columns)
    ]
    return as_frame(pa.concat_tables(tables) if tables else read_table(folder))


def _in_order(table: pa.Table, entrants: Entrants) -> pa.Table:
    """Return a cell's rows by replicate, those of one by entrant, else as they come."""
    import pyarrow as pa

    replicate = table["replicate"].to_numpy()
    place = shards.places(table, entrants) if len(entrants) > 1 else np.zeros_like(replicate)
    if shards.ascend(replicate, place):
        return table
    return table.take(pa.array(np.lexsort((place, replicate))))


def as_frame(table: pa.Table) -> pd.DataFrame:
    """Return a table of rows as a DataFrame, texts as texts however they were encoded."""
    import pyarrow as pa

    plain = [
        pa.field(f.name, f.type.value_type) if pa.types.is_dictionary(f.type) else f
        for f in table.schema
    ]
    frame: pd.DataFrame = table.cast(pa.schema(plain)).to_pandas()
    return frame


def _whole_cells(
    paths: Sequence[Path], columns: Sequence[str]
) -> Iterator[tuple[Key, Path, pa.Table]]:
    """Yield each cell's rows once they are all read, with its key and its first shard."""
    with ThreadPoolExecutor(1) as pool:
        tables = _ahead(pool, paths, columns)
        for group in _overlapping(paths):
            plan, at = _plan(group), 0
            parts: dict[Key, list[pa.Table]] = {}
            firsts: dict[Key, Path] = {}
            for place, (path, table) in enumerate(islice(tables, len(group))):
                for key, rows in _by_cell(table):
                    parts.setdefault(key, []).append(rows)
                    firsts.setdefault(key, path)
                del table
                while at < len(plan) and plan[at][1] <= place:
                    key, at = plan[at][0], at + 1
                    if key in parts:  # or else the shard has become another one meanwhile
                        yield key, firsts[key], _joined(parts.pop(key))
            for key in list(parts):
                yield key, firsts[key], _joined(parts.pop(key))


def _overlapping(paths: Sequence[Path]) -> list[list[Path]]:
    """Group shards so that no cell has rows in two groups; all together where a name says nothing.

    Shards come by the first cell that they may have.
    """
    groups: list[list[Path]] = []
    end = -1
    for path in paths:
        span = shards.span_of(path)
        if span is None:
            return [list(paths)]
        if span.first > end:
            groups.append([])
        groups[-1].append(path)
        end = max(end, span.last)
    return groups


def _plan(group: Sequence[Path]) -> list[tuple[Key, int]]:
    """Return the cells of some shards in order, each with the place of the last that has its rows.

    Where there is one cell, or one shard, there is nothing to plan.
    """
    spans = {shards.span_of(path) for path in group}
    if len(group) == 1 or all(span and span.first == span.last for span in spans):
        return []
    own = [_keys_of(shards.read(path, CELL, _texts(CELL))) for path in group]
    last = {key: place for place, keys in enumerate(own) for key in keys}
    return [(key, last[key]) for key in merged(own)]


def merged(lists: Iterable[Sequence[T]]) -> list[T]:
    """Return what is in some lists in an order that all of them have, or else as it appears.

    So it is where they leave the order open, too.
    """
    ranks: dict[T, int] = {}
    after: dict[T, list[T]] = {}
    waits: Counter[T] = Counter()
    for keys in lists:
        for key in keys:
            ranks.setdefault(key, len(ranks))
        for before, later in pairwise(keys):
            after.setdefault(before, []).append(later)
            waits[later] += 1
    ready = [(rank, key) for key, rank in ranks.items() if not waits[key]]
    order: list[T] = []
    while ready:
        _, key = heappop(ready)
        order.append(key)
        for other in after.get(key, ()):
            waits[other] -= 1
            if not waits[other]:
                heappush(ready, (ranks[other], other))
    return order if len(order) == len(ranks) else list(ranks)


def _ahead(
    pool: ThreadPoolExecutor, paths: Iterable[Path], columns: Sequence[str]
) -> Iterator[tuple[Path, pa.Table]]:
    waiting: deque[tuple[Path, Future[pa.Table]]] = deque()
    for path in paths:
        waiting.append((path, pool.submit(_rows, path, columns, _texts(columns))))
        if len(waiting) > AHEAD:
            first, table = waiting.popleft()
            yield first, table.result()
    for path, table in waiting:
        yield path, table.result()


def _rows(path: Path, columns: Sequence[str] | None, encoded: Sequence[str] = ()) -> pa.Table:
    return without_huge(shards.read(path, columns, encoded))


def _texts(columns: Iterable[str]) -> list[str]:
    return [name for name in columns if TYPES[name] == "string"]


def _joined(tables: list[pa.Table]) -> pa.Table:
    import pyarrow as pa

    return tables[0] if len(tables) == 1 else pa.concat_tables(tables).unify_dictionaries()


def _by_cell(table: pa.Table) -> Iterator[tuple[Key, pa.Table]]:
    """Yield each cell's key and rows, in order of first appearance."""
    import pyarrow as pa

    if not table.num_rows:
        return
    codes, firsts = shards.combinations(table, CELL)
    if (np.diff(codes) < 0).any():
        order = np.argsort(codes, kind="stable")
        table, codes = table.take(pa.array(order)), codes[order]
        firsts = np.flatnonzero(np.diff(codes, prepend=-1))
    ends = (*firsts[1:].tolist(), table.num_rows)
    for key, first, end in zip(_keys(table, firsts), firsts.tolist(), ends, strict=True):
        yield key, table.slice(first, end - first)


def _keys_of(table: pa.Table) -> list[Key]:
    return _keys(table, shards.combinations(table, CELL)[1])


def _keys(table: pa.Table, firsts: Array) -> list[Key]:
    import pyarrow as pa

    lines = table.select(list(CELL)).take(pa.array(firsts, pa.int64())).to_pylist()
    return [tuple(line.values()) for line in lines]
