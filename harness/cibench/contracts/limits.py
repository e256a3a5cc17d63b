"""The limit of the drawn effects as the latent running variable comes to the cutoff.

On either side a line is fitted to the effects within ever smaller windows and read off at the
cutoff. Curvature moves a fit by what shrinks with the square of the window, so halving the window
shows at least three times the bias that is left; noise grows instead. The window whose error by
both counts is the smallest is the one to trust.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cibench.contracts.common import behind
from cibench.contracts.pooling import SIGMAS, Question, Reading, pool
from cibench.model import Array, Draw, Roles, Target, Truth

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
