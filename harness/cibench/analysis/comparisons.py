"""Paired comparisons: estimators on the same replicates, with paired errors, ties as ties.

Two estimators of one cell faced the same data sets, and most of what chance did to one it did to
the other. Their difference is therefore known far better than either.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cibench.analysis.paired_differences import Compared, Family, compare, gather
from cibench.analysis.scores import QUESTION, TARGET
from cibench.metrics.intervals import covers
from cibench.metrics.registry import listed
from cibench.model.catalogue import at_default, dials_of
from cibench.model.streams import stream
from cibench.model.types import PARTS, Array
from cibench.storage import CellRows, cells_of
from cibench.storage.reader import as_frame
from cibench.storage.schema import LATER
from cibench.storage.spool import IN_MEMORY
from cibench.suite.ranking import ALL
from cibench.utils.errors import BadInput, unknown
from cibench.utils.files import write_atomically
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["ALL", "COLUMNS", "Comparisons", "PairCollector", "pairs"]

NUMBERS = ("value", "other_value", "difference", "mcse", "low", "high")
COLUMNS = (
    *TARGET[:-1], *PARTS, "level", "estimator", "options", "other", "other_options", "measure",
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
    compared; a cell without it has no rows. `measures` are those wanted, by default all. `moments`
    is false where the averages of one of them cannot be believed; `note` says why something is
    blank. Measures that neither of a pair has are left out, as are those that compare by themselves
    (`precision_gain`, `coverage_common`) and the size-adjusted power, which rests on two cells. See
    `cibench.analysis.paired_differences` for the statistics. Raises BadInput if columns are
    missing, a replicate is there twice, a measure is not compared or nobody has the name `against`.

    >>> import cibench
    >>> methods = ["did/collapsed", "naive/difference-in-means"]
    >>> cell = {"scenario": "did/two-group", "n": 30, "estimators": methods}
    >>> run = cibench.run({"name": "small", "seed": 1, "replicates": 20, "cells": [cell]})
    >>> table = cibench.pairs(run.replicates, run.catalogue, measures=["rmse", "coverage"])
    >>> table[["other", "measure", "difference", "mcse", "tie"]].round(2)
                           other   measure  difference  mcse    tie
    0  naive/difference-in-means      rmse        -0.7  0.14  False
    1  naive/difference-in-means  coverage         0.7  0.11  False
    """
    known = [metric.name for metric in listed("pairs")]
    for name in measures or ():
        if name not in known:
            raise BadInput(unknown("measure", name, known))
    families = list(gather(cells_of(rows).part, catalogue))
    there = {str(names[0]) for family in families for names in family.names}
    if there and against not in (ALL, *there):
        raise BadInput(unknown("estimator of the rows", against, there))
    wanted = known if measures is None else measures
    tables = (_table(family, wanted, *_chosen(family, against)) for family in families)
    return _joined([table for table in tables if table is not None])


class Comparisons:
    """Hold comparisons as a Parquet file of their own, which is in memory while it is small."""

    def __init__(self, catalogue: Mapping[str, Any]) -> None:
        import pyarrow.parquet as pq

        self._catalogue = catalogue
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115
        try:
            self._writer = pq.ParquetWriter(self._file, _schema(), compression="zstd")
        except OSError:
            self._file.close()
            raise
        weakref.finalize(self, _close, self._writer, self._file)

    def add(self, table: pd.DataFrame) -> None:
        """Add the comparisons of one cell and target."""
        import pyarrow as pa

        arrow = pa.Table.from_pandas(table, schema=_schema(), preserve_index=False)
        self._writer.write_table(arrow)

    def close(self) -> None:
        """Say that these are all."""
        self._writer.close()

    def frame(self) -> pd.DataFrame:
        """Return all comparisons as `pairs` does."""
        return self._read()

    def reported(self) -> pd.DataFrame:
        """Return those that the report shows: a few measures, every dial at its default."""
        table = self._read([("measure", "in", _reported())])
        cells = table[["scenario", "dials"]].to_dict("records")
        at = [_starts(self._catalogue, names) for names in cells]
        return table[at].reset_index(drop=True)

    def write(self, path: Path) -> None:
        """Write the Parquet file."""
        self._file.seek(0)

        def copy(to: Path) -> None:
            with to.open("wb") as file:
                shutil.copyfileobj(self._file, file)

        write_atomically(path, copy)

    def _read(self, filters: list[tuple[str, str, Any]] | None = None) -> pd.DataFrame:
        import pyarrow.parquet as pq

        self._file.seek(0)
        read = as_frame(pq.read_table(self._file, filters=filters))
        for name in read.select_dtypes(exclude="number"):
            read[name] = read[name].astype(object).where(read[name].notna(), None)
        return _typed(read)


