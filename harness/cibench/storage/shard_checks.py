"""What a stranger's shard may hold: columns of the declared kinds, within bounds, texts of ours.

What is wrong is a ValueError in words: whoever reads the shard says which it is. A file is looked
at before its rows are read, since a few hundred bytes can declare 10^12 of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.storage.note_shapes import is_settings
from cibench.storage.schema import STATUSES, TYPES, schema
from cibench.utils.shapes import LONGEST_NAME, ORDINARY, is_count, is_name, is_plain

if TYPE_CHECKING:
    import pyarrow as pa

MOST_ROWS = 10_000_000
"""Rows of one shard; ours have a hundredth of it."""

MOST_COLUMNS = 1_000
MOST_GROUPS = 10_000
MOST_BYTES = 4_000_000_000
"""Bytes of a shard's rows in memory."""

LONGEST_TEXT = 100_000
"""Letters of one text."""

WHOLE = ("scenario", "dials", "n", "parameters", "options", "estimator", "replicate", "refit",
         "status")  # fmt: skip
"""The columns that have a value in every row."""

SETTINGS = ("dials", "parameters", "options")
NAMES = ("scenario", "estimator", "estimand", "dial", "group", "label")
"""Names that commands repeat, where one that begins with a hyphen would be an option."""

COUNTS = ("n", "replicate", "refit")
STATED = ("setting", "truth", "truth_mcse")
ANSWERS = ("estimate", "std_error", "ci_low", "ci_high", "band_low", "band_high", "pit", "crps")


def check_file(shard: Any) -> None:
    """Raise ValueError where a Parquet file is larger than a shard, or has columns of no kind."""
    about = shard.metadata
    for number, most, what in (
        (about.num_rows, MOST_ROWS, "rows"), (about.num_columns, MOST_COLUMNS, "columns"),
        (about.num_row_groups, MOST_GROUPS, "groups of rows"),
    ):  # fmt: skip
        if not 0 <= number <= most:
            raise ValueError(f"it declares {number:,} {what}; a shard has {most:,} at most")
    size = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    if not 0 <= size <= MOST_BYTES:
        raise ValueError(f"it declares {size:,} bytes of rows; a shard has {MOST_BYTES:,} at most")
    for field in shard.schema_arrow:
        check_kind(field)


def check_kind(field: pa.Field) -> None:
    """Raise ValueError for a column whose values are not of the kind that its name says."""
    import pyarrow.types as kinds

    kind, declared = field.type, TYPES.get(field.name)
    if kinds.is_dictionary(kind):
        kind = kind.value_type
    text = kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind)
    number = kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind)
    fits = text if declared == "string" else number if declared else text or number
    if not (fits or kinds.is_null(kind)):
        raise ValueError(f"its column {field.name!r} holds {field.type}, not {declared or 'cells'}")


def checked(table: pa.Table) -> pa.Table:
    """Return rows in the declared types, texts encoded as dictionaries.

    Raises ValueError for what no row of ours holds, and where bytes make no table.
    """
    table.validate(full=True)
    table = _as_declared(table.unify_dictionaries())
    _check_rows(table)
    return table


def _as_declared(table: pa.Table) -> pa.Table:
    import pyarrow as pa

    declared = schema()
    for place, field in enumerate(table.schema):
        if TYPES.get(field.name) not in (None, "string") or pa.types.is_null(field.type):
            wanted = declared.field(field.name).type if field.name in TYPES else field.type
            if field.type != wanted:
                table = table.set_column(place, field.name, table[field.name].cast(wanted))
    return table


def _check_rows(table: pa.Table) -> None:
    import pyarrow as pa

    for name in table.column_names:
        column = table[name]
        if name in WHOLE and column.null_count:
            raise ValueError(f"its column '{name}' has no value in {column.null_count:,} rows")
        if pa.types.is_dictionary(column.type):
            for part in column.chunks:
                _check_texts(name, part.dictionary.to_pylist(), table.num_rows)
        elif name in COUNTS:
            _check_counts(name, column)
        elif name in STATED:
            _check_ordinary(name, column, -ORDINARY, ORDINARY)
        elif name == "level":
            _check_ordinary(name, column, 1e-9, 1 - 1e-9)


def _check_texts(name: str, texts: Sequence[Any], rows: int) -> None:
    longest = max((len(text) for text in texts if isinstance(text, str)), default=0)
    if longest > LONGEST_TEXT or longest * rows > MOST_BYTES:
        raise ValueError(f"its column '{name}' holds a text of {longest:,} letters")
    if name in ("reason", "warnings"):  # whatever libraries say; shown, and never a name
        return
    for text in texts:
        settings = name in SETTINGS and isinstance(text, str)
        if not is_plain(text) or (settings and not is_settings(text, numbers=name == "dials")):
            kind = "JSON of settings" if name in SETTINGS else "a name"
            raise ValueError(f"its column '{name}' holds {str(text)[:80]!r}, which is not {kind}")
        if len(text) > LONGEST_NAME and name not in SETTINGS:
            raise ValueError(f"its column '{name}' holds a name of {len(text):,} letters")
        if name in NAMES and not is_name(text):
            raise ValueError(f"its column '{name}' holds {text[:80]!r}, which is not a name")
        if name == "status" and text not in STATUSES:
            raise ValueError(f"the replicate table holds an unknown status: {text!r}")


def _check_counts(name: str, column: Any) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        ends = pc.min_max(column.cast(pa.int64())).as_py() if len(column) else {}
    except pa.ArrowException as error:
        raise ValueError(f"its column '{name}' does not hold whole numbers") from error
    if not all(is_count(end) for end in ends.values()):
        raise ValueError(f"its column '{name}' goes from {ends['min']} to {ends['max']}")


def _check_ordinary(name: str, column: Any, low: float, high: float) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = column.cast(pa.float64())
    known = numbers.filter(pc.fill_null(pc.invert(pc.is_nan(numbers)), False))
    ends = pc.min_max(known).as_py() if len(known) else {}
    if not all(low <= end <= high for end in ends.values()):
        raise ValueError(f"its column '{name}' goes from {ends['min']:g} to {ends['max']:g}")


def without_huge(table: pa.Table) -> pa.Table:
    """Return rows in which an answer that has no square is none, as workers have it by now.

    Its status is "nonfinite" and its numbers are null. Rows without statuses stay as they are.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if "status" not in table.column_names:
        return table
    answers = [name for name in ANSWERS if name in table.column_names]
    huge = np.zeros(table.num_rows, dtype=bool)
    for name in answers:
        numbers = table[name].cast(pa.float64()).to_numpy()
        huge |= np.isfinite(numbers) & (np.abs(numbers) > ORDINARY)
    if not huge.any():
        return table
    mask = pa.array(huge)
    for name in (*answers, "status"):
        column, place = table[name], table.column_names.index(name)
        if name == "status":
            statuses = pc.if_else(mask, "nonfinite", column.cast(pa.string()))
            changed = statuses.cast(column.type)
        else:
            changed = pc.if_else(mask, pa.scalar(None, column.type), column)
        table = table.set_column(place, name, changed)
    return table


def decoded(table: pa.Table, encoded: Sequence[str]) -> pa.Table:
    """Return a table with texts as texts, but for those that are to stay encoded."""
    import pyarrow as pa

    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type) and field.name not in encoded:
            plain = table[field.name].cast(field.type.value_type)
            table = table.set_column(place, pa.field(field.name, plain.type), plain)
    return table
