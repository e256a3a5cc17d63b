"""Name the replicates of a changed cell that changed most, with both answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cibench.gate.compare import CellResult
from cibench.measures.answers import Group

SHOWN = 5


@dataclass(frozen=True)
class Replicate:
    """Hold one replicate's answers before and after; NaN is what was not answered.

    `change` is the largest change of a number in standard errors, infinite where one side lacks
    an answer.
    """

    replicate: int
    change: float
    estimate: tuple[float, float]
    std_error: tuple[float, float]
    limits: tuple[float, float, float, float]
    status: tuple[str, str]


def changed_most(cell: CellResult, tolerance: float, count: int = SHOWN) -> list[Replicate]:
    """Return the replicates that changed by more than the tolerance, the largest change first."""
    if cell.changes is None:
        return []
    before, after = cell.pair.before, cell.pair.after

    def both(name: str, i: int) -> tuple[float, float]:
        return float(before[name][i]), float(after[name][i])

    return [
        Replicate(
            int(cell.changes.replicate[i]), float(cell.changes.largest[i]), both("estimate", i),
            both("std_error", i), (*both("ci_low", i), *both("ci_high", i)),
            (_status(before, i), _status(after, i)),
        )
        for i in cell.changes.most(count, tolerance)
    ]  # fmt: skip


def _status(group: Group, i: int) -> str:
    flags = ("ok", "failed", "declined")
    return next((flag for flag in flags if np.asarray(group[flag])[i]), "failed")
