"""Which fits left their process otherwise than it was, and what they had changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cibench.analysis.one_pass import from_rows
from cibench.storage import CellRows
from cibench.storage.reader import as_frame
from cibench.storage.schema import CHANGED, IDENTITY
from cibench.storage.shards import coded

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("scenario", "estimator", "options", "change", "fits")


def find_process_changes(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what fits changed of the process that they share with others, and how many did.

    All of it was put back and reached no other row; an estimator that does it reaches others where
    people use it without this harness. Repeated fits of a data set count too. Raises BadInput if
    columns are missing.

    >>> import cibench
    >>> from cibench.analysis import find_process_changes
    >>> cell = {"scenario": "did/two-group", "n": 30, "estimators": "did/collapsed"}
    >>> run = cibench.run({"name": "small", "seed": 1, "replicates": 20, "cells": [cell]})
    >>> len(find_process_changes(run.replicates))
    0
    >>> changed = run.replicates.assign(warnings="ProcessChanged: replaced numpy.sqrt")
    >>> find_process_changes(changed)[["estimator", "change", "fits"]]
           estimator               change  fits
    0  did/collapsed  replaced numpy.sqrt    20
    """
    return from_rows(rows, ProcessChangeCollector())


@dataclass(eq=False)
class ProcessChangeCollector:
    """Count such fits of a run cell by cell as `find_process_changes` does."""

    reads: ClassVar[tuple[str, ...]] = ("warnings",)
    _cells: list[pd.DataFrame] = field(default_factory=list, init=False)

    def add(self, cell: CellRows) -> None:
        """Count the fits of a cell."""
        import pyarrow as pa

        texts, codes = coded(cell.table, "warnings")
        marked = [k for k, text in enumerate(texts) if text and f"{CHANGED}: " in text]
        if not marked:
            return
        has = pa.array(np.isin(codes, marked))
        fit = [*IDENTITY, "estimator", "options", "replicate", "refit"]
        rows = as_frame(cell.table.select([*fit, "warnings"]).filter(has)).drop_duplicates(fit)
        lines = rows["warnings"].astype(object).str.split("\n")
        rows = rows.assign(change=lines).explode("change")
        rows = rows[rows["change"].str.startswith(f"{CHANGED}: ")]
        rows = rows.assign(change=rows["change"].str.removeprefix(f"{CHANGED}: "))
        by = list(COLUMNS[:-1])
        self._cells.append(rows.groupby(by, sort=False).size().reset_index(name="fits"))

    def table(self) -> pd.DataFrame:
        """Return a row for each estimator and change in a scenario."""
        import pandas as pd

        if not self._cells:
            return pd.DataFrame(columns=list(COLUMNS)).astype({"fits": "int64"})
        every = pd.concat(self._cells, ignore_index=True)
        return every.groupby(list(COLUMNS[:-1]), sort=False)["fits"].sum().reset_index()
