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


@dataclass(frozen=True, eq=False)
class Changes:
    """Hold the largest change of each pair of rows, in standard errors.

    It is infinite where one side has an answer, or a number, that the other has not. `estimate`
    is the largest change of estimate and limits alone, `answered` marks what both sides answered.
    """

    replicate: Array
    largest: Array
    estimate: Array
    answered: Array

    def share(self, tolerance: float) -> float:
        """Return the share of pairs that changed by more than the tolerance."""
        return float((self.largest > tolerance).mean())

    def most(self, count: int, tolerance: float) -> list[int]:
        """Return the places of the pairs that changed most, the largest change first."""
        order = np.argsort(-self.largest, kind="stable")[:count]
        return [int(i) for i in order if self.largest[i] > tolerance]


def changes(pair: Pair) -> Changes:
    """Compare a pair's rows number by number.

    Estimates, standard errors, limits, bands and the CRPS count in the row's own standard error
    before, or, where it has none, in the standard deviation of the errors before; degrees of
    freedom and statistics relative to their size, p-values and probability transforms as they are.
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
    return Changes(before["replicate"], largest, estimate, before["ok"] & after["ok"])


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
    return np.where(own > 0, own, spread if spread > 0 else 1.0)
