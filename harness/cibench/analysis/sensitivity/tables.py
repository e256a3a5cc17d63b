"""The tables of the sensitivity study: one row a curve, and the dose-response with its bands."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf, isnan, nan
from typing import Any

import numpy as np

from cibench.analysis.sensitivity.breakdown import (
    ALPHA,
    NOWHERE,
    Crossing,
    bracket,
    breakdown,
    half_se,
    rises,
    slope,
)
from cibench.analysis.sensitivity.dose_response import Curve, Side
from cibench.analysis.sensitivity.resampling import Resampled
from cibench.metrics import METRICS
from cibench.metrics.core import Z95
from cibench.model.types import Array

MEASURES = ("bias", "rmse", "coverage", "coverage_with_failures", "rejection")
"""The measures of a dose-response, by their columns in the score table."""


def lines(curve: Curve, resampled: Resampled) -> Iterator[dict[str, Any]]:
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
        if METRICS[measure].share:
            limits = [end for z in (Z95, _sidak(n)) for end in wilson(value, n, z)]
        else:
            limits = _of_means(curve, measure, resampled)
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
def _of_means(curve: Curve, measure: str, resampled: Resampled) -> list[Array]:
    """Return pointwise limits and band of the bias or the RMSE."""
    name, t = ("bias", resampled.bias_t) if measure == "bias" else ("mse", resampled.mse_t)
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


LINE = (
    "bound", "breakdown", "breakdown_low", "breakdown_high", "bracket_low", "bracket_high", "note",
    "slope", "slope_mcse", "bias_half_se", "level", "direction", "default", "harshest",
    "replicates", "crossed", "interpolated", "bias_half_se_low", "bias_half_se_high",
    "ci_length_default", "ci_length_default_mcse", "ci_length_breakdown",
    "ci_length_breakdown_mcse", "moments",
)  # fmt: skip
"""The columns of the table after those that name the curve."""

DIRECTIONS = {1: "up", -1: "down"}
INTERPOLATED = {True: "limits of each replicate", False: "coverage"}


def line(curve: Curve, side: Side, resampled: Resampled, bound: float) -> dict[str, Any]:
    """Return the row of a curve, or of one side of it, without the columns that name it."""
    broken, ends = NOWHERE, (nan, nan)
    if curve.has_limits:
        broken = breakdown(curve, side, resampled, bound)
        ends = bracket(curve, side, bound)
    half, (steep, steep_error) = half_se(curve, side, resampled), slope(curve, side)
    return {
        "bound": bound, "breakdown": broken.value, "breakdown_low": broken.low,
        "breakdown_high": broken.high, "bracket_low": ends[0], "bracket_high": ends[1],
        "note": _note(curve, side, broken, ends, bound), "slope": steep,
        "slope_mcse": steep_error, "bias_half_se": half.value, "level": curve.key["level"],
        "direction": DIRECTIONS[side.sign], "default": curve.default,
        "harshest": float(curve.settings[side.at[-1]]),
        "replicates": int(curve.there[side.at].sum(axis=1).min()), "crossed": broken.share,
        "interpolated": INTERPOLATED[curve.paired], "bias_half_se_low": half.low,
        "bias_half_se_high": half.high, **_lengths(curve, side, broken),
        "moments": all(bool(score["moments"]) for score in curve.scores),
    }  # fmt: skip


def _note(
    curve: Curve, side: Side, broken: Crossing, ends: tuple[float, float], bound: float
) -> str:
    """Say in a closed vocabulary what a reader of the row must know, parts parted by semicolons.

    `below at default` and `non-monotone` (coverage is higher at a harsher setting than at a milder
    one) hold beyond doubt; `perhaps below at default` is what the sample shows and chance can
    produce. `not reached` is said of the settings that were run.
    """
    if not curve.has_limits:
        return "no limits"
    notes = []
    coverage = curve.covered[side.at[0]].sum() / curve.there[side.at[0]].sum()
    if not side.from_default:
        notes.append("default not run")
    if coverage < bound:
        where = "default" if side.from_default else "mildest setting"
        sure = ends[1] == curve.settings[side.at[0]]
        notes.append(f"{'' if sure else 'perhaps '}below at {where}")
    elif isnan(broken.value):
        notes.append("not reached")
    if rises(curve, side):
        notes.append("non-monotone")
    if not curve.ok.any():
        notes.append("no answer")
    if curve.there.any(axis=0).sum() < 2:
        notes.append("one replicate")
    return "; ".join(notes)


def _lengths(curve: Curve, side: Side, broken: Crossing) -> dict[str, float]:
    """Return the mean length of the sets at the default and, interpolated, where coverage breaks.

    The error of the latter is that of a mean of two lengths at most, wholly dependent ones.
    """
    length, error = curve.score("ci_length"), curve.score("ci_length_mcse")
    start = side.at[0] if side.from_default else None
    there = [nan, nan]
    if not isnan(broken.value):
        with np.errstate(all="ignore"):
            there = [float(np.interp(broken.value, curve.settings, y)) for y in (length, error)]
    return {
        "ci_length_default": nan if start is None else float(length[start]),
        "ci_length_default_mcse": nan if start is None else float(error[start]),
        "ci_length_breakdown": there[0], "ci_length_breakdown_mcse": there[1],
    }  # fmt: skip
