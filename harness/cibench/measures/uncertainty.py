"""How honest the standard errors are: their size, and their size over the errors' spread.

`t` are the estimates, `theta` the truths and `s` the standard errors of the same replicates.
Formulas after Morris, White and Crowther (2019), Statistics in Medicine 38, table 6.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from cibench.measures.accuracy import empirical_se
from cibench.measures.core import (
    ALL_EQUAL,
    Score,
    blank,
    jackknife,
    leave_one_out_mean,
    leave_one_out_sd,
    mean_score,
    root,
)
from cibench.model import Array


@np.errstate(all="ignore")
def model_se(s: Array) -> Score:
    """Return sqrt(mean s^2), with error sqrt(Var(s^2) / (4 n ModSE^2))."""
    return root(mean_score(np.square(s)))


@np.errstate(all="ignore")
def se_ratio(t: Array, theta: Array, s: Array, *, normal: bool = False) -> Score:
    """Return the model SE over the empirical SE, blank where the latter is zero.

    Its error is the centred jackknife's of the ratio, which heeds that s^2 and the squared error
    may move together; with `normal` it is
    ratio * sqrt(Var(s^2) / (4 n ModSE^4) + 1 / (2 (n - 1))), for normal estimates and
    independent s.
    """
    model, empirical = model_se(s), empirical_se(t, theta, normal=True)
    if not empirical.value > 0:
        return blank(empirical.why or (ALL_EQUAL if t.size else ""))
    ratio = model.value / empirical.value
    if normal:
        share = model.mcse / model.value if model.value else 0.0
        return Score(ratio, ratio * sqrt(share**2 + 1 / (2 * (t.size - 1))))
    each = np.sqrt(leave_one_out_mean(np.square(s))) / leave_one_out_sd(t - theta)
    return Score(ratio, jackknife(each))
