"""Cut replicate rows into groups of one estimator and target, each in replicate order.

Rows come as an Arrow table: a shard is read as one, and a DataFrame is turned into one, so that
there is one way from rows to groups.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.metrics.groups import Group
from cibench.metrics.scales import is_scale, on_scale
from cibench.model.types import Array
from cibench.storage.schema import FINE, LATER, OF_UNITS, SCORED, STATUSES
from cibench.storage.shards import coded, combinations
from cibench.utils.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

FAILURES = tuple(status for status in STATUSES if status not in FINE)
"""The statuses that count as failures."""

NUMBERS = (
    "truth", "truth_mcse", "estimate", "std_error", "ci_low", "ci_high", "outside", "band_low",
    "band_high", "p_value", "passed", "pit", "crps", *OF_UNITS, "drift", "seconds",
)  # fmt: skip
NEEDED = (*SCORED, "replicate", "refit", "status", *NUMBERS)
"""The columns that scoring needs."""

_FLAGS = {"ok": ("ok",), "failed": FAILURES, "declined": ("declined",)}


@dataclass(frozen=True)
class Part:
    """Hold groups of rows with their `SCORED` keys."""

    keys: pa.Table
    groups: Sequence[Group]

    @cached_property
    def names(self) -> list[dict[str, Any]]:
        """Return each group's keys, None for null."""
        names: list[dict[str, Any]] = self.keys.to_pylist()
        return names


def check(names: Collection[str], also: Collection[str] = ()) -> None:
    """Raise BadInput unless all columns that scoring needs, and `also` those, are there."""
    missing = [n for n in (*NEEDED, *also) if n not in names and n not in LATER]
    if missing:
        raise BadInput(
            f"the replicate table lacks columns: {', '.join(missing)}; "
            "was it written by another version of cibench?"
        )


def as_table(rows: pd.DataFrame, also: Collection[str] = ()) -> pa.Table:
    """Return the columns of a DataFrame that scoring needs, and `also` those, as an Arrow table."""
    import pyarrow as pa

    columns = {}
    for name in (*NEEDED, *also):
        try:
            columns[name] = (
                pa.Array.from_pandas(rows[name])
                if name in rows or name not in LATER
                else pa.nulls(len(rows), pa.string())
            )
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise BadInput(f"the replicate table's column {name} is mixed: {error}") from error
    return pa.table(columns)


def cut(table: pa.Table, numbers: Collection[str] = NUMBERS) -> Part:
    """Cut a table into groups of equal `SCORED` keys, in order of first appearance.

    Groups have `numbers` for columns, the replicate and what the status says; numbers are on the
    scale that the rows name.
    Repeated fits of a data set (`refit` above zero) are left out. Raises BadInput where a
    replicate is there twice, a status is unknown or a column does not hold numbers.
    """
    import pyarrow as pa

    rows = np.flatnonzero(np.nan_to_num(_floats(table, "refit")) == 0)
    if rows.size != table.num_rows:
        table = table.take(pa.array(rows))
    codes, firsts = combinations(table, SCORED)
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
    groups: list[Group] = [{n: piece[i] for n, piece in pieces.items()} for i in range(firsts.size)]
    keys = table.select(list(SCORED)).take(pa.array(firsts, pa.int64()))
    scales = keys["scale"].to_pylist() if keys["scale"].null_count < len(groups) else ()
    for place, scale in enumerate(scales):
        if scale is not None and not is_scale(scale):
            raise BadInput(f"the replicate table names an unknown scale: {scale!r}")
        groups[place] = on_scale(groups[place], scale)
    return Part(keys, groups)


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
        stray = next((s for s in statuses if s not in STATUSES), None)
        raise BadInput(f"the replicate table holds an unknown status: {stray!r}")
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
