"""How precise an estimator is beside another one on the same data sets."""

from __future__ import annotations

from math import sqrt

import numpy as np

from cibench.measures.accuracy import empirical_se
from cibench.measures.core import ALL_EQUAL, Score, blank, jackknife, leave_one_out_sd
from cibench.model import Array


@np.errstate(all="ignore")
def precision_gain(t: Array, reference: Array, theta: Array, *, normal: bool = False) -> Score:
    """Return S_A^2 / S_B^2 - 1, the precision of `t` (B) over that of `reference` (A), less one.

    All three are of the same replicates. The error is the centred jackknife's over replicates,
    which keeps the pairs together; with `normal` it is 2 (S_A^2/S_B^2) sqrt((1 - r^2)/(n - 1)),
    r the correlation of the errors, for normal estimates (Morris, White and Crowther 2019, table
    6, without its factor 100). Blank where an error never varies.
    """
    ours, theirs = empirical_se(t, theta, normal=True), empirical_se(reference, theta, normal=True)
    if not ours.value > 0 or not theirs.value > 0:
        return blank(ours.why or (ALL_EQUAL if t.size else ""))
    ratio = (theirs.value / ours.value) ** 2
    mine, other = t - theta, reference - theta
    if normal:
        r = float(np.corrcoef(mine, other)[0, 1])
        return Score(ratio - 1, 2 * ratio * sqrt(max(0.0, 1 - r**2) / (t.size - 1)))
    each = np.square(leave_one_out_sd(other) / leave_one_out_sd(mine))
    return Score(ratio - 1, jackknife(each))
