"""Why fits gave no answer: the reasons tallied, cell by cell and estimator by estimator."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cibench.analysis.one_pass import from_rows
from cibench.model.types import TARGET
from cibench.storage import CellRows
from cibench.storage.groups import Part
from cibench.storage.reader import as_frame
from cibench.storage.schema import CELL, FINE
from cibench.storage.targets import target_of
from cibench.utils.files import canonical
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["COLUMNS", "FailureCollector", "tally_failures"]

FIT = ("kind", *CELL, "options", "estimator")
COLUMNS = (*FIT, "status", "reason", "fits", "of", "share", "first", "targets")


def tally_failures(rows: pd.DataFrame) -> pd.DataFrame:
    """Tally the statuses other than ok by reason, cell by cell, the most frequent first.

    `fits` counts the fits with that status and reason of the `of` that were run, `share` is their
    quotient and `first` the first replicate among them, to replay. A fit that failed for several
    targets with one reason counts once; `targets` has, as JSON, how often each of them was lost to
    it. Repeated fits of a data set (`refit` above zero) are left out; who declines has not failed,
    but has its reasons here too. Raises BadInput if columns are missing.

    >>> import cibench
    >>> from cibench.analysis import tally_failures
    >>> methods = ["did/collapsed", "naive/difference-in-means"]
    >>> cell = {"scenario": "did/two-group", "n": 3, "estimators": methods}
    >>> run = cibench.run({"name": "small", "seed": 1, "replicates": 20, "cells": [cell]})
    >>> tally_failures(run.replicates)[["estimator", "status", "fits", "of", "first"]]
           estimator    status  fits  of  first
    0  did/collapsed  declined    20  20      0
    """
    return from_rows(rows, FailureCollector())


def commonest_reasons(scores: pd.DataFrame, failures: pd.DataFrame) -> list[str]:
    """Return for each score the commonest reason why its target was lost, "" where it never was.

    `failures` are what `tally_failures` returns; who declines has not failed.
    """
    keys = [name for name in FIT if name not in ("kind", "dial", "setting")]
    most: dict[tuple[Any, ...], tuple[int, str]] = {}
    for line in failures[~failures["status"].isin(FINE)].to_dict("records"):
        for target, fits in json.loads(line["targets"]).items():
            key = (*(line[name] for name in keys), target)
            most[key] = max(most.get(key, (0, "")), (fits, line["reason"]), key=lambda x: x[0])
    lines = scores[[*keys, *(name for name in TARGET if name in scores)]].to_dict("records")
    return [most.get((*(line[name] for name in keys), _target(line)), (0, ""))[1] for line in lines]


def _target(names: Mapping[Any, Any]) -> str:
    """Return what a target is called, "" of a diagnostic."""
    return "" if missing(names["estimand"]) else str(target_of(names))


@dataclass(eq=False)
class FailureCollector:
    """Tally a run's failures cell by cell as `tally_failures` does."""

    reads: ClassVar[tuple[str, ...]] = ("reason",)
    _tallies: list[pd.DataFrame] = field(default_factory=list, init=False)

    def add(self, cell: CellRows) -> None:
        """Tally the fits of a cell that gave no answer."""
        if not cell.unanswered.num_rows:
            return
        runs, lost = _runs(cell.part), _lost(cell.unanswered)
        by = [*FIT, "status", "reason"]
        fits_lost = lost.drop_duplicates([*by, "replicate"])
        tally = fits_lost.groupby(by, dropna=False, sort=False, as_index=False).agg(
            fits=("replicate", "size"), first=("replicate", "min")
        )
        by_target = lost.groupby([*by, "target"], dropna=False, sort=False).size()
        counts = by_target.groupby(level=by, dropna=False, sort=False)
        tally["targets"] = [_counts(of_targets) for _, of_targets in counts]
        fits = [_key(line) for line in tally[list(FIT)].to_dict("records")]
        order = {fit: place for place, fit in enumerate(runs)}
        tally["of"] = [runs[fit] for fit in fits]
        tally["place"] = [order[fit] for fit in fits]
        tally = tally.sort_values(["place", "fits"], ascending=[True, False], kind="stable")
        self._tallies.append(tally)

    def table(self) -> pd.DataFrame:
        """Return the table of failures."""
        import pandas as pd

        empty = pd.DataFrame(columns=[*COLUMNS]).astype({"fits": "int64", "of": "int64"})
        table = pd.concat(self._tallies, ignore_index=True) if self._tallies else empty
        return table.assign(share=table["fits"] / table["of"])[list(COLUMNS)]


def _runs(part: Part) -> dict[tuple[Any, ...], int]:
    """Return how many fits each estimator of each cell had, in order of first appearance."""
    replicates: dict[tuple[Any, ...], list[Any]] = {}
    for names, group in zip(part.names, part.groups, strict=True):
        replicates.setdefault(_key(names), []).append(group["replicate"])
    return {
        fit: parts[0].size if len(parts) == 1 else np.unique(np.concatenate(parts)).size
        for fit, parts in replicates.items()
    }


def _lost(unanswered: pa.Table) -> pd.DataFrame:
    """Return a row for each target that a fit left without an answer, with the reason."""
    columns = [*FIT, *TARGET, "replicate", "status", "reason"]
    rows = as_frame(unanswered.select(columns))
    rows = rows.astype(dict.fromkeys([*FIT, "status", "reason"], object)).astype({"setting": float})
    targets = [_target(line) for line in rows[list(TARGET)].to_dict("records")]
    return rows.assign(reason=rows["reason"].fillna("no reason given"), target=targets)


def _counts(of_targets: pd.Series) -> str:
    """Return how often each target was lost, as JSON."""
    names = of_targets.index.get_level_values("target")
    return canonical(dict(zip(names, of_targets.tolist(), strict=True)))


def _key(names: Any) -> tuple[Any, ...]:
    return tuple(None if missing(names[name]) else names[name] for name in FIT)
