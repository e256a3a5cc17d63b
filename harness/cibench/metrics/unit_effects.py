"""What effects on single units are worth: distance, calibration, ranks, limits, and policies.

The worker has reduced each answer to a row's numbers (`cibench.workers.unit_answers` says how);
here they are averaged over replicates. And how far the rows that a method chose are from the
question.
"""

from __future__ import annotations

from cibench.metrics.influence import Mean, Median
from cibench.metrics.registry import REPORTED, Kind, Loss, metric
from cibench.model.types import Array


@metric(
    ("pehe",), Kind.RELATIVE, place=500, label="PEHE", loss=Loss.ITSELF, power=1, optional=True,
    meaning="mean over data sets of the root mean squared error of single units' effects",
    tables=REPORTED,
)  # fmt: skip
def pehe(roots: Array) -> Mean:
    """Return the mean precision in estimating heterogeneous effects, in the outcome's unit.

    Source: Hill (2011), Journal of Computational and Graphical Statistics 20, section 4.3.
    """
    return Mean(roots)


@metric(
    ("unit_coverage",), Kind.AS_IS, place=502, label="unit coverage", optional=True,
    meaning="mean share of units whose own limits hold their effect", tables=REPORTED,
)  # fmt: skip
def unit_coverage(shares: Array) -> Mean:
    """Return the mean share; units of one data set share a fit, so that its error is theirs."""
    return Mean(shares)


@metric(
    ("unit_length",), Kind.RELATIVE, place=504, label="unit CI length", optional=True,
    meaning="mean length of single units' limits", loss=Loss.ITSELF,
)  # fmt: skip
def unit_length(lengths: Array) -> Mean:
    """Return the mean length of units' limits."""
    return Mean(lengths)


@metric(
    ("calibration_slope",), Kind.AS_IS, place=506, label="calibration slope", optional=True,
    meaning="median slope of true on predicted effects; 1 is calibrated, below it predictions "
    "differ too much", tables=REPORTED,
)  # fmt: skip
def calibration_slope(slopes: Array) -> Median:
    """Return the median slope: of predictions that hardly differ a mean slope says nothing."""
    return Median(slopes)


@metric(
    ("calibration_intercept",), Kind.AS_IS, place=508, label="calibration intercept",
    optional=True, meaning="median intercept of true on predicted effects; 0 is calibrated",
)  # fmt: skip
def calibration_intercept(intercepts: Array) -> Median:
    """Return the median intercept."""
    return Median(intercepts)


@metric(
    ("autoc",), Kind.AS_IS, place=510, label="AUTOC", optional=True, tables=REPORTED,
    meaning="area under the mean effect on the units ranked highest less that on all",
)  # fmt: skip
def autoc(areas: Array) -> Mean:
    """Return the mean area under the targeting operator characteristic.

    Source: Yadlowsky, Fleming, Shah, Brunskill and Wager (2025), JASA 120, section 2.
    """
    return Mean(areas)


@metric(
    ("qini",), Kind.AS_IS, place=512, label="Qini", optional=True,
    meaning="the same area, weighted by the share of units",
)  # fmt: skip
def qini(areas: Array) -> Mean:
    """Return the mean Qini coefficient, in the outcome's unit."""
    return Mean(areas)


@metric(
    ("policy_value",), Kind.AS_IS, place=514, label="policy value", optional=True,
    meaning="mean gain per unit, cost paid, of treating whom the method says", tables=REPORTED,
)  # fmt: skip
def policy_value(gains: Array) -> Mean:
    """Return the mean gain over treating nobody."""
    return Mean(gains)


@metric(
    ("regret",), Kind.AS_IS, place=516, label="regret", loss=Loss.ITSELF, power=1, optional=True,
    meaning="what the policy value lacks of that of treating whom it pays to treat",
    tables=REPORTED,
)  # fmt: skip
def regret(losses: Array) -> Mean:
    """Return the mean regret."""
    return Mean(losses)


@metric(
    ("drift",), Kind.AS_IS, place=520, label="drift", optional=True, tables=REPORTED,
    meaning="mean distance of the truth of the rows that the method chose from the estimand's",
)  # fmt: skip
def drift(distances: Array) -> Mean:
    """Return how far the question that a method answers has moved from the one that was asked."""
    return Mean(distances)
