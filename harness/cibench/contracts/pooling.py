"""Pool statistics over independent draws until they are precise, with tolerances beside them.

A gauge turns a draw into rows of (numerator, denominator); pooled, each row is a ratio whose
standard error comes from the variation between the draws, as units of one draw may share shocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from cibench.contracts.common import small_draw
from cibench.design import Scenario
from cibench.model import Array, Draw, Target, Truth

SIGMAS = 4.5
CLOSE = 1e-9
DRAWS = 24
CONFIRMED = 96
"""How many draws must contradict a truth; fewer give so rough an error that they may be wrong."""
ROWS = 2_000_000
PRECISE = 0.012
"""The reach to come to: 4.5 errors of a quarter of a percent, so that 2 % off is seen for sure."""
ROUNDING = 0.003
"""What a share of units that is no whole number may change in an average, in s.d. of effects."""


class Reading(NamedTuple):
    """Hold a pooled value and how far from it the truth may lie."""

    what: str
    value: float
    reach: float


class Question(NamedTuple):
    """Hold what is asked of the draws: the gauge, how to read it, the truth and how far it varies.

    `spread` is the standard deviation of the effects.
    """

    gauge: Callable[[Draw], Array]
    read: Callable[[Array], list[Reading]]
    truth: Truth
    spread: float

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
        effects = draw.averaged(target)
        return np.array([[effects.sum(), effects.size]])

    def read(statistics: Array) -> list[Reading]:
        (value,), (se,) = pool(statistics)
        reach = max(SIGMAS * se, ROUNDING * spread, CLOSE * abs(value))
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
        readings = {t: q.read(np.stack(statistics[t])) for t, q in questions.items()}
        if rows >= ROWS or all(_settled(q, readings[t], done) for t, q in questions.items()):
            return readings


def _settled(question: Question, readings: list[Reading], draws: int) -> bool:
    precise = all(reading.reach <= question.goal for reading in readings)
    accused = any(question.wrong(reading) for reading in readings)
    return precise and (draws >= CONFIRMED or not accused)
