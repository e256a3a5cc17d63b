"""Resample the replicates of a curve, jointly over its settings where these share their noise.

Coverage between two settings is interpolated in the intervals, not in their coverage. A dial
changes what is done with the noise and not the noise, so that one replicate's limits (less the
truth) are a smooth function of the setting: between neighbouring settings they are taken as
linear, and coverage there is the share of the interpolated intervals that hold the truth. This is
exact where bias and standard error are linear in the setting. A straight line between two
coverages is not: coverage is flat around a bias of zero, and the line would put a breakdown point
between the default and the first setting at about half of where it is. Without pairing, and for
replicates without an ordinary interval at both ends, the straight line is all there is.

Coverage is looked at where it changes, however far the settings lie apart: an interpolated interval
holds the truth on one stretch of the way, and the ends of these stretches, at quantiles that lie
closest where the first ones lose it, are looked at from both sides. What is drawn between two such
looks is a straight line over about a fiftieth of the coverage that is lost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cibench.analysis.sensitivity.dose_response import Curve
from cibench.metrics.intervals import covers
from cibench.model.types import Array

DRAWS = 999
"""Resamples: the 25th and the 975th in order are the 2.5 and 97.5 % points."""

ENDS, EVEN = 24, 15
"""How many of the settings at which replicates lose the truth, or come to it, are looked at, each
from both sides; and how many at equal distances besides."""

STEPS = 4 * ENDS + EVEN + 1
"""Pieces into which a stretch between two settings is cut."""

BESIDE = 2.0**-40
"""How far from an end the looks from its sides are, as a share of the stretch."""

_ROOM = 4_000_000


@dataclass(frozen=True, eq=False)
class Resampled:
    """Hold a curve's statistics, first of the sample itself, then of each resample.

    `fine` are the settings and the points between them, `coverage` counts failures as misses.
    `bias`, `se` (the empirical standard error) have a column for each setting, as have `bias_t`
    and `mse_t`: how far a resample's mean error and mean squared error are from the sample's, in
    the resample's own standard errors.
    """

    fine: Array
    coverage: Array
    bias: Array
    se: Array
    bias_t: Array
    mse_t: Array


@np.errstate(all="ignore")
def resample(curve: Curve, rng: np.random.Generator) -> Resampled:
    """Draw replicates with replacement and return the statistics of every resample.

    All settings get the same replicates, which keeps what they share; the settings of an unpaired
    dial are drawn one by one. The common error of a simulated truth is drawn along with them.
    """
    cells, centre = _cell_columns(curve)
    shares = _looks(curve)
    pieces = np.zeros((STEPS, curve.settings.size - 1, curve.there.shape[1]))
    if curve.paired:
        pieces = _piece_columns(curve, shares)
    sums, between = _all_sums(curve, cells, pieces, rng)
    hits, runs, answers, u, uu, q, qq = np.moveaxis(sums, 1, 0)
    spread = np.sqrt((uu - u**2 / answers) / (answers - 1))
    of_square = np.sqrt((qq - q**2 / answers) / (answers - 1))
    root = np.sqrt(answers)
    fine, coverage = _along(curve.settings, shares, hits / runs, between)
    shift = _truth_shift(curve, rng)
    if shift.any():
        slack = shift * _slack(curve)
        coverage += np.array([np.interp(fine, curve.settings, by) for by in slack])
    return Resampled(
        fine, coverage, centre + u / answers + shift * _truth_mcse(curve), spread,
        np.nan_to_num(u / answers / (spread / root), posinf=np.inf),
        np.nan_to_num(q / answers / (of_square / root), posinf=np.inf),
    )  # fmt: skip


def _all_sums(
    curve: Curve, cells: Array, pieces: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return the sums of the columns over each resample: of the cells, and between them."""
    width, settings = cells.shape[:2]
    if curve.paired:
        columns = [*cells.reshape(width * settings, -1), *pieces.reshape(-1, cells.shape[2])]
        every = _sums(np.array(columns).T, rng)
        own = every[:, : width * settings].reshape(-1, width, settings)
        return own, every[:, width * settings :].reshape(len(every), STEPS, settings - 1)
    alone = [_sums(cells[:, j, curve.there[j]].T, rng) for j in range(settings)]
    return np.stack(alone, axis=2), np.zeros((DRAWS + 1, STEPS, settings - 1))


