"""Where something passes a bound: an interpolated setting with limits from resampling."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan

import numpy as np

from cibench.model import Array
from cibench.sensitivity.curve import Curve, Side
from cibench.sensitivity.doubt import ALPHA
from cibench.sensitivity.resample import DRAWS, STEPS, Resampled

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Crossing:
    """Hold where something passes a bound and within which limits, as settings.

    `low` is the milder end, `high` the harsher one; an infinite `high` says that at least one
    resample in forty does not pass within the settings that were run. `share` of them do.
    """

    value: float
    low: float
    high: float
    share: float


NOWHERE = Crossing(nan, nan, nan, nan)


def breakdown(curve: Curve, side: Side, found: Resampled, bound: float) -> Crossing:
    """Return the smallest violation at which coverage, failures as misses, is below the bound.

    The value is interpolated (see `cibench.sensitivity.resample`), blank where the sample's
    coverage never falls below; the limits are the percentile bootstrap's.
    """
    along = np.concatenate([
        np.arange(STEPS * a, STEPS * b, side.sign)
        for a, b in zip(side.at[:-1], side.at[1:], strict=True)
    ] + [[STEPS * side.at[-1]]]).astype(int)  # fmt: skip
    place = side.sign * (found.fine[along] - curve.default)
    return crossing(curve, side, passes(place, found.coverage[:, along] - bound))


def half_se(curve: Curve, side: Side, found: Resampled) -> Crossing:
    """Return the first setting at which the absolute bias exceeds half an empirical SE.

    Between settings bias and standard error are taken as linear.
    """
    known = side.at[~np.isnan(found.bias[0, side.at] + found.se[0, side.at])]
    if not known.size:
        return NOWHERE
    place = side.sign * (curve.settings[known] - curve.default)
    bias, half = found.bias[:, known], found.se[:, known] / 2
    passed = np.minimum(passes(place, half - bias), passes(place, half + bias))
    return crossing(curve, side, passed)


def passes(place: Array, heights: Array) -> Array:
    """Return for each line of heights where it passes below zero, infinity where it does not.

    Heights are linear between places; a line that starts below zero passes at the first place. A
    share of n replicates moves in steps and may rest on the bound: it then passes in the middle
    of that rest: its end alone is late by half a step, a quarter of a standard error at n = 100.
    """
    below = heights < -_ROUNDING
    fallen = below.argmax(axis=1)
    steps = np.arange(place.size)
    above = (heights > _ROUNDING) & (steps < fallen[:, None])
    touching = np.where(above, steps, -1).max(axis=1) + 1
    middle = (_zero(place, heights, touching) + _zero(place, heights, fallen)) / 2
    return np.where(below.any(axis=1), middle, inf)


def _zero(place: Array, heights: Array, after: Array) -> Array:
    """Return where lines reach zero on their way to the places `after`."""
    before, each = np.maximum(after - 1, 0), np.arange(len(heights))
    a, b = heights[each, before], heights[each, after]
    with np.errstate(all="ignore"):
        share = np.where(after > 0, np.nan_to_num(np.clip(a / (a - b), 0, 1), nan=1.0), 0.0)
    return np.asarray(place[before] + share * (place[after] - place[before]))


def crossing(curve: Curve, side: Side, passed: Array) -> Crossing:
    """Turn violations, of the sample and then of its resamples, into settings with limits.

    Beyond the settings that were run nothing is known: the lower limit goes no further than the
    harshest of them. Where the default was not run, a line that is below from the start has
    fallen somewhere before it. The limits are blank from one replicate, and where all resamples
    agree on a place between the settings: there is then nothing to tell an error from.
    """
    reach = side.sign * (curve.settings[side.at[[0, -1]]] - curve.default)
    tail = round((DRAWS + 1) * ALPHA / 2)
    ordered = np.sort(passed[1:])
    low, high = min(ordered[tail - 1], reach[1]), ordered[-tail]
    value = passed[0] if passed[0] < inf else nan
    stuck = ordered[0] == ordered[-1] and reach[0] < ordered[0] < inf
    if stuck or curve.there.any(axis=0).sum() < 2:
        low = high = nan
    if not side.from_default:
        low = 0.0 if low == reach[0] else low
        value = nan if value == reach[0] else value
    value, low, high = (_setting(curve, side, float(v)) for v in (value, low, high))
    return Crossing(value, low, high, float(np.isfinite(passed[1:]).mean()))


def _setting(curve: Curve, side: Side, violation: float) -> float:
    """Return the setting at a violation, to the bit where it is one that was run."""
    run = side.sign * (curve.settings[side.at] - curve.default)
    same = np.flatnonzero(run == violation)
    if same.size:
        return float(curve.settings[side.at[same[0]]])
    return curve.default + side.sign * violation
