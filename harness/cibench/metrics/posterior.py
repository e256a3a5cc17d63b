"""What a posterior is worth: its score at the truth, and where the truth falls in it.

`pit` is the posterior's distribution function at the truth. Where all parameters are drawn from
the estimator's own prior it is uniform; at a fixed truth it is not, and nobody claims so: the
summaries then describe, they do not judge. Both columns were reduced in the worker, so that the
error of a simulated truth cannot enter them any more.
"""

from __future__ import annotations

from math import sqrt

from cibench.metrics.core import NO_SPREAD, blank, leave_one_out_sd, standard_deviation
from cibench.metrics.influence import Jackknifed, Mean, Result
from cibench.metrics.registry import Kind, Loss, metric
from cibench.model.types import Array


@metric(
    ("crps",), Kind.RELATIVE, place=260, label="CRPS",
    meaning="mean continuous ranked probability score of the posteriors", loss=Loss.ITSELF,
)  # fmt: skip
def crps(scores: Array) -> Mean:
    """Return the mean continuous ranked probability score, in the outcome's unit; error S/sqrt n.

    Source: Gneiting and Raftery (2007), JASA 102, section 4.2; smaller is better.
    """
    return Mean(scores)


@metric(
    ("pit",), Kind.AS_IS, place=270, label="mean PIT",
    meaning="mean of the posterior's distribution function at the truth",
)  # fmt: skip
def pit_mean(pit: Array) -> Mean:
    """Return the mean transform: below 1/2 the posterior lies too high, above it too low."""
    return Mean(pit)


@metric(
    ("pit",), Kind.AS_IS, place=280, label="PIT dispersion",
    meaning="standard deviation of the posterior's distribution function at the truth, over the "
    "uniform's",
)  # fmt: skip
def pit_dispersion(pit: Array) -> Result:
    """Return the standard deviation of the transform over the uniform's, 1 / sqrt 12.

    Above 1 posteriors are too narrow, below 1 too wide. The error is the centred jackknife's.
    """
    if pit.size == 1:
        return blank(NO_SPREAD)
    return Jackknifed(standard_deviation(pit), leave_one_out_sd(pit), scale=sqrt(12))
