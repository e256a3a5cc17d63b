"""A dose-response curve: one estimator's answers at every setting of one dial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cibench.model import Array

KEYS = (
    "scenario", "dial", "parameters", "options", "estimator", "estimand", "horizon", "n", "level",
)  # fmt: skip
"""What names a curve."""

Line = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Curve:
    """Hold what one estimator answered at every setting of one dial.

    `settings` ascend and `scores` are the score table's lines at them. Each matrix has a line for
    a setting and a column for a replicate. `there` marks the replicates that were run, `covered`
    those whose set holds the truth: a failure, or an answer without limits, holds nothing. `error`
    and the limits `low` and `high` are relative to the truth, NaN where there is none; `ordinary`
    marks sets that are intervals of finite length.
    """

    key: Line
    assumption: str
    default: float
    paired: bool
    truth_moves: bool
    settings: Array
    scores: Sequence[Line]
    there: Array
    ok: Array
    covered: Array
    ordinary: Array
    error: Array
    low: Array
    high: Array

    @property
    def answered(self) -> Array:
        """Mark the replicates that have an estimate and a truth."""
        return ~np.isnan(self.error)

    @property
    def has_limits(self) -> bool:
        """Say whether coverage means something: limits somewhere, or no answer at all."""
        return bool((self.ok & ~np.isnan(self.low)).any() or not self.ok.any())

    def score(self, name: str) -> Array:
        """Return one column of the score table, a number for each setting."""
        return np.array([line[name] for line in self.scores], dtype=float)


@dataclass(frozen=True, eq=False)
class Side:
    """Hold one way a dial goes: the places `at` of its settings, the mildest first.

    `sign` is 1 above the default and -1 below; `from_default` says whether the first of them is
    the default itself.
    """

    sign: int
    at: Array
    from_default: bool


def sides(curve: Curve) -> list[Side]:
    """Return the ways in which the dial was moved, upwards first."""
    start = np.flatnonzero(curve.settings == curve.default)
    found = []
    for sign in (1, -1):
        at = np.flatnonzero(sign * (curve.settings - curve.default) > 0)[::sign]
        if at.size:
            found.append(Side(sign, np.concatenate([start, at]), bool(start.size)))
    return found
