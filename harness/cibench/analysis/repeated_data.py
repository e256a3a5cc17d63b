"""Which cells hold the same data set more than once, so that their errors say too little."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from cibench.analysis.one_pass import from_rows
from cibench.storage import CellRows
from cibench.storage.reader import as_frame
from cibench.storage.schema import CELL

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (*CELL, "replicates", "data_sets")


def find_repeated_data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the cells in which replicates share a data set, and how many data sets differ there.

    Data sets are told apart by the 64 bits of `data_hash`; replicates whose draw failed have none
    and are left out. Monte Carlo errors take every replicate for a draw of its own: where a
    scenario returns the same table again and again they are wrong, however small. A cell of a few
    units with discrete columns may repeat a data set by chance. Raises BadInput if columns are
    missing.

    >>> import cibench
    >>> from cibench.analysis import find_repeated_data
    >>> cell = {"scenario": "did/two-group", "n": 30, "estimators": "did/collapsed"}
    >>> run = cibench.run({"name": "small", "seed": 1, "replicates": 20, "cells": [cell]})
    >>> len(find_repeated_data(run.replicates))
    0
    >>> same = run.replicates.assign(data_hash=run.replicates["data_hash"].iloc[0])
    >>> find_repeated_data(same)[["scenario", "replicates", "data_sets"]]
            scenario  replicates  data_sets
    0  did/two-group          20          1
    """
    return from_rows(rows, RepeatedDataCollector())


@dataclass(eq=False)
class RepeatedDataCollector:
    """Count a run's data sets cell by cell as `find_repeated_data` does."""

    reads: ClassVar[tuple[str, ...]] = ("data_hash",)
    _cells: list[pd.DataFrame] = field(default_factory=list, init=False)

    def add(self, cell: CellRows) -> None:
        """Count the data sets of a cell."""
        import pyarrow.compute as pc

        rows = cell.table.select([*CELL, "replicate", "data_hash"])
        rows = rows.filter(pc.is_valid(rows["data_hash"]))
        counted = rows.group_by(list(CELL), use_threads=False).aggregate(
            [("replicate", "count_distinct"), ("data_hash", "count_distinct")]
        )
        names = dict(zip(("replicate", "data_hash"), COLUMNS[-2:], strict=True))
        counted = counted.rename_columns(
            [names.get(name.removesuffix("_count_distinct"), name) for name in counted.column_names]
        )
        equal = counted.filter(pc.less(counted["data_sets"], counted["replicates"]))
        if equal.num_rows:
            self._cells.append(as_frame(equal))

    def table(self) -> pd.DataFrame:
        """Return the cells that hold a data set more than once."""
        import pandas as pd

        table = pd.concat(self._cells, ignore_index=True) if self._cells else pd.DataFrame()
        return table.reindex(columns=list(COLUMNS))
