"""Read the shards of a run folder, only the columns that scoring needs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cibench.rows import CELL, SCORED
from cibench.scoring.cutting import NEEDED, TEXTS, Part, cut
from cibench.storage import shards

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")


class _Scattered(Exception):  # noqa: N818 - a layout of shards, not an error
    """Say that a cell's shards do not stand side by side."""


def by_cell(folder: Path, use: Callable[[Iterator[Part]], T]) -> T:
    """Return what `use` makes of a run folder's rows, with one cell in memory at a time.

    Where a cell's shards are not neighbours by name, `use` is called again with all rows at once.
    Raises BadInput where a shard is not readable or lacks columns.
    """
    found = shards.paths(folder)
    try:
        return use(_each_once(neighbours(found)))
    except _Scattered:
        return use(iter([cut(read(found))]))


def _each_once(cells: Iterable[tuple[list[Path], pa.Table]]) -> Iterator[Part]:
    seen: set[tuple[Any, ...]] = set()
    for _, table in cells:
        part = cut(table)
        keys = {tuple(names[key] for key in SCORED) for names in part.names}
        if seen & keys:
            raise _Scattered
        seen |= keys
        yield part


def read(paths: Iterable[Path], columns: Sequence[str] = NEEDED) -> pa.Table:
    """Return the rows of shards as one table, texts as dictionaries.

    Raises BadInput where a shard is not readable or lacks columns.
    """
    return _joined([_read(path, columns) for path in paths])


def neighbours(found: Iterable[Path]) -> Iterator[tuple[list[Path], pa.Table]]:
    """Yield the shards of each cell, those that stand side by side, and their rows.

    The next shard is read while the caller works on the last; empty ones are left out.
    """
    paths: list[Path] = []
    tables: list[pa.Table] = []
    with ThreadPoolExecutor(1) as ahead:
        for path, table in _ahead(ahead, found):
            if not table.num_rows:
                continue
            if tables and _cell(tables[-1], tables[-1].num_rows - 1) != _cell(table, 0):
                yield paths, _joined(tables)
                paths, tables = [], []
            paths, tables = [*paths, path], [*tables, table]
    if tables:
        yield paths, _joined(tables)


def _ahead(pool: ThreadPoolExecutor, found: Iterable[Path]) -> Iterator[tuple[Path, pa.Table]]:
    waiting: deque[tuple[Path, Future[pa.Table]]] = deque()
    for path in found:
        waiting.append((path, pool.submit(_read, path)))
        if len(waiting) > 2:
            first, table = waiting.popleft()
            yield first, table.result()
    for path, table in waiting:
        yield path, table.result()


def _cell(table: pa.Table, row: int) -> list[Any]:
    return [table[name][row].as_py() for name in CELL]


def _joined(tables: list[pa.Table]) -> pa.Table:
    import pyarrow as pa

    return tables[0] if len(tables) == 1 else pa.concat_tables(tables).unify_dictionaries()


def _read(path: Path, columns: Sequence[str] = NEEDED) -> pa.Table:
    return shards.read(path, columns, TEXTS)
