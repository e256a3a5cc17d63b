"""Replicate rows that tests write by hand, under the declared schema."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.storage import cells, shard_checks, shards
from cibench.storage.schema import MAY_DIFFER, OF_UNITS, TYPES, schema
from cibench.storage.shards import Span

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def mark_stored(run: Path) -> None:
    """Note in all rows of a run, where they may differ, that they were stored before."""
    import pyarrow as pa

    for path in shards.paths(run):
        table = shards.read(path)
        place = table.schema.get_field_index("seconds")
        marks = pa.array([-1.0] * table.num_rows, pa.float64())
        shards.write(path, table.set_column(place, table.schema.field(place), marks))


def put_apart(run: Path, parts: int = 1) -> None:
    """Give every cell of a run so many shards of its own, as large ones have them."""
    tables = [cell.table.select(list(TYPES)) for cell in cells(run, also=TYPES)]
    for path in shards.paths(run):
        path.unlink()
    for place, table in enumerate(tables):
        cuts = [table.num_rows * part // parts for part in range(parts + 1)]
        for part, (start, end) in enumerate(pairwise(cuts)):
            rows = shard_checks.decoded(table.slice(start, end - start), ())
            shards.write(shards.place(run, Span(place, place), part), rows.cast(schema()))


Z = 1.959963984540054
PLAIN = {
    "kind": "estimate", "scenario": "test/cell", "dials": "{}", "n": 100, "parameters": "{}",
    "options": "{}", "refit": 0, "estimator": "test/a", "estimand": "ATE", "level": 0.95,
    "truth": 2.0, "truth_mcse": 0.0, "outside": False, "status": "ok", "seconds": 0.5,
}  # fmt: skip
"""What a row holds where nothing else is said; the columns that are not here are null."""

ANSWER = (
    "estimate", "std_error", "df", "ci_low", "ci_high", "band_low", "band_high", "p_value",
    "statistic", "pit", "crps", *OF_UNITS, "drift",
)  # fmt: skip


def replicate_arrow(
    estimate: Any = nan, std_error: Any = None, *, reach: float = Z, blank: bool = False,
    **columns: Any,
) -> pa.Table:  # fmt: skip
    """Return one estimator's replicates in one cell, as many rows as the longest column has.

    A standard error is 1 where nothing is said and null where there is no estimate. Limits lie
    `reach` standard errors about the estimate, replicates are numbered from 0 and their data hashes
    differ by less than a float can tell, unless `columns` (scalars, or one value a row) say
    otherwise. With `blank` a row whose status is not ok holds no answer, as in a run; without,
    numbers stay there that nobody may look at.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    estimate = np.asarray(estimate, dtype=float)
    if std_error is None:
        std_error = nan if np.isnan(estimate).all() else 1.0
    std_error = np.asarray(std_error, dtype=float)
    given: dict[str, Any] = {"estimate": estimate, "std_error": std_error, **columns}
    rows = max(np.size(value) for value in given.values())
    filled = PLAIN | {
        "ci_low": estimate - reach * std_error, "ci_high": estimate + reach * std_error,
        "replicate": np.arange(rows), "data_hash": 2**62 + np.arange(rows),
    } | given  # fmt: skip
    unknown = set(filled) - set(schema().names)
    assert not unknown, f"no columns of a replicate row: {sorted(unknown)}"
    lost = np.broadcast_to(np.asarray(filled["status"]) != "ok", rows) & blank
    arrays = []
    for field in schema():
        column = _column(filled.get(field.name), field.type, rows)
        if field.name in ANSWER and lost.any():
            column = pc.if_else(pa.array(lost), None, column)
        arrays.append(column)
    return pa.table(arrays, schema=schema())


def _column(value: Any, kind: pa.DataType, rows: int) -> pa.Array:
    import pyarrow as pa

    if np.ndim(value) == 0:
        scalar = value.item() if isinstance(value, np.generic | np.ndarray) else value
        one = pa.array([scalar], kind, from_pandas=True)
        return one.take(pa.array(np.zeros(rows, dtype=np.int64)))
    return pa.array(value, kind, from_pandas=True)


def replicate_table(*answers: Any, **columns: Any) -> pd.DataFrame:
    """Return what `replicate_arrow` makes of the same arguments, as a run's table is read."""
    return replicate_arrow(*answers, **columns).to_pandas()


def joined(*parts: pd.DataFrame) -> pd.DataFrame:
    """Return several estimators, cells or refits as one table."""
    import pandas as pd

    return pd.concat(parts, ignore_index=True)


def write_replicates(folder: Path, *tables: pd.DataFrame) -> Path:
    """Write each table as one shard of the run in `folder`, and return the folder."""
    import pyarrow as pa

    (folder / "replicates").mkdir(exist_ok=True)
    for i, table in enumerate(tables):
        shard = pa.Table.from_pandas(table, schema=schema(), preserve_index=False)
        shards.write(folder / "replicates" / f"cell-{i:05d}.parquet", shard)
    return folder


def stable(rows: pd.DataFrame, order: Sequence[str] = ()) -> pd.DataFrame:
    """Return rows without what may differ between two runs, sorted by some columns if asked."""
    kept = rows.drop(columns=list(MAY_DIFFER))
    return (kept.sort_values(list(order)) if order else kept).reset_index(drop=True)


def assert_same_rows(
    one: pd.DataFrame, two: pd.DataFrame, *, order: Sequence[str] = (), check_dtype: bool = True
) -> None:
    """Assert that two runs have the same rows to the bit, but for what may differ."""
    import pandas as pd

    tables = (stable(rows, order) for rows in (one, two))
    pd.testing.assert_frame_equal(*tables, check_exact=True, check_dtype=check_dtype)
