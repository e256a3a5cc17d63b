"""Files of data sets: columns of numbers and texts out of CSV, Parquet, Stata and npz files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import file_digest
from pathlib import Path

import numpy as np

from cibench.model.types import Array
from cibench.utils.errors import BadInput
from cibench.utils.foreign import read_arrays, read_table
from cibench.utils.near_paths import near_path

ENDINGS = (".csv", ".parquet", ".npz", ".dta")
BINARY = (".parquet", ".npz", ".dta")
"""Endings of files that hold numbers bit by bit."""

Columns = Mapping[str, Array]
State = tuple[str, int, int, int]
"""A file's path, its size and when its content and its entry were last written.

What is cached of a file holds as long. Two files that change places keep the times of their
content, not those of their entries.
"""

WRITTEN = re.compile(r"[-+]?(?P<whole>\d*)\.?(?P<decimals>\d*)(?:[eE](?P<exponent>[-+]?\d+))?")
"""A number as texts have it."""

KEPT = 4
"""Data sets that a process keeps in memory."""


def state_of(path: Path) -> State:
    """Return by what a file is known to be the same; raises BadInput where there is none."""
    try:
        known = path.stat()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}{near_path(path)}") from error
    return str(path), known.st_size, known.st_mtime_ns, known.st_ctime_ns


def columns_of(path: Path) -> Columns:
    """Return the columns of a file by name, a matrix as columns x_1, x_2, ...; raises BadInput."""
    return _columns(state_of(path))


def stack_of(path: Path) -> tuple[Mapping[str, Array], int, int]:
    """Return the arrays of an npz file, and how many units and data sets they have.

    Data sets lie along the last axis: arrays of one axis, and matrices of which the last is of
    another length, are the same in all. Raises BadInput.
    """
    return _stack(state_of(path))


def last_places(path: Path, name: str, column: Array) -> Array:
    """Return to what each number of a file's column is known: a unit in the last place it has.

    That is the last decimal that a CSV file has of it, else the last bit that is stored; whole
    numbers are exact where they are stored. Decimals that end in zeros may lack these, so that a
    column's numbers are taken to have as many decimals, or as many digits, as most are written to.
    """
    stored = np.zeros(len(column))
    if column.dtype.kind == "f":
        stored = np.spacing(np.abs(column)).astype(float)
    return stored if path.suffix.lower() in BINARY else stored + _written(state_of(path), name)


@lru_cache(maxsize=KEPT)
def _written(state: State, name: str) -> Array:
    """Return the unit of the last decimal of each number of a CSV file's column."""
    texts = read_table(Path(state[0]), as_texts=True)[name]
    matches = [WRITTEN.fullmatch(text.strip()) for text in texts]
    parts = [match.group("whole", "decimals", "exponent") if match else None for match in matches]
    finest, digits = 0, 1
    leading = np.full(len(parts), -np.inf)  # the power of ten of each number's first digit
    for row, part in enumerate(parts):
        if part is None:
            continue
        whole, decimals, shift = part[0] or "", part[1] or "", int(part[2] or 0)
        significant = (whole + decimals).lstrip("0")
        finest = max(finest, len(decimals) - shift)
        digits = max(digits, len(significant))
        if significant:
            leading[row] = len(significant) - 1 - len(decimals) + shift
    powers: Array = np.maximum(leading - digits + 1, -float(finest))
    return 10.0**powers


def content_digest(path: Path) -> bytes:
    """Return the digest of a file's bytes."""
    return _digest(state_of(path))


@lru_cache(maxsize=100_000)
def _digest(state: State) -> bytes:
    with Path(state[0]).open("rb") as file:
        return file_digest(file, "blake2b").digest()


@lru_cache(maxsize=KEPT)
def _columns(state: State) -> Columns:
    path = Path(state[0])
    if path.suffix.lower() == ".npz":
        return as_columns(_arrays(path), str(path))
    table = read_table(path, exact=True)
    return {str(name): table[name].to_numpy() for name in table.columns}


@lru_cache(maxsize=KEPT)
def _stack(state: State) -> tuple[Mapping[str, Array], int, int]:
    path = Path(state[0])
    if path.suffix.lower() != ".npz":
        raise BadInput(f"{path}: data sets along the last axis are in npz files only")
    arrays = _arrays(path)
    deepest = max((array.ndim for array in arrays.values()), default=0)
    counts = {array.shape[-1] for array in arrays.values() if array.ndim == deepest > 1}
    if len(counts) != 1:
        raise BadInput(f"{path}: its arrays do not agree on the number of data sets")
    (count,) = counts
    return arrays, len(next(iter(arrays.values()))), count


def _arrays(path: Path) -> dict[str, Array]:
    """Return the arrays of a file that have rows, all of them the same number."""
    arrays = {name: array for name, array in read_arrays(path).items() if array.ndim}
    require_equal_lengths(((name, len(array)) for name, array in arrays.items()), str(path))
    return arrays


def require_equal_lengths(lengths: Iterable[tuple[str, int]], where: str) -> None:
    """Raise BadInput where columns have not all as many rows as the first."""
    (first, rows), *others = list(lengths) or [("", 0)]
    if not rows:
        raise BadInput(f"{where}: it has no rows")
    for name, count in others:
        if count != rows:
            raise BadInput(f"{where}: '{first}' has {rows:,} rows, '{name}' {count:,}")


def as_columns(
    arrays: Mapping[str, Array], where: str, place: int = -1, count: int = -1
) -> Columns:
    """Return arrays as columns, of the data set at a `place` of `count` along the last axis."""
    columns: dict[str, Array] = {}
    for name, whole in arrays.items():
        stacked = whole.ndim > 1 and whole.shape[-1] == count
        array = whole[..., place] if stacked else whole
        if array.ndim == 1:
            columns[name] = array
        elif array.ndim == 2:
            columns |= {f"{name}_{j + 1}": array[:, j] for j in range(array.shape[1])}
        else:
            raise BadInput(
                f"{where}: '{name}' has {array.ndim} axes; `along = \"last-axis\"` says that data "
                "sets lie along the last"
            )
    return columns


def in_natural_order(paths: Iterable[Path]) -> list[Path]:
    """Sort files as people count them: zymu_2 before zymu_10."""

    def key(path: Path) -> list[tuple[int, int, str]]:
        parts = re.split(r"(\d+)", path.as_posix())
        return [(int(bool(i % 2)), int(p) if i % 2 else 0, p) for i, p in enumerate(parts)]

    return sorted(paths, key=key)
