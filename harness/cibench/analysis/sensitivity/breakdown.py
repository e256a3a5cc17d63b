"""Where a curve passes a bound, beyond doubt and interpolated, and how fast bias grows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from math import inf, isfinite, nan, sqrt

import numpy as np

from cibench.analysis.error_verdicts import unseen
from cibench.analysis.sensitivity.dose_response import Curve, Line, Side
from cibench.analysis.sensitivity.resampling import DRAWS, STEPS, Resampled
from cibench.model.types import Array
from cibench.utils.missing import missing

ROUNDING = 1e-12
ALPHA = 0.05
"""How often a statement about a curve may be wrong: brackets, intervals, bands, `non-monotone`."""


def bracket(curve: Curve, side: Side, bound: float) -> tuple[float, float]:
    """Return the settings between which coverage falls below the bound beyond doubt.

    The second is the mildest setting whose coverage is confidently below the bound, the first the
    harshest milder one that is confidently above; NaN where there is none. Confidently: an exact
    one-sided binomial test at ALPHA over the number of the curve's settings. At each setting only
    one of the two statements can be wrong, so that by Bonferroni's inequality a curve holds a
    wrong one with probability ALPHA at most, however its settings depend on each other.
    """
    above, below = _beyond_doubt(curve, bound)
    broken = side.at[below[side.at]]
    milder = side.at[: int(np.argmax(below[side.at]))] if broken.size else side.at
    sound = milder[above[milder]]
    ends = (sound[-1] if sound.size else None, broken[0] if broken.size else None)
    low, high = (nan if at is None else float(curve.settings[at]) for at in ends)
    return low, high


def _beyond_doubt(curve: Curve, bound: float) -> tuple[Array, Array]:
    """Say of each setting whether coverage is confidently above and confidently below the bound."""
    from scipy.special import bdtr, bdtrc

    covered, runs = curve.covered.sum(axis=1), curve.there.sum(axis=1)
    alpha = ALPHA / curve.settings.size
    above = np.where(covered > 0, bdtrc(np.maximum(covered - 1, 0), runs, bound), 1.0) <= alpha
    return above, bdtr(covered, runs, bound) <= alpha


def rises(curve: Curve, side: Side) -> bool:
    """Say whether coverage is beyond doubt higher at a harsher setting than at a milder one.

    Every pair of settings is tested one-sided at ALPHA over the number of pairs: by McNemar's
    exact test on the replicates that both have, or without pairing by a normal test of the
    difference after one success and one failure were added to each side (Agresti, Caffo 2000).
    """
    pairs = list(combinations(side.at, 2))
    test = _mcnemar if curve.paired else _difference
    return any(test(curve, mild, harsh) <= ALPHA / len(pairs) for mild, harsh in pairs)


def _mcnemar(curve: Curve, mild: int, harsh: int) -> float:
    from scipy.special import bdtrc

    both = curve.there[mild] & curve.there[harsh]
    gained = int((both & curve.covered[harsh] & ~curve.covered[mild]).sum())
    lost = int((both & curve.covered[mild] & ~curve.covered[harsh]).sum())
    return float(bdtrc(gained - 1, gained + lost, 0.5)) if gained else 1.0


def _difference(curve: Curve, mild: int, harsh: int) -> float:
    from scipy.special import ndtr

    runs = [int(curve.there[at].sum()) + 2 for at in (mild, harsh)]
    p = [(int(curve.covered[at].sum()) + 1) / n for at, n in zip((mild, harsh), runs, strict=True)]
    error = sqrt(sum(x * (1 - x) / n for x, n in zip(p, runs, strict=True)))
    return float(ndtr((p[0] - p[1]) / error))


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


def breakdown(curve: Curve, side: Side, resampled: Resampled, bound: float) -> Crossing:
    """Return the smallest violation at which coverage, failures as misses, is below the bound.

    The value is interpolated (see `cibench.analysis.sensitivity.resampling`), blank where the
    sample's coverage never falls below; the limits are the percentile bootstrap's.
    """
    along = np.concatenate([
        np.arange(STEPS * a, STEPS * b, side.sign)
        for a, b in zip(side.at[:-1], side.at[1:], strict=True)
    ] + [[STEPS * side.at[-1]]]).astype(int)  # fmt: skip
    place = side.sign * (resampled.fine[along] - curve.default)
    return crossing(curve, side, passes(place, resampled.coverage[:, along] - bound))


def half_se(curve: Curve, side: Side, resampled: Resampled) -> Crossing:
    """Return the first setting at which the absolute bias exceeds half an empirical SE.

    Between settings bias and standard error are taken as linear. The limits are the percentile
    bootstrap's; the harsher one takes the SE for as much larger as replicates cannot rule out
    (`cibench.analysis.error_verdicts.unseen`), since without it they hold 65 to 90 times in 100
    where tails are heavy: few of 200 lognormal errors are in the tail that makes their variance.
    """
    known = side.at[~np.isnan(resampled.bias[0, side.at] + resampled.se[0, side.at])]
    if not known.size:
        return NOWHERE
    place = side.sign * (curve.settings[known] - curve.default)
    bias, half = resampled.bias[:, known], resampled.se[:, known] / 2
    room = np.array([unseen(n, ALPHA) for n in curve.answered[known].sum(axis=1)])
    first, late = (
        crossing(curve, side, np.minimum(passes(place, most - bias), passes(place, most + bias)))
        for most in (half, half * room)
    )
    return replace(first, high=late.high)


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


def surely_breaks(line: Line) -> bool:
    """Say whether a curve has a breakdown point that is more than an estimate.

    Its upper limit lies within the settings that were run, or coverage is below the bound beyond
    doubt at one of them: of a method that never breaks, chance alone often makes a bare point.
    """
    if missing(line["breakdown"]):
        return False
    return isfinite(float(line["breakdown_high"])) or not missing(line["bracket_high"])


def slope(curve: Curve, side: Side) -> tuple[float, float]:
    """Return the slope of bias per unit of violation and its Monte Carlo error.

    The least-squares line through the biases b_j at violations v_j has slope sum_j w_j b_j with
    w_j = (v_j - mean v) / sum_j (v_j - mean v)^2. Replicate r moves it by
    z_r = sum_j w_j (e_rj - b_j) a_rj R / n_j, where e_rj is its error and a_rj says whether it
    answered, which n_j of the R do; the error is sqrt(sum_r z_r^2 / (R (R - 1))). Where all
    answer, z_r is the replicate's own slope less the mean slope, and what the settings share
    cancels. The settings of an unpaired dial add their own errors, w_j^2 s_j^2 / n_j. A simulated
    truth's error cancels too, unless the truth moves. NaN where fewer than two settings have
    estimates, without an error from one replicate.
    """
    answered, count = curve.answered, curve.answered.sum(axis=1)
    at = side.at[count[side.at] > 0]
    if at.size < 2:
        return nan, nan
    violation = side.sign * (curve.settings[at] - curve.default)
    weight = violation - violation.mean()
    weight /= np.square(weight).sum()
    error, n = np.where(answered[at], curve.error[at], 0.0), count[at]
    bias = error.sum(axis=1) / n
    truth = np.abs(np.nan_to_num(curve.score("truth")[at]))
    size = max(float(np.abs(error).max()), float(truth.max()))
    flat = float(np.ptp(bias)) <= ROUNDING * size  # one mean, added up in another order
    moves = weight[:, None] * np.where(answered[at], error - bias[:, None], 0.0)
    variance = _paired(curve, moves, n) if curve.paired else _unpaired(moves, n)
    if curve.truth_moves:
        shared = np.nan_to_num(curve.score("truth_mcse")[at])
        variance += float(np.square(weight * shared).sum())
    return 0.0 if flat else float((weight * bias).sum()), sqrt(variance)


def _paired(curve: Curve, moves: Array, n: Array) -> float:
    replicates = int(curve.there.any(axis=0).sum())
    if replicates < 2:
        return nan
    each = (moves * (replicates / n)[:, None]).sum(axis=0)
    return float(np.square(each).sum()) / (replicates * (replicates - 1))


def _unpaired(moves: Array, n: Array) -> float:
    if (n < 2).any():
        return nan
    return float((np.square(moves).sum(axis=1) / (n * (n - 1))).sum())
