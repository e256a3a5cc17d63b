"""The answers of both sides that a measure rests on, and the unit that estimates are told in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cibench.gate.differences import Left, left_sd
from cibench.gate.pairing import Pair
from cibench.measures import heavy, largest_share
from cibench.measures.answers import answers, present
from cibench.model import Array

FEWEST = 3
"""Fewer replicates than these leave a statistic without an error."""

TO_SD = 1.4826
"""A normal law's standard deviation over its median absolute deviation."""

WIDEST = 5.0
"""Where estimates have no moments, errors beyond this many robust deviations are pulled in."""


@dataclass(frozen=True, eq=False)
class Sides:
    """Hold columns of the rows before and after; with `paired` row by row of the same data."""

    before: list[Array]
    after: list[Array]
    paired: bool

    @property
    def given(self) -> bool:
        """Say whether both sides have rows enough for an error."""
        return min(self.before[0].size, self.after[0].size) >= FEWEST


def sides(pair: Pair, *names: str) -> Sides:
    """Return columns at the answered rows where all of them are given.

    In pairs only rows count that were answered on both sides; what one side lacks is counted by
    the failures.
    """
    if not pair.paired:
        return Sides(present(answers(pair.before), *names), present(answers(pair.after), *names),
                     paired=False)  # fmt: skip
    there = pair.before["ok"] & pair.after["ok"]
    for group in (pair.before, pair.after):
        for name in names:
            there = there & ~np.isnan(group[name])
    one, other = ([group[name][there] for name in names] for group in (pair.before, pair.after))
    return Sides(one, other, paired=True)


def has_moments(pair: Pair, declared: bool) -> bool:
    """Say whether averages of the estimates can be believed, on both sides."""
    points = [present(answers(group), "estimate", "truth") for group in (pair.before, pair.after)]
    return declared and not any(heavy(largest_share(t, truth), t.size) for t, truth in points)


@dataclass(frozen=True, eq=False)
class Unit:
    """Hold what an empirical standard error is here, and how far errors may count.

    With `reach` infinite it is the standard deviation of the errors before. Estimates without
    moments are told in robust deviations around the median error, and count for no more than
    `reach` of them.
    """

    size: Left
    centre: float = 0.0
    reach: float = np.inf

    def tamed(self, errors: Array) -> Array:
        """Return errors, those far out pulled in."""
        if self.reach == np.inf:
            return errors
        far = self.reach * self.size.value
        return np.clip(errors, self.centre - far, self.centre + far)


def varies(errors: Array, theta: Array) -> bool:
    """Say whether errors differ by more than rounding, which they do not without noise."""
    size = max(float(np.abs(part).max(initial=0)) for part in (errors, theta))
    return bool(errors.std() > 1e-9 * size)


@np.errstate(all="ignore")
def unit(errors: Array, theta: Array, fallback: float, *, moments: bool) -> Unit:
    """Return the unit for errors before; `fallback` where they do not vary but by rounding."""
    n = errors.size
    if moments:
        size = left_sd(errors) if varies(errors, theta) else Left(fallback, np.full(n, fallback))
        return Unit(size)
    centre = float(np.median(errors))
    spread = TO_SD * float(np.median(np.abs(errors - centre))) or fallback
    return Unit(Left(spread, np.full(n, spread)), centre, WIDEST)
