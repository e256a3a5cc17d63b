"""What a posterior is worth: its score at the truth, and where the truth falls in it.

`pit` is the posterior's distribution function at the truth. Where all parameters are drawn from
the estimator's own prior it is uniform; at a fixed truth it is not, and nobody claims so: the
summaries then describe, they do not judge. Both columns were reduced in the worker, so that the
error of a simulated truth cannot enter them any more.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from cibench.metrics.core import (
    NO_SPREAD,
    Score,
    blank,
    jackknife,
    leave_one_out_sd,
    mean_score,
    standard_deviation,
)
from cibench.model.types import Array


@np.errstate(all="ignore")
def crps(scores: Array) -> Score:
    """Return the mean continuous ranked probability score, in the outcome's unit; error S/sqrt n.

    Source: Gneiting and Raftery (2007), JASA 102, section 4.2; smaller is better.
    """
    return mean_score(scores)


def pit_mean(pit: Array) -> Score:
    """Return the mean transform: below 1/2 the posterior lies too high, above it too low."""
    return mean_score(pit)


def pit_dispersion(pit: Array) -> Score:
    """Return the standard deviation of the transform over the uniform's, 1 / sqrt 12.

    Above 1 posteriors are too narrow, below 1 too wide. The error is the centred jackknife's.
    """
    if pit.size == 1:
        return blank(NO_SPREAD)
    scale = sqrt(12)
    return Score(scale * standard_deviation(pit), scale * jackknife(leave_one_out_sd(pit)))
