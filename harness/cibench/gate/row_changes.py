"""How much single numbers changed, replicate by replicate, in standard errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cibench.gate.pairing import Pair
from cibench.metrics.groups import Group
from cibench.model.types import Array

IN_ERRORS = ("estimate", "std_error", "ci_low", "ci_high", "band_low", "band_high", "crps")
RELATIVE = ("df", "statistic")
ABSOLUTE = ("p_value", "pit", "passed", "outside")
STATUS = ("ok", "failed", "declined")
OF_ANSWERS = ("estimate", "std_error", "ci_low", "ci_high", "band_low", "band_high")
"""What of an answer is a fact where it moves far: all that its readers go by."""

LEAST_UNIT = 1e-3
"""The least that a row's standard error counts for, in the typical one of its method."""

ROUNDING = 1e-9
"""What of its own size a number may move by without having moved, however small its error."""


@dataclass(frozen=True, eq=False)
class Changes:
    """Hold the largest change of each pair of rows, in standard errors.

    It is infinite where one side has an answer, or a number, that the other has not. `estimate`
    is the largest change of estimate and limits alone, `answered` marks what both sides answered.
    `lost` marks answers that have become failures, `moved` is the largest change of what was an
    answer before: infinite where it, or a number of it, has gone, 0 where it became a failure.
    """

    replicate: Array
    largest: Array
    estimate: Array
    answered: Array
    lost: Array
    moved: Array

    def share(self, tolerance: float) -> float:
        """Return the share of pairs that changed by more than the tolerance."""
        return float((self.largest > tolerance).mean())

    def most(self, count: int, tolerance: float) -> list[int]:
        """Return the places of the pairs that changed most: lost answers, then what moved far."""
        order = np.lexsort((-self.largest, -self.moved, ~self.lost))
        return [int(i) for i in order if self.largest[i] > tolerance][:count]


def changes(pair: Pair) -> Changes:
    """Compare a pair's rows number by number.

    Estimates, standard errors, limits, bands and the CRPS count in the row's own standard error
    before, or, where it has none, in the standard deviation of the errors before; where it has next
    to none, in a thousandth of the median one. Degrees of freedom and statistics count relative to
    their size, p-values and probability transforms as they are.
    """
    before, after = pair.before, pair.after
    unit = _unit(before)
    largest = np.zeros(unit.size)
    for name in STATUS:
        largest = np.where(before[name] != after[name], np.inf, largest)
    estimate = largest
    for name, change in _numbers(before, after, unit):
        largest = np.maximum(largest, change)
        if name in ("estimate", "ci_low", "ci_high"):
            estimate = np.maximum(estimate, change)
    lost = before["ok"] & after["failed"]
    return Changes(
        before["replicate"], largest, estimate, before["ok"] & after["ok"], lost,
        _moved(before, after, unit),
    )  # fmt: skip


@np.errstate(all="ignore")
def _moved(before: Group, after: Group, unit: Array) -> Array:
    moved = np.where(before["ok"] & after["declined"], np.inf, 0.0)
    for name in OF_ANSWERS:
        change = _change(before[name], after[name], unit)
        small = np.abs(after[name] - before[name]) <= ROUNDING * np.abs(before[name])
        moved = np.maximum(moved, np.where(small | np.isnan(before[name]), 0.0, change))
    return np.where(before["ok"] & ~after["failed"], moved, 0.0)


def _numbers(before: Group, after: Group, unit: Array) -> Iterator[tuple[str, Array]]:
    for name in IN_ERRORS:
        yield name, _change(before[name], after[name], unit)
    for name in RELATIVE:
        size = np.maximum(1.0, np.abs(before[name]))
        yield name, _change(before[name], after[name], size)
    for name in ABSOLUTE:
        yield name, _change(before[name], after[name], np.ones(unit.size))


@np.errstate(all="ignore")
def _change(before: Array, after: Array, unit: Array) -> Array:
    """Return |difference| / unit, 0 for equals (infinite and missing ones too)."""
    change = np.abs(after - before) / np.where(np.isnan(unit), 1.0, unit)
    same = (before == after) | (np.isnan(before) & np.isnan(after))
    return np.where(same, 0.0, np.where(np.isnan(change), np.inf, change))


@np.errstate(all="ignore")
def _unit(group: Group) -> Array:
    """Return each row's standard error, the spread of all errors where it has none."""
    errors = group["estimate"] - group["truth"]
    errors = errors[np.isfinite(errors)]
    spread = float(errors.std()) if errors.size > 1 else 0.0
    own = group["std_error"]
    positive = own[(own > 0) & np.isfinite(own)]
    least = LEAST_UNIT * np.median(positive) if positive.size else 0.0
    own = np.where(own > 0, np.maximum(own, least), own)
    return np.where(own > 0, own, spread if spread > 0 else 1.0)
