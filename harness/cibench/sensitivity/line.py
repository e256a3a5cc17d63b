"""One row of the sensitivity table: breakdown point, slope, length beside it, and what to note."""

from __future__ import annotations

from math import isnan, nan
from typing import Any

import numpy as np

from cibench.sensitivity.breakdown import NOWHERE, Crossing, breakdown, half_se
from cibench.sensitivity.curve import Curve, Side
from cibench.sensitivity.doubt import bracket, rises
from cibench.sensitivity.resample import Resampled
from cibench.sensitivity.slope import slope

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


def line(curve: Curve, side: Side, found: Resampled, bound: float) -> dict[str, Any]:
    """Return the row of a curve, or of one side of it, without the columns that name it."""
    broken, ends = NOWHERE, (nan, nan)
    if curve.has_limits:
        broken = breakdown(curve, side, found, bound)
        ends = bracket(curve, side, bound)
    half, (steep, steep_error) = half_se(curve, side, found), slope(curve, side)
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

    `below at default` and `non-monotone` (coverage rises again with the violation) hold beyond
    doubt; `perhaps below at default` is what the sample shows and chance can produce. `not reached`
    is said of the settings that were run.
    """
    if not curve.has_limits:
        return "no limits"
    notes = []
    held = curve.covered[side.at[0]].sum() / curve.there[side.at[0]].sum()
    if not side.from_default:
        notes.append("default not run")
    if held < bound:
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
