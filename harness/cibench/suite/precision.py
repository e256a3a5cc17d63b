"""What a suite file says about scoring: comparisons, the leaderboard, precision targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cibench.metrics.sample_size import check_target
from cibench.utils.errors import BadInput

if TYPE_CHECKING:
    from cibench.utils.toml import Table

MOST_COUNTED = 100_000_000
"""The most replicates of a cell, and the most units of a data set."""

COUNT = f"a whole number above 0, {MOST_COUNTED:,} at most"
COUNTS = ("min_replicates", "max_replicates", "pilot")
SCORING_KEYS = ("compare", "ranking", "show_moments", "errors", "precision", *COUNTS)


FIRST_LOOK = 1000
"""Replicates before the first look of a sequential run."""

MOST = 100_000
"""Replicates at which a cell ends where the suite does not say."""


@dataclass(frozen=True)
class Precision:
    """Hold the Monte Carlo errors that a suite asks for and the replicates it allows a cell.

    `targets` are errors by measure, in the units of `cibench.metrics.sample_size`; a cell gets
    `least` replicates or more, and no more than `most` (None: 100,000). A `pilot` of so many
    replicates says how many a cell is run for; without one the cell's own rows do, as they come.

    >>> from cibench.suite import Precision
    >>> Precision({"coverage": 0.005}, pilot=200).spec["targets"]
    {'coverage': 0.005}
    """

    targets: Mapping[str, float] = field(default_factory=dict)
    least: int = 2
    most: int | None = None
    pilot: int | None = None

    @property
    def spec(self) -> dict[str, Any]:
        """Return it as plain data, for a manifest."""
        counts = zip(COUNTS, (self.least, self.most, self.pilot), strict=True)
        return {"targets": dict(self.targets), **dict(counts)}


def read_precision(table: Table) -> Precision | None:
    """Return the suite's precision targets, None where it states a count of replicates."""
    targets = table.table("precision")
    if not targets.content:
        for key in COUNTS:
            if key in table.content and not table.faulty("precision"):
                table.fault(key, "belongs to a suite that states precision and no replicates")
        return None
    for name in targets.content:
        value = targets.take(name, (int, float), ..., lambda _: True, "a Monte Carlo error above 0")
        if value is not None:
            try:
                check_target(name, value)
            except BadInput as error:
                targets.fault(name, error)
    if "replicates" in table.content:
        table.fault("precision", "stands beside replicates; state one of the two")
    several = f"a whole number of 2 or more, {MOST_COUNTED:,} at most"
    least = table.take("min_replicates", int, 2, lambda v: v > 1 and is_count(v), several)
    most = table.take(
        "max_replicates", int, None, lambda v: v >= least and is_count(v),
        f"a whole number of {least} or more, {MOST_COUNTED:,} at most",
    )  # fmt: skip
    pilot = table.take("pilot", int, None, lambda v: v > 1 and is_count(v), several)
    return Precision(dict(targets.content), least, most, pilot)


def is_count(number: int) -> bool:
    """Say whether so many replicates or units can be asked for at all."""
    return 0 < number <= MOST_COUNTED


def first(precision: Precision, first_look: int = FIRST_LOOK) -> int:
    """Return the replicates before a sequential run's first look, or the least of two stages."""
    least = precision.least if precision.pilot else max(first_look, precision.least)
    return min(least, most(precision))


def most(precision: Precision) -> int:
    """Return the replicates at which a cell ends, come what may."""
    return precision.most or max(MOST, precision.least)
