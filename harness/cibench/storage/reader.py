"""The one reader of replicate rows: cell by cell out of a run folder, each shard once.

A run's shards say by their names to which cell they belong. Where names are others (a folder put
together by hand) the columns that name cells are looked at first, to find out which shards must be
read together for every cell to be whole.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.model.types import Array
from cibench.storage import shards
from cibench.storage.groups import NEEDED, Part, as_table, check, cut
from cibench.storage.schema import CELL, TYPES, schema
from cibench.storage.spool import Slot, Spool, SpooledGroup
from cibench.utils.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

AHEAD = 2
"""Shards that are read while the caller works on the last."""


@dataclass(frozen=True, eq=False)
class CellRows:
    """Hold the stored rows of one cell, of several where they come from one DataFrame.

    `table` has all rows, repeated fits of a data set (`refit` above zero) included.
    """

    table: pa.Table
    spool: Spool
    _slots: dict[tuple[int, str], Slot] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def part(self) -> Part:
        """Return the first fits, cut into groups of one estimator and target."""
        return cut(self.table)

    def put_aside(self, place: int, names: Sequence[str]) -> SpooledGroup:
        """Put columns of the group at a place of `part` aside, each once whoever asks for it."""
        columns, slots = self.part.groups[place], []
        for name in names:
            key = place, name
            if key not in self._slots:
                self._slots[key] = self.spool.put(name, columns[name])
            slots.append(self._slots[key])
        return SpooledGroup(self.spool, names, tuple(slots))


def cells(folder: Path, also: Collection[str] = (), only: int | None = None) -> Iterator[CellRows]:
    """Yield the cells of a run folder in order, one in memory at a time, each shard read once.

    Rows have the columns that scoring needs, and `also` those named; `only` the cell with that
    place in the suite is read where one is given. The next shards are read while the caller works
    on the last. Raises BadInput where a shard is not readable or lacks columns.
    """
    paths = shards.paths(folder) if only is None else shards.paths_of(folder, only)
    columns, spool = tuple(dict.fromkeys((*NEEDED, *also))), Spool()
    seen: dict[tuple[Any, ...], Path] = {}
    for first, table in _batches(paths, columns):
        for key, rows in _by_cell(table):
            if key in seen:
                raise BadInput(f"{first}: not readable: {seen[key].name} holds rows of its cell")
            seen[key] = first
            yield CellRows(rows, spool)


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
    return pa.concat_tables([shards.read(path, columns) for path in paths] or [empty])


def read_rows(folder: Path) -> pd.DataFrame:
    """Return all replicate rows as a DataFrame, cell by cell in replicate order."""
    return as_frame(read_table(folder))


def as_frame(table: pa.Table) -> pd.DataFrame:
    """Return a table of rows as a DataFrame, texts as texts however they were encoded."""
    import pyarrow as pa

    plain = [
        pa.field(f.name, f.type.value_type) if pa.types.is_dictionary(f.type) else f
        for f in table.schema
    ]
    frame: pd.DataFrame = table.cast(pa.schema(plain)).to_pandas()
    return frame


def _batches(paths: Sequence[Path], columns: Sequence[str]) -> Iterator[tuple[Path, pa.Table]]:
    """Yield the rows of shards that belong together and the first of these; none that are empty."""
    sizes = deque(map(len, _together(paths)))
    tables: list[pa.Table] = []
    batch: list[Path] = []
    with ThreadPoolExecutor(1) as pool:
        for path, table in _ahead(pool, paths, columns):
            batch, tables = [*batch, path], [*tables, table]
            if len(batch) < sizes[0]:
                continue
            sizes.popleft()
            filled = [table for table in tables if table.num_rows]
            first, batch, tables = batch[0], [], []
            if filled:
                yield first, _joined(filled)


def _together(paths: Sequence[Path]) -> list[list[Path]]:
    """Group neighbouring shards so that no cell has rows in two groups."""
    if all(shards.cell_of(path) >= 0 for path in paths):
        return [list(group) for _, group in groupby(paths, key=shards.cell_of)]
    groups: list[tuple[set[tuple[Any, ...]], list[Path]]] = []
    for path in paths:
        own = {key for key, _ in _by_cell(shards.read(path, CELL, _texts(CELL)))}
        at = next((i for i, (known, _) in enumerate(groups) if known & own), len(groups))
        joined, groups = groups[at:], groups[:at]
        known = own.union(*(cell for cell, _ in joined))
        groups.append((known, [*(p for _, some in joined for p in some), path]))
    return [some for _, some in groups]


def _ahead(
    pool: ThreadPoolExecutor, paths: Iterable[Path], columns: Sequence[str]
) -> Iterator[tuple[Path, pa.Table]]:
    waiting: deque[tuple[Path, Future[pa.Table]]] = deque()
    for path in paths:
        waiting.append((path, pool.submit(shards.read, path, columns, _texts(columns))))
        if len(waiting) > AHEAD:
            first, table = waiting.popleft()
            yield first, table.result()
    for path, table in waiting:
        yield path, table.result()


def _texts(columns: Iterable[str]) -> list[str]:
    return [name for name in columns if TYPES[name] == "string"]


def _joined(tables: list[pa.Table]) -> pa.Table:
    import pyarrow as pa

    return tables[0] if len(tables) == 1 else pa.concat_tables(tables).unify_dictionaries()


def _by_cell(table: pa.Table) -> list[tuple[tuple[Any, ...], pa.Table]]:
    """Return each cell's keys and rows, in order of first appearance."""
    import pyarrow as pa

    codes, firsts = shards.combinations(table, CELL)
    keys = [tuple(line.values()) for line in _keys(table, firsts)]
    if len(keys) == 1:
        return [(keys[0], table)]
    return [
        (key, table.take(pa.array(np.flatnonzero(codes == code)))) for code, key in enumerate(keys)
    ]


def _keys(table: pa.Table, firsts: Array) -> list[dict[str, Any]]:
    import pyarrow as pa

    keys: list[dict[str, Any]] = table.select(list(CELL)).take(pa.array(firsts)).to_pylist()
    return keys
