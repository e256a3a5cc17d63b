"""Shards: Parquet files of replicate rows, each of one cell or some, each put in place whole.

A shard grows: a longer version takes the place of the shorter one in one step, until it is full
and the next one begins. So at every moment the folder holds each row once. Neighbouring cells share
a shard as long as all that they are to have goes into one, so that there are as many shards as
there are rows, and not as many as there are cells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cibench.model.types import Array
from cibench.storage import shard_checks
from cibench.storage.schema import IDENTITY, LATER, TYPES, schema
from cibench.utils.errors import BadInput
from cibench.utils.files import write_atomically
from cibench.utils.foreign import own_file, require_file

if TYPE_CHECKING:
    import pyarrow as pa

    from cibench.suite.suite import Identity

REPLICATES = "replicates"


class Span(NamedTuple):
    """Say of which cells a shard may have rows: from one place in the suite to another one."""

    first: int
    last: int

    def covers(self, other: Span) -> bool:
        """Say whether all cells of another span lie within."""
        return self.first <= other.first and other.last <= self.last


def place(run: Path, span: Span, part: int) -> Path:
    """Return the path of a shard, by its cells' places in the suite."""
    first, last = span
    cells = f"cell-{first:05d}" if first == last else f"cells-{first:05d}-{last:05d}"
    return run / REPLICATES / f"{cells}-{part:05d}.parquet"


_NAME = re.compile(r"cells?-(\d{5,})(?:-(\d{5,}))?-(\d{5,})\.parquet")


def span_of(path: Path) -> Span | None:
    """Return of which cells a shard may have rows, as its name says it."""
    match = _NAME.fullmatch(path.name)
    return Span(int(match[1]), int(match[2] or match[1])) if match else None


def part_of(path: Path) -> int:
    """Return a shard's number among those of the same cells, which its name ends with."""
    number = path.stem.rpartition("-")[2]
    return int(number) if number.isdecimal() else 0


def paths(run: Path) -> list[Path]:
    """Return the shards of a run folder in order: by cells, as far as names say them."""
    return sorted(own_file(run, REPLICATES).glob("[!.]*.parquet"), key=_order)


def _order(path: Path) -> tuple[bool, Span, int, str]:
    span = span_of(path)
    return span is None, span or Span(0, 0), part_of(path) if span else 0, path.name


def write(path: Path, table: pa.Table) -> None:
    """Put a shard in place, checksums in it."""
    import pyarrow.parquet as pq

    write_atomically(
        path, lambda p: pq.write_table(table, p, compression="zstd", write_page_checksum=True)
    )


def read(
    path: Path, columns: Sequence[str] | None = None, dictionaries: Sequence[str] = ()
) -> pa.Table:
    """Return a shard's rows, some columns or all, those of `dictionaries` encoded as such.

    Raises BadInput naming the shard where it is not readable or lacks a column.
    """
    import pyarrow as pa

    require_file(path)
    try:
        with _opened(path) as shard:
            shard_checks.check_file(shard)
            absent = [name for name in columns or () if name not in shard.schema_arrow.names]
            if lacking := [name for name in absent if name not in LATER]:
                raise BadInput(
                    f"{path}: the replicate table lacks columns: {', '.join(lacking)}; "
                    "was it written by another version of cibench?"
                )
            stored = None if columns is None else [name for name in columns if name not in absent]
            table = _with_blanks(shard.read(columns=stored, use_threads=False), columns)
        return shard_checks.decoded(shard_checks.checked(table), dictionaries)
    except (OSError, ValueError, pa.ArrowException) as error:
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"{path}: not readable: {detail}") from error


