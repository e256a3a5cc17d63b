"""Paired comparisons: estimators on the same replicates, with paired errors, ties as ties.

Two estimators of one cell faced the same data sets, and most of what chance did to one it did to
the other. Their difference is therefore known far better than either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.analysis.paired_differences import Compared, Family, compare, gather
from cibench.analysis.scores import TARGET
from cibench.metrics.intervals import covers
from cibench.metrics.registry import listed
from cibench.model.streams import stream
from cibench.model.types import Array
from cibench.storage.groups import Part, arrow, by_cell, check, cut
from cibench.suite.ranking import ALL
from cibench.utils.errors import BadInput, unknown
from cibench.utils.files import write_atomically
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["ALL", "COLUMNS", "pairs", "pairs_folder", "write_pairs"]

NUMBERS = ("value", "other_value", "difference", "mcse", "low", "high")
COLUMNS = (
    *TARGET[:-1], "horizon", "level", "estimator", "options", "other", "other_options", "measure",
    "replicates", *NUMBERS, "tie", "moments", "note",
)  # fmt: skip


def pairs(
    rows: pd.DataFrame, catalogue: Mapping[str, Any], against: str = ALL,
    measures: Sequence[str] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Compare the estimators of every cell and target: a row for each pair and measure.

    `difference` is the measure of `estimator` less that of `other`, both on the `replicates` that
    have what it needs of both, `mcse` its paired Monte Carlo standard error, `low` and `high` are
    95 % limits that hold for all pairs of the cell and measure at once; `tie` says that they
    hold zero. `against` names an estimator to compare the others with, by default all pairs are
    compared; `measures` are those wanted, by default all. `moments` is false where the averages of
    one of them cannot be believed; `note` says why something is blank. Measures that neither of a
    pair has are left out, as are those that compare by themselves (`precision_gain`,
    `coverage_common`) and the size-adjusted power, which rests on two cells. See
    `cibench.analysis.paired_differences` for the statistics. Raises BadInput if columns are
    missing, a replicate is there twice or a measure is not compared.
    """
    check(rows.columns)
    for name in measures or ():
        if name not in (known := [metric.name for metric in listed("pairs")]):
            raise BadInput(unknown("measure", name, known))
    return _joined(list(_tables(iter([cut(arrow(rows))]), catalogue, against, measures)))


def pairs_folder(folder: Path, catalogue: Mapping[str, Any], against: str = ALL) -> pd.DataFrame:
    """Compare the estimators of a run folder as `pairs` does, reading it cell by cell."""
    return by_cell(folder, lambda parts: _joined(list(_tables(parts, catalogue, against))))


def write_pairs(folder: Path, path: Path, catalogue: Mapping[str, Any], against: str = ALL) -> None:
    """Write the comparisons of a run folder as one Parquet file, with one cell in memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def write(to: Path, parts: Iterator[Part]) -> None:
        with pq.ParquetWriter(to, _schema(), compression="zstd") as file:
            for table in _tables(parts, catalogue, against):
                file.write_table(
                    pa.Table.from_pandas(table, schema=_schema(), preserve_index=False)
                )

    write_atomically(path, lambda to: by_cell(folder, lambda parts: write(to, parts)))


def _tables(
    parts: Iterator[Part],
    catalogue: Mapping[str, Any],
    against: str,
    measures: Sequence[str] | None = None,
) -> Iterator[pd.DataFrame]:
    measures = [metric.name for metric in listed("pairs")] if measures is None else measures
    for part in parts:
        for family in gather(part, catalogue):
            table = _table(family, measures, *_chosen(family, against))
            if table is not None:
                yield table


def _chosen(family: Family, against: str) -> tuple[Array, Array]:
    """Return the pairs to compare, as places of their members."""
    places = range(len(family.names))
    if against == ALL:
        found = list(combinations(places, 2))
    else:
        references = [i for i in places if family.names[i][0] == against]
        found = [(i, j) for j in references[:1] for i in places if i != j]
    ends = np.array(found, dtype=int).reshape(-1, 2)
    return ends[:, 0], ends[:, 1]


def _table(
    family: Family, measures: Sequence[str], first: Array, second: Array
) -> pd.DataFrame | None:
    import pandas as pd

    address = [_part(family.key[name]) for name in (*TARGET, "horizon")]
    found = [
        (measure, done) for measure in measures
        if (done := compare(family, measure, first, second, stream("pairs", *address)))
    ]  # fmt: skip
    if not found:
        return None
    names = np.array(family.names, dtype=object)
    lines = [_lines(measure, done) for measure, done in found]
    places = np.concatenate([done.pairs for _, done in found])
    one, two = first[places], second[places]
    columns: dict[str, Any] = {name: family.key[name] for name in TARGET[:-1]}
    columns |= {"horizon": family.key["horizon"], "level": family.level}
    columns |= {"estimator": names[one, 0], "options": names[one, 1]}
    columns |= {"other": names[two, 0], "other_options": names[two, 1]}
    columns |= {name: np.concatenate([line[name] for line in lines]) for name in lines[0]}
    columns["moments"] = family.moments[one] & family.moments[two]
    return _typed(pd.DataFrame(columns, index=range(places.size))[list(COLUMNS)])


def _lines(measure: str, done: Compared) -> dict[str, Array]:
    known = ~np.isnan(done.low)
    tie = np.where(known, covers(done.low, done.high, 0.0), np.array(None, dtype=object))
    numbers = (done.value, done.other, done.difference, done.mcse, done.low, done.high)
    return {
        "measure": np.full(done.pairs.size, measure, dtype=object), "replicates": done.replicates,
        **dict(zip(NUMBERS, numbers, strict=True)), "tie": tie,
        "note": np.array(done.notes, dtype=object),
    }  # fmt: skip


def _part(value: Any) -> str:
    return "" if missing(value) else str(value)


def _joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    if not tables:
        return _typed(pd.DataFrame(columns=list(COLUMNS)))
    joined: pd.DataFrame = pd.concat(tables, ignore_index=True)
    return joined


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Give the columns their types: a blank tie or horizon is NA."""
    floats = dict.fromkeys(("setting", "level", *NUMBERS), float)
    whole = {"n": "int64", "replicates": "int64", "horizon": "Int32"}
    return table.astype({**floats, **whole, "tie": "boolean", "moments": bool})


def _schema() -> pa.Schema:
    """Return the Arrow schema of the comparisons."""
    import pyarrow as pa

    kinds = {
        **dict.fromkeys(("setting", "level", *NUMBERS), pa.float64()), "n": pa.int64(),
        "replicates": pa.int64(), "horizon": pa.int32(), "tie": pa.bool_(), "moments": pa.bool_(),
    }  # fmt: skip
    return pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])
