"""Diagnostics of selection on observables: overlap of the arms, balance of their covariates.

Both ask the propensities of a logit. They say nothing about what is not observed.
"""

import numpy as np

from cibench import Declined, Diagnosis, Estimand, Problem, diagnostic

from ._observables import NEEDS, OVERLAP, PROPENSITY, binary_sample, propensity
from ._weights import weights


@diagnostic("observables/overlap", tests=(OVERLAP,), needs=NEEDS, uses=("statsmodels",))
def overlap(problem: Problem, rng: np.random.Generator, *, least: float = 0.5) -> Diagnosis:
    """Pass where in both arms the effective sample share, Kish's, is at least `least`.

    The statistic is the smaller of (sum w)^2 / (n sum w^2) over the treated and the untreated, with
    w the inverse of the propensity of the arm that a unit is in. No overlap at all does not pass.
    """
    s = binary_sample(problem)
    try:
        p = propensity(s).fitted
    except Declined as declined:
        if "no overlap" not in str(declined):
            raise
        return Diagnosis(False, statistic=0.0)
    shares = []
    for arm in (0, 1):
        w = weights(s.d, p, Estimand.ATE, arm).weight[s.d == arm]
        shares.append(w.sum() ** 2 / (w.size * (w @ w)))
    return Diagnosis(bool(min(shares) >= least), statistic=float(min(shares)))


@diagnostic("observables/balance", tests=(PROPENSITY,), needs=NEEDS, uses=("statsmodels",))
def balance(
    problem: Problem, rng: np.random.Generator, *, most: float = 0.1, weighted: bool = True
) -> Diagnosis:
    """Pass where no covariate's standardised difference of means is above `most`.

    Differences between the arms are divided by the root of their mean variance before weighting
    (Austin 2011, Multivariate Behavioral Research 46). With `weighted`, each arm is weighted by
    inverse propensities to look like everybody; a covariate's square, centred, counts as one more.
    """
    s = binary_sample(problem)
    centred = s.x[:, 1:] - s.x[:, 1:].mean(axis=0)
    columns = np.column_stack([centred, centred**2])
    p = propensity(s).fitted if weighted else np.full(s.y.size, 0.5)
    means, variances = [], []
    for arm in (0, 1):
        own = s.d == arm
        w = weights(s.d, p, Estimand.ATE, arm).weight[own]
        means.append(w @ columns[own] / w.sum())
        variances.append(columns[own].var(axis=0, ddof=1))
    scale = np.sqrt(np.mean(variances, axis=0))
    apart = np.abs(means[1] - means[0])[scale > 0] / scale[scale > 0]
    worst = float(apart.max())
    return Diagnosis(worst <= most, statistic=worst)