def _with_blanks(table: pa.Table, columns: Sequence[str] | None) -> pa.Table:
    """Return the columns in order, those blank that rows of older runs lack."""
    import pyarrow as pa

    wanted = list(columns or table.column_names)
    if columns is None and "estimand" in wanted:
        declared_order = list(TYPES)
        for name in (name for name in declared_order if name in LATER and name not in wanted):
            before = declared_order[: declared_order.index(name)]
            places = [wanted.index(other) + 1 for other in before if other in wanted]
            wanted.insert(max(places, default=len(wanted)), name)
    if wanted == table.column_names:
        return table
    declared = schema()
    arrays = [
        table[name]
        if name in table.column_names
        else pa.nulls(table.num_rows, declared.field(name).type)
        for name in wanted
    ]
    return pa.table(dict(zip(wanted, arrays, strict=True)))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a Parquet file, texts as dictionaries: a small file may repeat a large text.

    Arrow spells names in UTF-8, which is not every locale's character set.
    """
    import pyarrow.parquet as pq

    encoded = [name for name, kind in TYPES.items() if kind == "string"]
    with ExitStack() as files:
        place = path if str(path).isascii() else files.enter_context(path.open("rb"))
        try:
            shard = pq.ParquetFile(place, read_dictionary=encoded, page_checksum_verification=True)
        except KeyError:  # it lacks some of them
            with pq.ParquetFile(place) as whole:
                there = set(whole.schema_arrow.names) & set(whole.schema.names)
            shard = pq.ParquetFile(
                place, read_dictionary=[name for name in encoded if name in there],
                page_checksum_verification=True,
            )  # fmt: skip
        with shard:
            yield shard


def texts(table: pa.Table, name: str) -> Array:
    """Return a column of texts as an array of objects that shares what is equal."""
    values, codes = coded(table, name)
    return np.array(values, dtype=object)[codes]


def places(table: pa.Table, entrants: Sequence[tuple[str, str]]) -> Array:
    """Return the place of each row's estimator and options among the entrants, -1 for none."""
    known = {tuple(entrant): place for place, entrant in enumerate(entrants)}
    (names, name), (options, option) = (coded(table, c) for c in ("estimator", "options"))
    grid = [[known.get((one, with_), -1) for with_ in options] for one in names]
    return np.array(grid, dtype=np.int64).reshape(len(names), len(options))[name, option]


def ascend(*columns: Array) -> bool:
    """Say whether rows ascend by the first column, where it is equal by the second, and so on."""
    equal, fine = np.ones(max(columns[0].size - 1, 0), bool), True
    for column in columns:
        steps = np.diff(column)
        fine &= not (equal & (steps < 0)).any()
        equal &= steps == 0
    return bool(fine)


def coded(table: pa.Table, name: str) -> tuple[list[Any], Array]:
    """Return the distinct values of a column and the place of each row's, -1 for null."""
    encoded = table[name].combine_chunks().dictionary_encode()
    own = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    if len(encoded.dictionary) <= len(own):
        return encoded.dictionary.to_pylist(), own
    used, codes = np.unique(own[own >= 0], return_inverse=True)  # a slice keeps the values of all
    own[own >= 0] = codes
    return encoded.dictionary.take(used).to_pylist(), own


def combinations(table: pa.Table, names: Sequence[str]) -> tuple[Array, Array]:
    """Give the combinations of columns' values numbers in order of first appearance.

    Returns each row's number, and the row where each combination appears first.
    """
    import pandas as pd

    codes = np.zeros(table.num_rows, dtype=np.int64)
    for name in names:
        values, own = coded(table, name)
        if own.size and (own != own[0]).any():
            codes = pd.factorize(codes * (len(values) + 1) + own + 1)[0]
    if not codes.size:
        return codes, codes
    # Numbers grow as combinations appear: each begins where the highest so far is passed.
    firsts = np.flatnonzero(np.diff(np.maximum.accumulate(codes), prepend=-1))
    return codes, firsts


def identities(table: pa.Table) -> tuple[list[Identity], Array]:
    """Return the cells that a table has rows of, and the place of each row's among them."""
    import pyarrow as pa

    codes, firsts = combinations(table, IDENTITY)
    lines = table.select(list(IDENTITY)).take(pa.array(firsts, pa.int64())).to_pylist()
    return [(x["scenario"], x["dials"], x["n"], x["parameters"]) for x in lines], codes
