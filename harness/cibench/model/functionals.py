"""Functionals: what an estimand is of the potential outcomes of the rows that it averages over.

Each takes outcomes with treatment, outcomes without and the rows' weights (None: all alike), arrays
of one value a row, and whatever parameters the estimand has.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def mean(values: Array, weights: Array | None = None) -> float:
    """Return the mean of values, weighted where there are weights."""
    return float(np.mean(values) if weights is None else np.average(values, weights=weights))


def mean_difference(treated: Array, untreated: Array, weights: Array | None = None) -> float:
    """Return the mean of the single effects."""
    return mean(treated - untreated, weights)


def mean_ratio(treated: Array, untreated: Array, weights: Array | None = None) -> float:
    """Return the mean with treatment over that without."""
    return mean(treated, weights) / mean(untreated, weights)


def lift(treated: Array, untreated: Array, weights: Array | None = None) -> float:
    """Return by how many per cent the mean with treatment exceeds that without."""
    return 100 * (mean_ratio(treated, untreated, weights) - 1)


def odds_ratio(treated: Array, untreated: Array, weights: Array | None = None) -> float:
    """Return the odds of the mean risk with treatment over those without."""
    with_, without = mean(treated, weights), mean(untreated, weights)
    return with_ / (1 - with_) / (without / (1 - without))


def quantile(values: Array, weights: Array | None, q: float) -> float:
    """Return the smallest value that at least a share q of the weight does not exceed."""
    order = np.argsort(values, kind="stable")
    ordered = np.asarray(values)[order]
    shares = np.arange(1, ordered.size + 1) / ordered.size
    if weights is not None:
        cumulated = np.cumsum(np.asarray(weights, dtype=float)[order])
        shares = cumulated / cumulated[-1]
    at = int(np.searchsorted(shares, q * (1 - 1e-12)))
    return float(ordered[min(at, ordered.size - 1)])


def quantile_difference(treated: Array, untreated: Array, weights: Array | None, q: float) -> float:
    """Return the q-quantile with treatment less that without."""
    return quantile(treated, weights, q) - quantile(untreated, weights, q)


def restricted_mean_difference(
    treated: Array, untreated: Array, weights: Array | None, tau: float
) -> float:
    """Return how much longer, up to tau, it takes with treatment until the event, on average."""
    return mean(np.minimum(treated, tau), weights) - mean(np.minimum(untreated, tau), weights)


def restricted_mean_ratio(
    treated: Array, untreated: Array, weights: Array | None, tau: float
) -> float:
    """Return the mean time up to tau with treatment over that without."""
    return mean(np.minimum(treated, tau), weights) / mean(np.minimum(untreated, tau), weights)


def log_hazard_ratio(treated: Array, untreated: Array, weights: Array | None = None) -> float:
    """Return the coefficient of Cox's partial likelihood when nobody is censored.

    Every row is there twice, with its time with treatment and its time without; ties as Breslow
    has them. Where hazards are proportional it is the logarithm of their ratio; else it is the
    average that Cox's model settles on without censoring.
    """
    times = np.concatenate([treated, untreated])
    own = np.ones(times.size) if weights is None else np.tile(np.asarray(weights, dtype=float), 2)
    order = np.argsort(-times, kind="stable")
    d = np.repeat([1.0, 0.0], [len(treated), len(untreated)])[order]
    w, ordered = own[order], times[order]
    last = np.searchsorted(-ordered, -ordered, side="right") - 1  # of those that tie with it
    with_, without = np.cumsum(w * d)[last], np.cumsum(w * (1 - d))[last]
    beta = 0.0
    for _ in range(100):
        at_risk = with_ * np.exp(beta)
        share = at_risk / (at_risk + without)
        step = np.sum(w * (d - share)) / np.sum(w * share * (1 - share))
        beta += float(np.clip(step, -2, 2))
        if abs(step) < 1e-12:
            break
    return beta


def mean_under_treatment(
    treated: Array,
    untreated: Array,  # noqa: ARG001 - what every functional takes
    weights: Array | None,
    dose: float,  # noqa: ARG001 - of whose world the outcomes are
) -> float:
    """Return the mean outcome in the world where everybody has the dose."""
    return mean(treated, weights)
