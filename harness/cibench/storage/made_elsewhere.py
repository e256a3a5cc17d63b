"""Run folders whose rows somebody's own loop made: what their notes say, and that nothing runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cibench.metrics.registry import ERRORS
from cibench.storage import manifest, provenance, shards
from cibench.storage.schema import schema
from cibench.storage.shard_checks import checked
from cibench.suite.rows_elsewhere import MADE_ELSEWHERE as KEY
from cibench.suite.rows_elsewhere import nothing_to_run
from cibench.utils.errors import BadInput
from cibench.utils.files import (
    check_new,
    csv_text,
    json_text,
    make_folder,
    prepared_folder,
    put_folder,
)
from cibench.utils.shapes import TEXT, check
from cibench.utils.toml import to_toml

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SHARD = "estimates.parquet"

DATA_SETS = "data_sets.csv"
"""What the table calls the data sets, where that is no number."""


@dataclass(frozen=True)
class Origin:
    """Say whose rows they are: a name, the file, the nominal level, how errors are computed.

    `limits` says how limits were made, where the table had none.
    """

    name: str
    source: str
    level: float
    errors: str
    limits: str = ""

    def __post_init__(self) -> None:
        if self.errors not in ERRORS:
            raise BadInput(f"errors: '{self.errors}' is none of {', '.join(ERRORS)}")
        if not 0 < self.level < 1:
            raise BadInput(f"level: {self.level} is not between 0 and 1")
        if not self.name.strip():
            raise BadInput("name: it is empty")


def write_run(
    folder: Path, rows: pd.DataFrame, origin: Origin, dials: Mapping[str, float],
    data_sets: Sequence[str] = (),
) -> None:  # fmt: skip
    """Write rows and notes as a run folder, whole or not at all.

    `data_sets` are what the table calls those whose replicates are only numbered. Raises BadInput
    where there is something in the folder, and for rows and names that whoever reads it would
    refuse.
    """
    import pyarrow as pa

    if manifest.holds_run(folder):
        raise BadInput(f"{folder} holds a run; name another with --out, or remove it")
    check_new(folder)
    table = pa.Table.from_pandas(rows, schema=schema(), preserve_index=False)
    check(origin.name, TEXT, "name")
    try:
        checked(_encoded(table))
    except ValueError as error:
        raise BadInput(f"{origin.source or 'the table'}: {error}") from error
    spec = {KEY: origin.source, "name": origin.name, "level": origin.level}
    if origin.errors != ERRORS[0]:
        spec["errors"] = origin.errors
    notes = {
        manifest.SUITE: to_toml(spec),
        manifest.CATALOGUE: json_text(_catalogue(rows, origin, dials)),
        manifest.MANIFEST: json_text(_manifest(rows, origin)),
    }
    if data_sets:
        notes[DATA_SETS] = csv_text([("replicate", "data_set"), *enumerate(data_sets)])
    with prepared_folder(folder, notes) as coming:
        make_folder(coming / shards.REPLICATES)
        shards.write(coming / shards.REPLICATES / SHARD, table)
        put_folder(coming, folder)


def _encoded(table: pa.Table) -> pa.Table:
    """Return rows as they are read, texts encoded as dictionaries: so they are looked at."""
    import pyarrow as pa

    columns = [
        column.dictionary_encode() if pa.types.is_string(column.type) else column
        for column in table.columns
    ]
    return pa.table(columns, names=table.column_names)


def refuse(content: Mapping[str, Any], folder: Path | str) -> None:
    """Raise BadInput where a run's rows were made elsewhere, so that nothing can be run there."""
    if KEY in content:
        raise BadInput(f"{folder}: {nothing_to_run(content[KEY]['source'])}")


def _catalogue(rows: pd.DataFrame, origin: Origin, dials: Mapping[str, float]) -> dict[str, Any]:
    grids = {
        name: sorted({float(v) for v in rows.loc[rows["dial"] == name, "setting"]})
        for name in dials
    }
    estimands = sorted({str(name) for name in rows["estimand"]})
    source = origin.source or "a table"
    return {
        "scenarios": {origin.name: {
            "doc": f"Estimates of {source}, made elsewhere.{origin.limits and ' '}{origin.limits}",
            "estimands": estimands,
            "dials": {
                # nobody knows whether settings share their noise: then they are taken not to
                name: {
                    "default": default, "grid": grids[name], "breaks": "", "paired": False,
                    "truth": "moves" if _moves(rows, name) else "fixed",
                }
                for name, default in dials.items()
            },
        }},
        "estimators": {
            str(name): {"kind": "estimate", "targets": estimands, "declared": False}
            for name in dict.fromkeys(rows["estimator"])
        },
    }  # fmt: skip


def _moves(rows: pd.DataFrame, dial: str) -> bool:
    """Say whether the mean truth of a setting is another than that of the default beside it."""
    alone = rows[rows["dial"].isna() | (rows["dial"] == dial)]
    truths = alone.groupby(["n", "parameters", "dials"], sort=False)["truth"].mean()
    return bool((truths.groupby(level=["n", "parameters"]).nunique() > 1).any())


def _manifest(rows: pd.DataFrame, origin: Origin) -> dict[str, Any]:
    from pandas.util import hash_pandas_object

    cells = rows.groupby(["dials", "n", "parameters", "estimator"], sort=False).size()
    digest = blake2b(hash_pandas_object(rows, index=False).to_numpy().tobytes(), digest_size=16)
    now = manifest.now()
    return {
        "format": manifest.FORMAT, "suite": origin.name, "replicates": int(cells.max()),
        "level": origin.level, "created": now, "finished": now,
        "expected_rows": len(rows), "stored_rows": len(rows), "protocol": digest.hexdigest(),
        "versions": provenance.versions(()), **provenance.machine(), "sources": {},
        KEY: {"source": origin.source},
    }  # fmt: skip
