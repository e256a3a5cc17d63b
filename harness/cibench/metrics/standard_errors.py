"""How honest and how small standard errors are: their ratio, precision gained, power at size.

`t` are the estimates, `theta` the truths and `s` the standard errors of the same replicates.
Formulas after Morris, White and Crowther (2019), Statistics in Medicine 38, table 6.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil, sqrt

import numpy as np

from cibench.metrics.accuracy import empirical_se
from cibench.metrics.core import (
    ALL_EQUAL,
    Score,
    blank,
    jackknife,
    leave_one_out_mean,
    leave_one_out_sd,
    proportion,
    standard_deviation,
)
from cibench.metrics.influence import Jackknifed, Result, RootMeanSquare, scored
from cibench.metrics.moments import dominated, vary
from cibench.metrics.registry import POINTS, REPORTED, Kind, Loss, metric
from cibench.model.types import Array

FEW = "too few replicates for a critical value"

FEWEST_BEYOND = 5
"""With fewer null replicates expected beyond it, the critical value hangs on a handful."""


def size_adjusted_power(statistic: Array, null: Array, level: float) -> Score:
    """Return how often |statistic| exceeds what |null| exceeds in a share alpha of replicates.

    `statistic` and `null` are estimate over standard error in the cell and in the one where the
    truth is zero, of the same replicates, which share their noise; alpha is 1 - level. The
    critical value c is the ceil(level (m + 1))-th smallest |null|. To first order the power
    p(c) errs by the mean of 1{|statistic| > c} - p - r (1{|null| > c} - alpha), where
    r = dp / dalpha is the ratio of the two densities at c (Bahadur's expansion of a quantile);
    r is the change of p between the order statistics two binomial standard deviations to either
    side of c. The error is S / sqrt m of these terms: their pairing counts.
    Wilson's limits take the number of independent tries that would have this error.
    Blank with fewer than 5 / alpha replicates. Source: Davidson and MacKinnon (1998), The
    Manchester School 66, on size-corrected power.
    """
    m, alpha = null.size, 1 - level
    if not 0 < level < 1:
        return blank("no level between 0 and 1")
    if not m * alpha > FEWEST_BEYOND - 1e-9:
        return blank(FEW if m else "")
    size, sizes = np.abs(statistic), np.sort(np.abs(null))
    place = min(ceil(level * (m + 1)), m) - 1
    reach = max(1, round(2 * sqrt(m * alpha * level)))
    below, above = max(0, place - reach), min(m - 1, place + reach)
    beyond, null_beyond = size > sizes[place], np.abs(null) > sizes[place]
    lost = ((size > sizes[below]) & (size <= sizes[above])).mean()
    ratio = float(lost) * m / (above - below)
    terms = beyond - ratio * null_beyond
    power, error = float(beyond.mean()), standard_deviation(terms) / sqrt(m)
    tries = power * (1 - power) / error**2 if 0 < power < 1 and error else m
    return replace(proportion(power * tries, tries), value=power, mcse=error)


@np.errstate(all="ignore")
def precision_gain(t: Array, reference: Array, theta: Array, *, normal: bool = False) -> Score:
    """Return S_A^2 / S_B^2 - 1, the precision of `t` (B) over that of `reference` (A), less one.

    All three are of the same replicates. The error is the centred jackknife's over replicates,
    which keeps the pairs together; with `normal` it is 2 (S_A^2/S_B^2) sqrt((1 - r^2)/(n - 1)),
    r the correlation of the errors, for normal estimates (Morris, White and Crowther 2019, table
    6, without its factor 100). Blank where an error varies by no more than rounding.
    """
    ours, theirs = _spread(t, theta), _spread(reference, theta)
    if not ours.value > 0 or not theirs.value > 0:
        return blank(ours.why or theirs.why)
    ratio = (theirs.value / ours.value) ** 2
    mine, other = t - theta, reference - theta
    if normal:
        return Score(ratio - 1, 2 * ratio * sqrt(_unshared(mine, other) / (t.size - 1)))
    each = np.square(leave_one_out_sd(other) / leave_one_out_sd(mine))
    return Score(ratio - 1, jackknife(each))


def _unshared(mine: Array, other: Array) -> float:
    """Return 1 - r^2 of two columns, exactly 0 of equal ones, where 1 less r^2 is rounding."""
    a, b = mine - mine.mean(), other - other.mean()
    rest = a - b * (float(a @ b) / float(b @ b))
    return float(rest @ rest) / float(a @ a)


@metric(
    ("std_error",), Kind.RELATIVE, place=60, label="model SE",
    meaning="root mean square of the standard errors reported", tables=REPORTED,
)  # fmt: skip
def model_se(s: Array) -> Result:
    """Return sqrt(mean s^2), with error sqrt(Var(s^2) / (4 n ModSE^2)).

    Blank where one replicate makes the sum of squares.
    """
    reason = dominated(s)
    return blank(reason) if reason else RootMeanSquare(s)


@metric(
    (*POINTS, "std_error"), Kind.RELATIVE, place=70, label="SE ratio",
    meaning="model SE over empirical SE; 1 is honest", loss=Loss.SIZE, moments="hidden",
    truth_cancels=True, tables=(*REPORTED, "paper", "summary"),
)  # fmt: skip
def se_ratio(t: Array, theta: Array, s: Array, *, normal: bool = False) -> Result:
    """Return the model SE over the empirical SE.

    Blank where the estimates vary by no more than rounding, or one replicate makes the sum of
    squared standard errors. Its error is the centred jackknife's of the ratio, which heeds that s^2
    and the squared error may move together; with `normal` it is
    ratio * sqrt(Var(s^2) / (4 n ModSE^4) + 1 / (2 (n - 1))), for normal estimates and
    independent s.
    """
    model, empirical = scored(model_se(s)), _spread(t, theta)
    if not empirical.value > 0 or model.why:
        return blank(empirical.why or model.why)
    ratio = model.value / empirical.value
    if normal:
        share = model.mcse / model.value if model.value else 0.0
        return Score(ratio, ratio * sqrt(share**2 + 1 / (2 * (t.size - 1))))
    each = np.sqrt(leave_one_out_mean(np.square(s))) / leave_one_out_sd(t - theta)
    return Jackknifed(ratio, each)


def _spread(t: Array, theta: Array) -> Score:
    """Return the empirical SE, blank where the errors vary by no more than rounding."""
    spread = scored(empirical_se(t, theta, normal=True))
    return blank(ALL_EQUAL) if t.size > 1 and not vary(t, theta) else spread