def _close(writer: Any, file: Any) -> None:
    """Close a file that nobody reads any more, its writer first, which would write to it else."""
    with contextlib.suppress(OSError):  # of a disk that is full, which has been said
        writer.close()
    with contextlib.suppress(OSError):
        file.close()


@dataclass(eq=False)
class PairCollector:
    """Compare the estimators of a run cell by cell as `pairs` does, or only what a report shows."""

    catalogue: Mapping[str, Any]
    against: str = ALL
    only_shown: bool = False
    reads: ClassVar[tuple[str, ...]] = ()
    _comparisons: Comparisons = field(init=False)

    def __post_init__(self) -> None:
        self._comparisons = Comparisons(self.catalogue)

    def add(self, cell: CellRows) -> None:
        """Compare the estimators of a cell."""
        part, measures = cell.part, [metric.name for metric in listed("pairs")]
        if self.only_shown:
            measures = [name for name in measures if name in _reported()]
        if self.only_shown and not any(_starts(self.catalogue, names) for names in part.names):
            return
        for family in gather(part, self.catalogue):
            if not self.only_shown or _starts(self.catalogue, family.key):
                table = _table(family, measures, *_chosen(family, self.against))
                if table is not None:
                    self._comparisons.add(table)

    def table(self) -> Comparisons:
        """Return the comparisons."""
        self._comparisons.close()
        return self._comparisons


def _reported() -> list[str]:
    return [metric.name for metric in listed("differences")]


def _starts(catalogue: Mapping[str, Any], names: Mapping[Any, Any]) -> bool:
    """Say whether every dial of a cell is at its default."""
    known = catalogue.get("scenarios") or {}
    return at_default(names["dials"], dials_of(known, names["scenario"]))


def _chosen(family: Family, against: str) -> tuple[Array, Array]:
    """Return the pairs to compare, as places of their members."""
    places = range(len(family.names))
    if against == ALL:
        chosen = list(combinations(places, 2))
    else:
        references = [i for i in places if family.names[i][0] == against]
        chosen = [(i, j) for j in references[:1] for i in places if i != j]
    ends = np.array(chosen, dtype=int).reshape(-1, 2)
    return ends[:, 0], ends[:, 1]


def _table(
    family: Family, measures: Sequence[str], first: Array, second: Array
) -> pd.DataFrame | None:
    import pandas as pd

    address = [_part(family.key[name]) for name in QUESTION if name not in LATER]
    address += [f"{n}={family.key[n]}" for n in LATER if not missing(family.key.get(n))]
    comparisons = [
        (measure, done) for measure in measures
        if (done := compare(family, measure, first, second, stream("pairs", *address)))
    ]  # fmt: skip
    if not comparisons:
        return None
    names = np.array(family.names, dtype=object)
    lines = [_lines(measure, done) for measure, done in comparisons]
    places = np.concatenate([done.pairs for _, done in comparisons])
    left, right = first[places], second[places]
    columns: dict[str, Any] = {name: family.key[name] for name in TARGET[:-1]}
    columns |= {name: family.key[name] for name in PARTS} | {"level": family.level}
    columns |= {"estimator": names[left, 0], "options": names[left, 1]}
    columns |= {"other": names[right, 0], "other_options": names[right, 1]}
    columns |= {name: np.concatenate([line[name] for line in lines]) for name in lines[0]}
    columns["moments"] = family.moments[left] & family.moments[right]
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
