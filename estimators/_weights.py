"""Means of potential outcomes by inverse-propensity weights, with or without an outcome model.

Of one arm, a = 1 or 0, the mean over the units that `target` marks (all of them, or the treated):

    mean = sum(t m + w (y - m)) / sum(v)

with weights w, an outcome model m (0: none) and v = t, or v = w for weights normalised to one. With
p the propensity the weights are D/p and (1 - D)/(1 - p) for everybody, D and (1 - D) p/(1 - p) for
the treated. The mean's influence adds to its own terms what the fitted coefficients bring, the
derivative's average times their influence. No library kept here has Horvitz and Thompson's weights,
trimming, effects on the treated or means under missing outcomes; where statsmodels' TreatmentEffect
has an answer, normalised weights and AIPW for everybody, this one is the same.
"""

from typing import NamedTuple

import numpy as np

from cibench import Estimand, Estimate, Problem
from cibench.model import Array

from ._observables import Nuisance, Sample, propensity, regression


class Weights(NamedTuple):
    """Hold one arm's weights, their slope in the logit's index, and the units asked about."""

    weight: Array
    slope: Array
    target: Array


def weights(d: Array, p: Array, estimand: Estimand, arm: int) -> Weights:
    """Return the weights that make an arm's units look like those asked about."""
    if estimand is Estimand.ATT:
        odds = (1 - d) * p / (1 - p)
        return Weights(d, 0 * d, d) if arm else Weights(odds, odds, d)
    everybody = np.ones(d.size)
    if arm:
        return Weights(d / p, -d * (1 - p) / p, everybody)
    return Weights((1 - d) / (1 - p), (1 - d) * p / (1 - p), everybody)


def arm_mean(
    s: Sample, given: Weights, score: Nuisance, model: Nuisance | None, normalised: bool
) -> tuple[float, Array]:
    """Return the mean of an arm's potential outcome and its influence, one entry a unit."""
    w, slope, target = given
    m = np.zeros(s.y.size) if model is None else model.fitted
    total, total_slope = (w, slope) if normalised else (target, 0 * slope)
    terms = target * m + w * (s.y - m)
    mean = terms.sum() / total.sum()
    by_score = s.x.T @ (slope * (s.y - m) - mean * total_slope) / s.y.size
    influence = terms - mean * total + score.influence @ by_score
    if model is not None:
        influence = influence + model.influence @ (s.x.T @ (target - w) / s.y.size)
    return float(mean), np.asarray(influence / total.mean())


def effect(s: Sample, problem: Problem, *, augmented: bool, normalised: bool) -> Estimate:
    """Return the difference of the arms' means with its standard error and normal limits."""
    score, means = propensity(s), []
    for arm, who in ((1, "treated"), (0, "untreated")):
        model = regression(s, s.d == arm, who) if augmented else None
        given = weights(s.d, score.fitted, problem.targets[0].estimand, arm)
        means.append(arm_mean(s, given, score, model, normalised))
    (one, influence_one), (zero, influence_zero) = means
    influence = influence_one - influence_zero
    se = np.sqrt(influence @ influence) / influence.size
    return Estimate.wald(one - zero, float(se), problem.level)
