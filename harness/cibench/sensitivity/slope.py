"""How fast bias grows: its slope over the violation, with the error that pairing leaves."""

from __future__ import annotations

from math import nan, sqrt

import numpy as np

from cibench.model import Array
from cibench.sensitivity.curve import Curve, Side


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
    moves = weight[:, None] * np.where(answered[at], error - bias[:, None], 0.0)
    variance = _paired(curve, moves, n) if curve.paired else _unpaired(moves, n)
    if curve.truth_moves:
        shared = np.nan_to_num(curve.score("truth_mcse")[at])
        variance += float(np.square(weight * shared).sum())
    return float((weight * bias).sum()), sqrt(variance)


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
