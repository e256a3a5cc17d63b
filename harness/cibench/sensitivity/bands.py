"""Dose-response with error bands: pointwise at each setting, simultaneous over a curve."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf, nan
from typing import Any

import numpy as np

from cibench.measures.core import Z95
from cibench.model import Array
from cibench.sensitivity.curve import Curve
from cibench.sensitivity.doubt import ALPHA
from cibench.sensitivity.resample import Resampled

MEASURES = ("bias", "rmse", "coverage", "coverage_with_failures", "rejection")
"""The measures of a dose-response, by their columns in the score table."""


def lines(curve: Curve, found: Resampled) -> Iterator[dict[str, Any]]:
    """Yield a measure at a setting with its error, pointwise limits and simultaneous band.

    Value and error are the score table's. Bias, and the mean squared error of which the RMSE and
    its limits are the roots, go 1.96 errors to either side pointwise; the band goes as many as
    the largest studentised deviation over the settings stays within in 95 of 100 joint resamples
    (max-|t| bootstrap), and no fewer. Of proportions the limits are Wilson's, and the band's have
    Sidak's level, 0.95^(1 / settings): it holds for normal deviations however they depend on each
    other (Sidak 1967, JASA 62). A band holds the whole curve at once in 95 of 100 studies.
    """
    counts = _counts(curve)
    for measure in MEASURES:
        value, error = curve.score(measure), curve.score(f"{measure}_mcse")
        n = counts[measure]
        if measure in ("bias", "rmse"):
            limits = _of_means(curve, measure, found)
        else:
            limits = [end for z in (Z95, _sidak(n)) for end in wilson(value, n, z)]
        for j, setting in enumerate(curve.settings):
            low, high, band_low, band_high = (float(end[j]) for end in limits)
            yield {
                "setting": float(setting), "measure": measure, "value": value[j],
                "mcse": error[j], "low": low, "high": high, "band_low": band_low,
                "band_high": band_high, "replicates": int(n[j]),
                "moments": bool(curve.scores[j]["moments"]),
            }  # fmt: skip


def wilson(p: Array, n: Array, z: float) -> tuple[Array, Array]:
    """Return Wilson's limits of shares p of n, z normal errors wide; NaN of nothing."""
    with np.errstate(all="ignore"):
        shrink = 1 / (1 + z**2 / n)
        centre = shrink * (p + z**2 / (2 * n))
        reach = shrink * z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return np.where(p == 0, 0.0, centre - reach), np.where(p == 1, 1.0, centre + reach)


@np.errstate(invalid="ignore")
def _of_means(curve: Curve, measure: str, found: Resampled) -> list[Array]:
    """Return pointwise limits and band of the bias or the RMSE."""
    name, t = ("bias", found.bias_t) if measure == "bias" else ("mse", found.mse_t)
    value, error = curve.score(name), curve.score(f"{name}_mcse")
    reaches = [np.where(error == 0, 0.0, z * error) for z in (Z95, _largest(curve, t))]
    ends = [value + sign * reach for reach in reaches for sign in (-1, 1)]
    return ends if measure == "bias" else [np.sqrt(np.maximum(end, 0)) for end in ends]


def _largest(curve: Curve, t: Array) -> float:
    """Return what the largest |t| over the settings exceeds in ALPHA of the resamples."""
    several = curve.answered.sum(axis=1) > 1
    if not several.any():
        return nan
    largest = np.sort(np.abs(t[1:, several]).max(axis=1))
    return max(Z95, float(largest[-int(len(largest) * ALPHA) - 1]))


def _sidak(n: Array) -> float:
    from scipy.special import ndtri

    settings = int((n > 0).sum())
    return float(ndtri(1 - (1 - (1 - ALPHA) ** (1 / settings)) / 2)) if settings else inf


def _counts(curve: Curve) -> dict[str, Array]:
    """Return how many replicates each measure rests on, at each setting."""
    limits = curve.ok & ~np.isnan(curve.low) & ~np.isnan(curve.high)
    answered = curve.answered.sum(axis=1)
    return {
        "bias": answered, "rmse": answered, "coverage": limits.sum(axis=1),
        "coverage_with_failures": curve.there.sum(axis=1), "rejection": limits.sum(axis=1),
    }  # fmt: skip
