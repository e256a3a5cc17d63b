"""Read the shards of a run folder, only the columns that scoring needs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cibench.errors import BadInput
from cibench.rows import CELL
from cibench.scoring.cutting import NEEDED, TEXTS, check

if TYPE_CHECKING:
    import pyarrow as pa


def read(paths: Iterable[Path], columns: Sequence[str] = NEEDED) -> pa.Table:
    """Return the rows of shards as one table, texts as dictionaries.

    Raises BadInput where a shard is not readable or lacks columns.
    """
    return _joined([_read(path, columns) for path in paths])


def neighbours(shards: Iterable[Path]) -> Iterator[tuple[list[Path], pa.Table]]:
    """Yield the shards of each cell, those that stand side by side, and their rows.

    The next shard is read while the caller works on the last; empty ones are left out.
    """
    paths: list[Path] = []
    tables: list[pa.Table] = []
    with ThreadPoolExecutor(1) as ahead:
        for path, table in _ahead(ahead, shards):
            if not table.num_rows:
                continue
            if tables and _cell(tables[-1], tables[-1].num_rows - 1) != _cell(table, 0):
                yield paths, _joined(tables)
                paths, tables = [], []
            paths, tables = [*paths, path], [*tables, table]
    if tables:
        yield paths, _joined(tables)


def _ahead(pool: ThreadPoolExecutor, shards: Iterable[Path]) -> Iterator[tuple[Path, pa.Table]]:
    waiting: deque[tuple[Path, Future[pa.Table]]] = deque()
    for path in shards:
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
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, read_dictionary=list(TEXTS)) as shard:
            check(shard.schema_arrow.names)
            return shard.read(columns=list(columns), use_threads=False).unify_dictionaries()
    except (OSError, pa.ArrowException) as error:
        raise BadInput(f"{path}: not readable: {error}") from error
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
