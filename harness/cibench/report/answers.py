"""What a report draws from rows: answers in default cells, and where there was no answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar

from cibench.model.catalogue import at_default, dials_of
from cibench.storage import CellRows
from cibench.storage.reader import as_frame
from cibench.storage.schema import CELL, SCORED
from cibench.storage.spool import SpooledGroup
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Key = tuple[Any, ...]
LOST = (*CELL, "options", "estimator", "status")
DRAWN = ("ok", "estimate", "truth", "std_error", "ci_low", "ci_high", "outside")


@dataclass(frozen=True, eq=False)
class Answers:
    """Hold the answers of every cell whose dials are all at their default, by their `SCORED` keys.

    `lost` counts the rows of estimators without an answer, by fit and status; `refits` the rows of
    fits that were repeated on one data set, which are in neither.
    """

    groups: Mapping[Key, SpooledGroup]
    lost: pd.DataFrame
    refits: int

    def of(self, score: Mapping[Any, Any]) -> SpooledGroup | None:
        """Return the answers behind a score, labelled or not; None off the default."""
        return self.groups.get(_key(score))


@dataclass(eq=False)
class AnswerCollector:
    """Put aside what is drawn of each default cell."""

    catalogue: Mapping[str, Any]
    reads: ClassVar[tuple[str, ...]] = ()
    _groups: dict[Key, SpooledGroup] = field(default_factory=dict, init=False)
    _lost: list[pd.DataFrame] = field(default_factory=list, init=False)
    _refits: int = field(default=0, init=False)

    def add(self, cell: CellRows) -> None:
        """Take the answers of a cell, and count what is no first answer."""
        if cell.unanswered.num_rows:
            self._lost.append(_lost(cell.unanswered))
        part, known = cell.part, self.catalogue.get("scenarios") or {}
        self._refits += cell.table.num_rows - sum(group["ok"].size for group in part.groups)
        for place, names in enumerate(part.names):
            still = names["dial"] is None and names["kind"] == "estimate"
            if still and at_default(names["dials"], dials_of(known, names["scenario"])):
                self._groups[_key(names)] = cell.put_aside(place, DRAWN)

    def table(self) -> Answers:
        """Return the answers."""
        import pandas as pd

        none = pd.DataFrame(columns=[*LOST, "rows"])
        failures = pd.concat(self._lost, ignore_index=True) if self._lost else none
        return Answers(self._groups, failures, self._refits)


def _lost(unanswered: pa.Table) -> pd.DataFrame:
    """Count the rows of each estimator without an answer, by status."""
    rows = as_frame(unanswered.select([*LOST, "kind"]))
    rows = rows[rows["kind"] == "estimate"]
    counts = rows.groupby(list(LOST), dropna=False, sort=False, as_index=False)
    totals: pd.DataFrame = counts.agg(rows=("kind", "size"))
    return totals


def _key(names: Mapping[Any, Any]) -> Key:
    """Return a score's keys, which `cibench.render.labels.label` may have written in its way."""
    values = (names[name] for name in SCORED)
    return tuple(None if missing(v) or v in ("", -inf) else v for v in values)
