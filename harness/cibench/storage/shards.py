"""Shards: Parquet files of replicate rows, each of one cell, each put in place whole.

A shard grows: a longer version takes the place of the shorter one in one step, until it is full
and the next one begins. So at every moment the folder holds each row once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.model.types import Array
from cibench.utils.errors import BadInput
from cibench.utils.files import write_atomically

if TYPE_CHECKING:
    import pyarrow as pa

REPLICATES = "replicates"


def place(run: Path, cell: int, part: int) -> Path:
    """Return the path of a shard; shards of a cell are neighbours by name, in suite order."""
    return run / REPLICATES / f"cell-{cell:05d}-{part:05d}.parquet"


_NAME = re.compile(r"cell-(\d{5,})-\d{5,}\.parquet")


def cell_of(path: Path) -> int:
    """Return the place in the suite of a shard's cell, as its name says it, or else -1."""
    match = _NAME.fullmatch(path.name)
    return int(match[1]) if match else -1


def paths(run: Path) -> list[Path]:
    """Return the shards of a run folder in order."""
    return sorted((run / REPLICATES).glob("[!.]*.parquet"))


def paths_of(run: Path, cell: int) -> list[Path]:
    """Return the shards of one cell in order."""
    return sorted((run / REPLICATES).glob(f"cell-{cell:05d}-*.parquet"))


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
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(
            path, read_dictionary=list(dictionaries), page_checksum_verification=True
        ) as shard:
            lacking = [name for name in columns or () if name not in shard.schema_arrow.names]
            if lacking:
                raise BadInput(
                    f"{path}: the replicate table lacks columns: {', '.join(lacking)}; "
                    "was it written by another version of cibench?"
                )
            table = shard.read(
                columns=None if columns is None else list(columns), use_threads=False
            )
            return table.unify_dictionaries()
    except (OSError, pa.ArrowException) as error:
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"{path}: not readable: {detail}") from error


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


def coded(table: pa.Table, name: str) -> tuple[list[Any], Array]:
    """Return the distinct values of a column and the place of each row's, -1 for null."""
    encoded = table[name].combine_chunks().dictionary_encode()
    own = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return encoded.dictionary.to_pylist(), own.astype(np.int64)


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
