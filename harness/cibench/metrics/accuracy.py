"""How far off the estimates are: bias, squared and absolute error, spread, and their medians.

`t` are the estimates and `theta` the truths of the same replicates. All rests on the errors
t - theta, so that it also holds where every replicate has a truth of its own. Formulas after
Morris, White and Crowther (2019), Statistics in Medicine 38, table 6.

`t` are the estimates and `theta` the truths of the same replicates.
"""

from __future__ import annotations

from math import nan, sqrt

import numpy as np

from cibench.metrics.core import (
    BLANK,
    NO_SPREAD,
    Score,
    blank,
    jackknife,
    leave_one_out_sd,
    mean,
    mean_score,
    root,
    standard_deviation,
)
from cibench.model.types import Array


@np.errstate(all="ignore")
def bias(t: Array, theta: Array) -> Score:
    """Return the mean error, with error S / sqrt n."""
    return mean_score(t - theta)


@np.errstate(all="ignore")
def relative_bias(t: Array, theta: Array) -> Score:
    """Return the mean error over the mean truth, blank where that is zero.

    Its error is the delta method's for a ratio of two means.
    """
    truth = mean(theta)
    if not t.size or truth == 0:
        return blank("the truth is zero") if t.size else BLANK
    ratio = mean(t - theta) / truth
    return Score(ratio, mean_score(t - theta - ratio * theta).mcse / abs(truth))


@np.errstate(all="ignore")
def mse(t: Array, theta: Array) -> Score:
    """Return the mean squared error, with error sqrt(sum((sq - MSE)^2) / (n (n - 1)))."""
    return mean_score(np.square(t - theta))


@np.errstate(all="ignore")
def mae(t: Array, theta: Array) -> Score:
    """Return the mean absolute error, with the error of a mean, S / sqrt n of the |t - theta|."""
    return mean_score(np.abs(t - theta))


def rmse(t: Array, theta: Array) -> Score:
    """Return the root of the mean squared error, with that one's error over 2 RMSE."""
    return root(mse(t, theta))


@np.errstate(all="ignore")
def empirical_se(t: Array, theta: Array, *, normal: bool = False) -> Score:
    """Return the standard deviation of the errors, blank of one replicate.

    Its error is the centred jackknife's (of two replicates none), or S / sqrt(2 (n - 1)) with
    `normal`, which is right for normal estimates only.
    """
    errors = t - theta
    value = standard_deviation(errors)
    if t.size == 1:
        return blank(NO_SPREAD)
    if normal:
        return Score(value, value / sqrt(2 * (t.size - 1))) if t.size else BLANK
    return Score(value, jackknife(leave_one_out_sd(errors)))


@np.errstate(all="ignore")
def median_score(x: Array) -> Score:
    """Return the median of `x`, with an error that needs no density and no moments.

    The number of values below the median is binomial(n, 1/2), with standard deviation sqrt(n)/2.
    The order statistics two such deviations to either side of the middle, l and u, lie a share
    (u - l)/(n + 1) apart, so that their distance estimates that share over the density f, and
    1/(2 f sqrt n), the median's large-sample error, is (x_u - x_l)(n + 1)/(2 sqrt n (u - l)).
    Source: McKean and Schrader (1984), Communications in Statistics 13, there with 1.96.
    Of one value there is no error.
    """
    n = x.size
    if not n:
        return BLANK
    ordered = np.sort(x)
    value = float(ordered[(n - 1) // 2] / 2 + ordered[n // 2] / 2)
    lower = max(0, round((n - 1) / 2 - sqrt(n)))
    steps = n - 1 - 2 * lower
    if not steps:
        return Score(value, nan)
    width = float(ordered[n - 1 - lower] - ordered[lower])
    return Score(value, width * (n + 1) / (2 * sqrt(n) * steps))


@np.errstate(all="ignore")
def median_bias(t: Array, theta: Array) -> Score:
    """Return the median error, with the error of `median_score`."""
    return median_score(t - theta)


@np.errstate(all="ignore")
def mad(t: Array, theta: Array) -> Score:
    """Return the median absolute error, the RMSE's counterpart that needs no moments.

    It is taken around the truth, not around the median estimate. Its error is `median_score`'s.
    """
    return median_score(np.abs(t - theta))
