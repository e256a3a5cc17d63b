"""How far off the estimates are where averages settle on nothing: medians of the errors.

`t` are the estimates and `theta` the truths of the same replicates.
"""

from __future__ import annotations

from math import nan, sqrt

import numpy as np

from cibench.measures.core import BLANK, Score
from cibench.model import Array


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
