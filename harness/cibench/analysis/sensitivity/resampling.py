"""Resample the replicates of a curve, jointly over its settings where these share their noise.

Coverage between two settings is interpolated in the intervals, not in their coverage. A dial
changes what is done with the noise and not the noise, so that one replicate's limits (less the
truth) are a smooth function of the setting: between neighbouring settings they are taken as
linear, and coverage there is the share of the interpolated intervals that hold the truth. This is
exact where bias and standard error are linear in the setting. A straight line between two
coverages is not: coverage is flat around a bias of zero, and the line would put a breakdown point
between the default and the first setting at about half of where it is. Without pairing, and for
replicates without an ordinary interval at both ends, the straight line is all there is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cibench.analysis.sensitivity.dose_response import Curve
from cibench.metrics.intervals import covers
from cibench.model.types import Array

DRAWS = 999
"""Resamples: the 25th and the 975th in order are the 2.5 and 97.5 % points."""

STEPS = 16
"""Pieces into which a stretch between two settings is cut; a power of two, see `_exact`."""

_ROOM = 4_000_000
_SHARES = np.arange(1, STEPS) / STEPS


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
    pieces = np.zeros((STEPS, curve.settings.size - 1, curve.there.shape[1]))
    if curve.paired:
        pieces = _piece_columns(curve)
    sums, between = _all_sums(curve, cells, pieces, rng)
    hits, runs, answers, u, uu, q, qq = np.moveaxis(sums, 1, 0)
    spread = np.sqrt((uu - u**2 / answers) / (answers - 1))
    of_square = np.sqrt((qq - q**2 / answers) / (answers - 1))
    root = np.sqrt(answers)
    fine, coverage = _along(curve.settings, hits / runs, between)
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


def _piece_columns(curve: Curve) -> Array:
    """Return by how much each replicate's interpolated interval covers more than the straight line.

    Shape (STEPS, settings - 1, replicates); the last of the steps marks who is there at both ends.
    """
    share = _SHARES[:, None, None]
    low = (1 - share) * curve.low[:-1] + share * curve.low[1:]
    high = (1 - share) * curve.high[:-1] + share * curve.high[1:]
    line = (1 - share) * curve.covered[:-1] + share * curve.covered[1:]
    smooth = curve.ordinary[:-1] & curve.ordinary[1:]
    more = np.where(smooth, covers(low, high, 0.0) - line, 0.0)
    both = (curve.there[:-1] & curve.there[1:]).astype(float)
    return np.concatenate([more, both[None]])


def _along(settings: Array, coverage: Array, between: Array) -> tuple[Array, Array]:
    """Return the fine settings and the coverage at them, a line for each resample."""
    share = _SHARES[:, None]
    line = (1 - share) * coverage[:, None, :-1] + share * coverage[:, None, 1:]
    inside = line + np.nan_to_num(between[:, :-1] / between[:, -1:])
    pieces = np.concatenate([coverage[:, None, :-1], inside], axis=1)  # resample, step, stretch
    flat = np.swapaxes(pieces, 1, 2).reshape(len(coverage), -1)
    steps = np.arange(STEPS) / STEPS
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