def _sums(columns: Array, rng: np.random.Generator) -> Array:
    """Sum columns of replicates over the sample, then over each resample."""
    count, columns = len(columns), _exact(columns)
    sums = np.empty((DRAWS + 1, columns.shape[1]))
    sums[0] = columns.sum(axis=0)
    block = max(1, _ROOM // count)
    for start in range(1, DRAWS + 1, block):
        size = min(block, DRAWS + 1 - start)
        picks = rng.integers(0, count, (size, count)) + count * np.arange(size)[:, None]
        times = np.bincount(picks.ravel(), minlength=size * count).reshape(size, count)
        sums[start : start + size] = times.astype(float) @ columns
    return sums


def _exact(columns: Array) -> Array:
    """Round columns to 2^-30 of their largest entry.

    Every sum over a resample is then exact, and no order of summation, no number of BLAS threads
    and no CPU can change a bit of it.
    """
    power = 30 - np.frexp(np.abs(columns).max(axis=0, initial=0.0))[1]
    return np.asarray(np.ldexp(np.rint(np.ldexp(columns, power)), -power))


def _cell_columns(curve: Curve) -> tuple[Array, Array]:
    """Return what is summed in each cell (columns, settings, replicates), and the mean errors.

    The columns: covered, run, answered; the error less its mean, and squared; the squared error
    less its mean, and squared.
    """
    answered = curve.answered
    count = answered.sum(axis=1)
    error = np.where(answered, curve.error, 0.0)
    centre, square = error.sum(axis=1) / count, np.square(error).sum(axis=1) / count
    u = np.where(answered, error - centre[:, None], 0.0)
    q = np.where(answered, np.square(error) - square[:, None], 0.0)
    flags = [np.asarray(x, dtype=float) for x in (curve.covered, curve.there, answered)]
    return np.array([*flags, u, u**2, q, q**2]), centre


@np.errstate(all="ignore")
def _looks(curve: Curve) -> Array:
    """Return where each stretch is looked at, as shares of it, ascending.

    The shape is (STEPS - 1, settings - 1). Limits that are linear along a stretch hold the truth
    from where the last of them comes to it to where the first leaves it.
    """
    even = np.arange(1, EVEN + 1) / (EVEN + 1)
    smooth = curve.ordinary[:-1] & curve.ordinary[1:]
    low, high = (
        (side[:-1], side[1:] - side[:-1]) for side in (curve.low, -curve.high)
    )  # each is not above 0 where the truth is held
    levels = ((np.arange(ENDS) + 0.5) / ENDS) ** 2
    looks = np.empty((STEPS - 1, curve.settings.size - 1))
    for j in range(curve.settings.size - 1):
        start, end = np.zeros(smooth.shape[1]), np.ones(smooth.shape[1])
        for at_start, rise in ((low[0][j], low[1][j]), (high[0][j], high[1][j])):
            zero = -at_start / rise
            end = np.where(rise > 0, np.minimum(end, zero), end)
            start = np.where(rise < 0, np.maximum(start, zero), start)
        inside = smooth[j] & (start <= end)
        losing, coming = (ends[inside & (ends > 0) & (ends < 1)] for ends in (end, start))
        looks[:, j] = np.sort(np.concatenate([
            even, *_both_sides(losing, levels), *_both_sides(coming, 1 - levels),
        ]))  # fmt: skip
    return looks


def _both_sides(ends: Array, levels: Array) -> tuple[Array, Array]:
    """Return what lies before and after quantiles of ends, of the middle where there are none."""
    if not ends.size:
        ends = np.array([0.5])
    at = np.sort(ends)[np.minimum((levels * ends.size).astype(int), ends.size - 1)]
    return np.maximum(at - BESIDE, 0.0), np.minimum(at + BESIDE, 1.0)


def _piece_columns(curve: Curve, shares: Array) -> Array:
    """Return by how much each replicate's interpolated interval covers more than the straight line.

    Shape (STEPS, settings - 1, replicates); the last of the steps marks who is there at both ends.
    """
    share = shares[:, :, None]
    low = (1 - share) * curve.low[:-1] + share * curve.low[1:]
    high = (1 - share) * curve.high[:-1] + share * curve.high[1:]
    line = (1 - share) * curve.covered[:-1] + share * curve.covered[1:]
    smooth = curve.ordinary[:-1] & curve.ordinary[1:]
    more = np.where(smooth, covers(low, high, 0.0) - line, 0.0)
    both = (curve.there[:-1] & curve.there[1:]).astype(float)
    return np.concatenate([more, both[None]])


def _along(settings: Array, share: Array, coverage: Array, between: Array) -> tuple[Array, Array]:
    """Return the fine settings and the coverage at them, a line for each resample."""
    line = (1 - share) * coverage[:, None, :-1] + share * coverage[:, None, 1:]
    inside = line + np.nan_to_num(between[:, :-1] / between[:, -1:])
    pieces = np.concatenate([coverage[:, None, :-1], inside], axis=1)  # resample, step, stretch
    flat = np.swapaxes(pieces, 1, 2).reshape(len(coverage), -1)
    steps = np.vstack([np.zeros(settings.size - 1), share]).T
    fine = (settings[:-1, None] + np.diff(settings)[:, None] * steps).ravel()
    return np.append(fine, settings[-1]), np.concatenate([flat, coverage[:, -1:]], axis=1)


def _truth_shift(curve: Curve, rng: np.random.Generator) -> Array:
    """Draw errors of the truth in its standard errors: one for all settings unless it moves."""
    shift = np.zeros((DRAWS + 1, curve.settings.size))
    if _truth_mcse(curve).any():
        width = curve.settings.size if curve.truth_moves else 1
        shift[1:] = rng.standard_normal((DRAWS, width))
    return shift


def _truth_mcse(curve: Curve) -> Array:
    return np.nan_to_num(curve.score("truth_mcse"))


def _slack(curve: Curve) -> Array:
    """Return what one standard error of the truth does to the coverage at each setting."""
    by = _truth_mcse(curve)[:, None]
    up, down = (covers(curve.low, curve.high, d, curve.rays).sum(axis=1) for d in (by, -by))
    change = (up - down) / 2
    return np.asarray(change / curve.there.sum(axis=1))
