"""Read replicate rows for a comparison, exactly: pandas rounds `data_hash` where one is null."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cibench.errors import BadInput
from cibench.rows import SCORED
from cibench.scoring.cutting import NEEDED, NUMBERS

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["ALSO", "COLUMNS", "NUMBERS", "SCORED", "as_table", "read_rows", "schema"]

ALSO = ("df", "p_value", "statistic")

COLUMNS = (*NEEDED, *ALSO, "data_hash")
"""The columns of a replicate table that a comparison needs: all but the words."""


def schema() -> pa.Schema:
    """Return the declared schema of these columns."""
    import pyarrow as pa

    from cibench import rows

    declared = rows.schema()
    return pa.schema([declared.field(name) for name in COLUMNS])


def read_rows(path: Path) -> pa.Table:
    """Return the rows of a Parquet file or a folder of them, repeated fits of a data set left out.

    Raises BadInput where nothing is readable or the columns are not of the declared schema.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        rows = _declared(pq.read_table(path), str(path))
        return rows.filter(pc.equal(rows["refit"], 0))
    except (OSError, pa.ArrowException) as error:
        raise BadInput(f"{path}: not readable: {error}") from error


def as_table(rows: pd.DataFrame) -> pa.Table:
    """Return the rows of a DataFrame; raises BadInput as `read_rows`."""
    import pyarrow as pa

    there = [name for name in COLUMNS if name in rows.columns]
    fields = pa.schema([schema().field(name) for name in there])
    try:
        table = pa.Table.from_pandas(rows[there], fields, preserve_index=False)
    except pa.ArrowException as error:
        raise BadInput(f"the replicate table: another schema: {error}") from error
    return _declared(table, "the replicate table")


def _declared(table: pa.Table, where: str) -> pa.Table:
    import pyarrow as pa

    if missing := [name for name in COLUMNS if name not in table.column_names]:
        raise BadInput(f"{where}: another schema: it lacks {', '.join(missing)}")
    try:
        return table.select(list(COLUMNS)).cast(schema())
    except (pa.ArrowException, ValueError) as error:
        raise BadInput(f"{where}: another schema: {error}") from error
