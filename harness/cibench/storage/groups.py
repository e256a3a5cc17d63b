"""Read the shards of a run folder and cut their rows into groups, each in replicate order.

Rows come as an Arrow table: a shard is read as one, and a DataFrame is turned into one, so that
there is one way from rows to groups.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from cibench.metrics.groups import Group
from cibench.model.types import Array
from cibench.storage import shards
from cibench.storage.schema import CELL, FINE, SCORED, STATUSES
from cibench.storage.shards import coded
from cibench.utils.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

FAILURES = tuple(status for status in STATUSES if status not in FINE)
"""The statuses that count as failures."""

NUMBERS = (
    "truth", "truth_mcse", "estimate", "std_error", "ci_low", "ci_high", "outside", "band_low",
    "band_high", "passed", "pit", "crps", "seconds",
)  # fmt: skip
NEEDED = (*SCORED, "replicate", "refit", "status", *NUMBERS)
TEXTS = (
    "kind", "scenario", "dial", "dials", "parameters", "options", "estimator", "estimand", "status",
)  # fmt: skip

_FLAGS = {"ok": ("ok",), "failed": FAILURES, "declined": ("declined",)}


@dataclass(frozen=True)
class Part:
    """Hold groups of rows with their `SCORED` keys; `firsts` are the rows where they begin."""

    keys: pa.Table
    firsts: Array
    groups: Sequence[Group]

    @cached_property
    def names(self) -> list[dict[str, Any]]:
        """Return each group's keys, None for null."""
        names: list[dict[str, Any]] = self.keys.to_pylist()
        return names


def check(names: Collection[str]) -> None:
    """Raise BadInput unless all columns that scoring needs are among the names."""
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise BadInput(
            f"the replicate table lacks columns: {', '.join(missing)}; "
            "was it written by another version of cibench?"
        )


def arrow(rows: pd.DataFrame) -> pa.Table:
    """Return the columns of a DataFrame that scoring needs as an Arrow table."""
    import pyarrow as pa

    columns = {}
    for name in NEEDED:
        try:
            columns[name] = pa.Array.from_pandas(rows[name])
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise BadInput(f"the replicate table's column {name} is mixed: {error}") from error
    return pa.table(columns)


def cut(table: pa.Table, numbers: Collection[str] = NUMBERS) -> Part:
    """Cut a table into groups of equal `SCORED` keys, in order of first appearance.

    Groups have `numbers` for columns, the replicate and what the status says.
    Repeated fits of a data set (`refit` above zero) are left out. Raises BadInput where a
    replicate is there twice, a status is unknown or a column does not hold numbers.
    """
    import pyarrow as pa

    rows = np.flatnonzero(np.nan_to_num(_floats(table, "refit")) == 0)
    if rows.size != table.num_rows:
        table = table.take(pa.array(rows))
    codes, firsts = _codes(table)
    replicate = _floats(table, "replicate")
    order = _in_order(codes, replicate)
    _refuse_twins(codes[order], replicate[order])
    columns = {name: _floats(table, name)[order] for name in numbers}
    columns |= {name: flag[order] for name, flag in _flags(table).items()}
    columns["replicate"] = replicate[order]
    if "outside" in columns:  # null is an ordinary interval
        columns["outside"] = (columns["outside"] == 1).astype(float)
    cuts = np.cumsum(np.bincount(codes, minlength=firsts.size))[:-1]
    pieces = {name: np.split(column, cuts) for name, column in columns.items()}
    groups = [{n: piece[i] for n, piece in pieces.items()} for i in range(firsts.size)]
    keys = table.select(list(SCORED)).take(pa.array(firsts, pa.int64()))
    return Part(keys, rows[firsts], groups)


def _codes(table: pa.Table) -> tuple[Array, Array]:
    """Give the keys numbers in order of first appearance, and say where each appears first."""
    import pandas as pd

    codes = np.zeros(table.num_rows, dtype=np.int64)
    for name in SCORED:
        values, own = coded(table, name)
        if own.size and (own != own[0]).any():
            codes = pd.factorize(codes * (len(values) + 1) + own + 1)[0]
    if not codes.size:
        return codes, codes
    # Numbers grow as keys appear, so that each begins where the highest so far is passed.
    firsts = np.flatnonzero(np.diff(np.maximum.accumulate(codes), prepend=-1))
    return codes, firsts


def _in_order(codes: Array, replicate: Array) -> Array:
    """Return the order by group and replicate; a sum depends on the order."""
    if (np.diff(replicate) >= 0).all():  # as shards have it: only the groups are to be parted
        small = codes.astype(np.uint16) if codes.size and codes.max() < 2**16 else codes
        return np.argsort(small, kind="stable")
    return np.lexsort((replicate, codes))


def _flags(table: pa.Table) -> dict[str, Array]:
    """Say of each row whether it was answered, failed or declined."""
    statuses, own = coded(table, "status")
    if own.size and (own.min() < 0 or not set(statuses) <= set(STATUSES)):
        found = next((s for s in statuses if s not in STATUSES), None)
        raise BadInput(f"the replicate table holds an unknown status: {found!r}")
    return {f: np.array([s in meant for s in statuses], bool)[own] for f, meant in _FLAGS.items()}


def _refuse_twins(codes: Array, replicate: Array) -> None:
    twins = int(((codes[1:] == codes[:-1]) & (replicate[1:] == replicate[:-1])).sum())
    if twins:
        raise BadInput(f"the replicate table holds {twins} replicates more than once")


def _floats(table: pa.Table, name: str) -> Array:
    """Return a column as floats, NaN for null."""
    import pyarrow as pa

    try:
        column = table[name].cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BadInput(f"the replicate table's column {name} does not hold numbers") from error
    return np.asarray(column.to_numpy())


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
