"""Put two tables of replicate rows side by side: by cell and estimator, then by replicate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.metrics.groups import Group
from cibench.model.types import Array
from cibench.storage.groups import NEEDED, NUMBERS, cut
from cibench.storage.reader import read_table
from cibench.storage.schema import LATER, SCORED
from cibench.utils.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["ALSO", "COLUMNS", "NUMBERS", "SCORED", "as_table", "read_rows", "schema"]

ALSO = ("df", "statistic")

COLUMNS = (*NEEDED, *ALSO, "data_hash")
"""The columns of a replicate table that a comparison needs: all but the words."""


def schema() -> pa.Schema:
    """Return the declared schema of these columns."""
    import pyarrow as pa

    from cibench.storage import schema as rows

    declared = rows.schema()
    return pa.schema([declared.field(name) for name in COLUMNS])


def read_rows(where: Path) -> pa.Table:
    """Return the rows of a run folder or a Parquet file, repeated fits of a data set left out.

    `data_hash` is whole: a DataFrame would round it. Raises BadInput where something is not
    readable or the columns are not of the declared schema.
    """
    import pyarrow.compute as pc

    rows = conforming(read_table(where, None), str(where))
    return rows.filter(pc.equal(rows["refit"], 0))


def as_table(rows: pd.DataFrame) -> pa.Table:
    """Return the rows of a DataFrame; raises BadInput as `read_rows`."""
    import pyarrow as pa

    there = [name for name in COLUMNS if name in rows.columns]
    fields = pa.schema([schema().field(name) for name in there])
    try:
        table = pa.Table.from_pandas(rows[there], fields, preserve_index=False)
    except pa.ArrowException as error:
        raise BadInput(f"the replicate table: another schema: {error}") from error
    return conforming(table, "the replicate table")


def conforming(table: pa.Table, where: str) -> pa.Table:
    """Return the columns that a comparison needs, as declared; raises BadInput as `read_rows`."""
    import pyarrow as pa

    for name in LATER:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(table.num_rows, pa.string()))
    if missing := [name for name in COLUMNS if name not in table.column_names]:
        raise BadInput(f"{where}: another schema: it lacks {', '.join(missing)}")
    try:
        return table.select(list(COLUMNS)).cast(schema())
    except (pa.ArrowException, ValueError) as error:
        raise BadInput(f"{where}: another schema: {error}") from error


HASH = ("hash_high", "hash_low")
"""The two halves of `data_hash`: a column of floats does not hold 64 bits."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Hold what one estimator answered in one cell, before and after.

    `names` are the `SCORED` keys. With `paired` both groups hold the same replicates in the same
    order. `why` says why the two cannot be compared, "" where they can.
    """

    names: Mapping[str, Any]
    before: Group
    after: Group
    paired: bool
    why: str = ""

    @property
    def key(self) -> tuple[Any, ...]:
        """Return the keys as a tuple."""
        return tuple(self.names[name] for name in SCORED)


def pairs(before: pa.Table, after: pa.Table, *, paired: bool = True) -> list[Pair]:
    """Return a pair for every cell and estimator of either table, in order of first appearance.

    With `paired`, replicates are matched by number, and their data and truths verified to be the
    same; only replicates of both tables are kept. Without it each side keeps all that it has.
    """
    old, new = _groups(before), _groups(after)
    matched = []
    for key, names in {**_names(old), **_names(new)}.items():
        left, right = old.get(key), new.get(key)
        if left is None or right is None:
            side = "baseline" if left is None else "new run"
            present = left or right
            assert present is not None
            matched.append(Pair(names, present[1], present[1], paired, f"the {side} lacks it"))
        elif paired:
            matched.append(_matched(names, left[1], right[1]))
        else:
            matched.append(
                Pair(names, left[1], right[1], paired=False, why=_truths(left[1], right[1]))
            )
    return matched


Groups = Mapping[tuple[Any, ...], tuple[dict[str, Any], Group]]


def _names(groups: Groups) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {key: names for key, (names, _) in groups.items()}


def _groups(table: pa.Table) -> Groups:
    import pyarrow.compute as pc

    whole = table["data_hash"]
    halves = pc.shift_right(whole, 32), pc.bit_wise_and(whole, 0xFFFFFFFF)
    for name, half in zip(HASH, halves, strict=True):
        table = table.append_column(name, half)
    part = cut(table, (*NUMBERS, *ALSO, *HASH))
    return {
        tuple(names[name] for name in SCORED): (names, group)
        for names, group in zip(part.names, part.groups, strict=True)
    }


def _matched(names: Mapping[str, Any], before: Group, after: Group) -> Pair:
    _, here, there = np.intersect1d(
        before["replicate"], after["replicate"], assume_unique=True, return_indices=True
    )
    left, right = _rows(before, here), _rows(after, there)
    if not here.size:
        return Pair(names, before, after, paired=True, why="no replicate is in both")
    return Pair(names, left, right, paired=True, why=_data(left, right) or _truths(left, right))


def _rows(group: Group, rows: Array) -> Group:
    return {name: column[rows] for name, column in group.items()}


def _data(before: Group, after: Group) -> str:
    """Say how many replicates had other data, "" where none had."""
    differ = np.zeros(before["replicate"].size, dtype=bool)
    for name in HASH:
        differ |= ~_same(before[name], after[name])
    if not differ.any():
        return ""
    first = int(before["replicate"][differ][0])
    return (
        f"the data of {int(differ.sum())} of {differ.size} replicates differ (the first is "
        f"{first}): the scenario, or a library that it draws with, has changed"
    )


def _truths(before: Group, after: Group) -> str:
    """Say that the truth moved, "" where it did not; one that varies by replicate is of the data.

    A truth found by simulation may move within three of the errors that the two have.
    """
    old, new = before["truth"], after["truth"]
    if not old.size or not new.size or np.isnan(old).all() or np.isnan(new).all():
        return ""
    if np.ptp(old) > 0 or np.ptp(new) > 0:
        same = old.size != new.size or _same(old, new).all()
        return "" if same else "the truths of the same data differ"
    errors = (np.nan_to_num(group["truth_mcse"][0]) for group in (before, after))
    doubt = 3 * np.hypot(*errors)
    if abs(old[0] - new[0]) <= max(doubt, 1e-12 * abs(old[0])):
        return ""
    return f"the truth moved from {old[0]:g} to {new[0]:g}"


def _same(first: Array, other: Array) -> Array:
    return np.asarray((first == other) | (np.isnan(first) & np.isnan(other)))


def typical_seconds(seconds: Array) -> float:
    """Return the median of what fits took, NaN where nobody knows of any."""
    known = seconds[~np.isnan(seconds)]
    return float(np.median(known)) if known.size else float("nan")
