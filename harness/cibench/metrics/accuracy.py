"""How far off the estimates are: bias, squared and absolute error, spread, and their medians.

`t` are the estimates and `theta` the truths of the same replicates. All rests on the errors
t - theta, so that it also holds where every replicate has a truth of its own. Formulas after
Morris, White and Crowther (2019), Statistics in Medicine 38, table 6.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from cibench.metrics.core import BLANK, NO_SPREAD, Score, blank, leave_one_out_sd, mean
from cibench.metrics.core import standard_deviation as sd
from cibench.metrics.influence import Absolute, Jackknifed, Mean, Median, Ratio, Result, Root
from cibench.metrics.registry import POINTS, REPORTED, Kind, Loss, metric
from cibench.model.types import Array


@metric(
    POINTS, Kind.IN_SE, place=10, label="bias", meaning="mean of estimate minus truth",
    loss=Loss.SIZE, moments="hidden", exact=True, tables=(*REPORTED, "paper", "summary"),
    median="median_bias",
)  # fmt: skip
def bias(t: Array, theta: Array) -> Mean:
    """Return the mean error, with error S / sqrt n."""
    return Mean(t - theta)


@metric(
    POINTS, Kind.IN_SE, place=15, label="|bias|", meaning="size of the bias", loss=Loss.ITSELF,
    moments="hidden", tables=("pairs", "plan", "differences"),
)  # fmt: skip
def absolute_bias(t: Array, theta: Array) -> Absolute:
    """Return the size of the mean error, by which two methods compare whatever their signs."""
    return Absolute(Mean(t - theta))


@metric(
    POINTS, Kind.AS_IS, place=20, label="relative bias", meaning="bias over the truth",
    loss=Loss.SIZE, moments="hidden", tables=REPORTED,
)  # fmt: skip
def relative_bias(t: Array, theta: Array) -> Result:
    """Return the mean error over the mean truth, blank where that is zero.

    Its error is the delta method's for a ratio of two means.
    """
    if not t.size or mean(theta) == 0:
        return blank("the truth is zero") if t.size else BLANK
    return Ratio(t - theta, theta)


@metric(
    POINTS, Kind.RELATIVE, place=30, label="MSE", meaning="mean squared error", loss=Loss.ITSELF,
    moments="hidden",
)  # fmt: skip
def mse(t: Array, theta: Array) -> Mean:
    """Return the mean squared error, with error sqrt(sum((sq - MSE)^2) / (n (n - 1)))."""
    return Mean(np.square(t - theta))


@metric(
    POINTS, Kind.RELATIVE, place=40, label="RMSE", meaning="root mean squared error",
    loss=Loss.ITSELF, moments="hidden", power=2, tables=(*REPORTED, "differences", "paper"),
    median="mad",
)  # fmt: skip
def rmse(t: Array, theta: Array) -> Root:
    """Return the root of the mean squared error, with that one's error over 2 RMSE."""
    return Root(Mean(np.square(t - theta)))


@metric(
    POINTS, Kind.RELATIVE, place=50, label="empirical SE",
    meaning="standard deviation of the estimates", loss=Loss.ITSELF, moments="hidden",
    truth_cancels=True, tables=(*REPORTED, "paper", "summary"),
)  # fmt: skip
def empirical_se(t: Array, theta: Array, *, normal: bool = False) -> Result:
    """Return the standard deviation of the errors, blank of one replicate.

    Its error is the centred jackknife's (of two replicates none), or S / sqrt(2 (n - 1)) with
    `normal`, which is right for normal estimates only.
    """
    errors = t - theta
    value = sd(errors)
    if t.size == 1:
        return blank(NO_SPREAD)
    if normal:
        return Score(value, value / sqrt(2 * (t.size - 1))) if t.size else BLANK
    return Jackknifed(value, leave_one_out_sd(errors))


@metric(
    POINTS, Kind.IN_SE, place=140, label="median bias", meaning="median of estimate minus truth",
    loss=Loss.SIZE, tables=REPORTED,
)  # fmt: skip
def median_bias(t: Array, theta: Array) -> Median:
    """Return the median error, with the error of `median_score`."""
    return Median(t - theta)


@metric(
    POINTS, Kind.RELATIVE, place=150, label="MAD", meaning="median absolute error",
    loss=Loss.ITSELF, tables=(*REPORTED, "differences"),
)  # fmt: skip
def mad(t: Array, theta: Array) -> Median:
    """Return the median absolute error, the RMSE's counterpart that needs no moments.

    It is taken around the truth, not around the median estimate. Its error is `median_score`'s.
    """
    return Median(np.abs(t - theta))


@metric(
    POINTS, Kind.RELATIVE, place=155, label="MdAPE",
    meaning="median absolute error over the size of the truth", loss=Loss.ITSELF,
)  # fmt: skip
def mdape(t: Array, theta: Array) -> Result:
    """Return the median absolute percentage error as a share, blank where a truth is zero.

    Each error is taken over the truth of its own replicate. Its error is `median_score`'s. Source:
    Hyndman and Koehler (2006), International Journal of Forecasting 22, section 2.2.
    """
    if not t.size or (theta == 0).any():
        return blank("a truth is zero") if t.size else BLANK
    return Median(np.abs((t - theta) / theta))


@metric(
    POINTS, Kind.RELATIVE, place=160, label="MAE", meaning="mean absolute error",
    loss=Loss.ITSELF, moments="hidden",
)  # fmt: skip
def mae(t: Array, theta: Array) -> Mean:
    """Return the mean absolute error, with the error of a mean, S / sqrt n of the |t - theta|."""
    return Mean(np.abs(t - theta))
