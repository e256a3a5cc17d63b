"""Pool statistics over independent draws until they are precise, with tolerances beside them.

A gauge turns a draw into rows of (numerator, denominator); pooled, each row is a ratio whose
standard error comes from the variation between the draws, as units of one draw may share shocks.

On either side a line is fitted to the effects within ever smaller windows and read off at the
cutoff. Curvature moves a fit by what shrinks with the square of the window, so halving the window
shows at least three times the bias that is left; noise grows instead. The window whose error by
both counts is the smallest is the one to trust.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from cibench.contracts.common import behind, small_draw
from cibench.model.design import Scenario
from cibench.model.types import Array, Draw, Roles, Target, Truth

SIGMAS = 4.5
CLOSE = 1e-9
DRAWS = 24
CONFIRMED = 96
"""How many draws must contradict a truth; fewer give so rough an error that they may be wrong."""
ROWS = 2_000_000
PRECISE = 0.012
"""The reach to come to: 4.5 errors of a quarter of a percent, so that 2 % off is seen for sure."""


class Reading(NamedTuple):
    """Hold a pooled value and how far from it the truth may lie."""

    what: str
    value: float
    reach: float


class Question(NamedTuple):
    """Hold what is asked of the draws: the gauge, how to read it, the truth and how far it varies.

    `spread` is the standard deviation of the effects. `read` takes the draws' statistics in one
    array where they are `pooled`, else as a list.
    """

    gauge: Callable[[Draw], Array]
    read: Callable[[Any], list[Reading]]
    truth: Truth
    spread: float
    pooled: bool = True

    @property
    def goal(self) -> float:
        """Return the reach to come to; a truth near zero is measured against the spread."""
        return PRECISE * max(abs(self.truth.value), self.spread / 3)

    def wrong(self, reading: Reading) -> bool:
        """Say whether the truth is out of the reading's reach."""
        reach = np.hypot(reading.reach, SIGMAS * self.truth.mcse)
        return bool(abs(reading.value - self.truth.value) > reach)


def pool(statistics: Array) -> tuple[Array, Array]:
    """Return ratios and their standard errors from draws x ratios x (numerator, denominator).

    Both are NaN where no draw has a denominator.
    """
    draws = len(statistics)
    total = statistics.sum(axis=0)
    base = np.where(total[:, 1] > 0, total[:, 1], np.nan)
    ratio = total[:, 0] / base
    residuals = statistics[:, :, 0] - ratio * statistics[:, :, 1]
    return ratio, np.sqrt(draws / (draws - 1) * (residuals**2).sum(axis=0)) / base


def averaging(target: Target, truth: Truth, spread: float) -> Question:
    """Ask for the average effect of the rows that the target marks."""

    def gauge(draw: Draw) -> Array:
        effects, (_, weights) = draw.averaged(target), draw.rows_of(target)
        if weights is not None:
            return np.array([[weights @ effects, weights.sum()]])
        return np.array([[effects.sum(), effects.size]])

    def read(statistics: Array) -> list[Reading]:
        (value,), (se,) = pool(statistics)
        reach = max(SIGMAS * se, CLOSE * abs(value))
        return [Reading("the average effect drawn", value, reach)]

    return Question(gauge, read, truth, spread)


def ask(
    scenario: Scenario, n: int, questions: Mapping[Target, Question]
) -> dict[Target, list[Reading]]:
    """Return each question's readings, from as many draws of n units as make them precise.

    A reading that contradicts its truth is drawn on too, so that chance does not accuse.
    """
    statistics: dict[Target, list[Array]] = {target: [] for target in questions}
    rows, done = 0, 0
    while True:
        wanted = max(2 * done, DRAWS)
        for k in range(done, wanted):
            draw = small_draw(scenario, n, k)
            rows += len(draw.baseline)
            for target, question in questions.items():
                statistics[target].append(question.gauge(draw))
        done = wanted
        readings = {
            t: q.read(np.stack(statistics[t]) if q.pooled else statistics[t])
            for t, q in questions.items()
        }
        if rows >= ROWS or all(_settled(q, readings[t], done) for t, q in questions.items()):
            return readings


def _settled(question: Question, readings: list[Reading], draws: int) -> bool:
    precise = all(reading.reach <= question.goal for reading in readings)
    accused = any(question.wrong(reading) for reading in readings)
    return precise and (draws >= CONFIRMED or not accused)


SHARES = (0.4, 0.2, 0.1, 0.05, 0.025)
"""Window widths, as shares of a side's rows that the widest and the narrower ones hold."""
ENOUGH = 4


def limiting(target: Target, truth: Truth, spread: float, roles: Roles, first: Draw) -> Question:
    """Ask for the limits of the effects from below and from above the cutoff.

    `first` is a draw of the size to come; it sets the windows.
    """
    distances, _ = _side_by_side(first, target, roles)
    windows = [_windows(distance) for distance in distances]

    def gauge(draw: Draw) -> Array:
        sides = zip(*_side_by_side(draw, target, roles), windows, strict=True)
        return np.array([_at_zero(x, effects, w) for x, effects, widths in sides for w in widths])

    def read(statistics: Array) -> list[Reading]:
        values, errors = (part.reshape(2, len(SHARES)) for part in pool(statistics))
        return [
            Reading(f"the limit of the effects from {side}", *_trusted(value, error))
            for side, value, error in zip(("below", "above"), values, errors, strict=True)
        ]

    return Question(gauge, read, truth, spread)


def _side_by_side(draw: Draw, target: Target, roles: Roles) -> tuple[list[Array], list[Array]]:
    """Return distances from the cutoff and effects of the target's rows, below and above."""
    running = behind(draw, roles.running) - (roles.cutoff or 0.0)
    x = replace(draw, effects=running).averaged(target)
    effects = draw.averaged(target)
    sides = (x < 0, x >= 0)
    return [np.abs(x[side]) for side in sides], [effects[side] for side in sides]


def _windows(distances: Array) -> Array:
    if not distances.size:
        return np.zeros(len(SHARES))
    return np.quantile(distances, SHARES)


def _at_zero(distances: Array, effects: Array, window: float) -> tuple[float, float]:
    """Return the line's value at distance 0 and a weight of 1, or twice 0 where no line is fit."""
    near = distances <= window
    x, y = distances[near], effects[near]
    if x.size < ENOUGH or np.ptp(x) == 0:
        return 0.0, 0.0
    off = x - x.mean()
    return float(y.mean() - x.mean() * (off @ y) / (off @ off)), 1.0


def _trusted(values: Array, errors: Array) -> tuple[float, float]:
    """Return the value and reach of the best window; the reach is infinite where there is none.

    A bias that happens to vanish between two windows shows between the narrower ones.
    """
    drift = np.abs(np.diff(values))
    beyond_noise = drift - 3 * np.hypot(errors[1:], errors[:-1])
    later = np.maximum.accumulate(np.nan_to_num(beyond_noise)[::-1])[::-1]
    reach = SIGMAS * errors[1:] + np.maximum(drift, later)
    best = int(np.argmin(np.where(np.isnan(reach), np.inf, reach)))
    return float(values[1:][best]), float(reach[best]) if np.isfinite(reach[best]) else np.inf
