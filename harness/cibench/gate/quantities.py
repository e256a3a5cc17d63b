"""Measures, their changes, errors and margins as text, each in its unit."""

from __future__ import annotations

from cibench.gate.judge import Judged
from cibench.gate.rules import MEASURES, Scale
from cibench.report.numbers import BLANK, blank, number, plain, signed

NO_NOISE = 1e6
"""A change of so many errors has none to speak of: every replicate moved alike."""


def value(one: Judged, number_of: float) -> str:
    """Write a measure's value on one side."""
    scale = MEASURES[one.name].scale
    if scale is Scale.POINTS:
        return BLANK if blank(number_of) else f"{100 * number_of:.3g} %"
    text = number(number_of)
    return f"{text} SE" if scale is Scale.SE else text


def change(one: Judged) -> str:
    """Write a difference beside its paired error."""
    if noiseless(one):
        return f"{size(one, one.difference)} (0)"
    written = signed(_factor(one.name) * one.difference, _factor(one.name) * one.error)
    return f"{written}{_unit(one.name)} ({error(one)})"


def error(one: Judged) -> str:
    """Write a difference's Monte Carlo error."""
    scaled = _factor(one.name) * one.error
    return "0" if noiseless(one) else number(scaled, scaled)


def size(one: Judged, difference: float) -> str:
    """Write a difference, or an end of its limits, to three digits."""
    scaled = float(f"{_factor(one.name) * difference:.12g}")  # -9.999999999999 is -10
    return f"{signed(scaled)}{_unit(one.name)}"


def _factor(name: str) -> float:
    return 100.0 if MEASURES[name].scale in (Scale.RELATIVE, Scale.POINTS) else 1.0


def _unit(name: str) -> str:
    units = {Scale.SE: " SE", Scale.RELATIVE: " %", Scale.POINTS: " points"}
    return units.get(MEASURES[name].scale, "")


def noiseless(one: Judged) -> bool:
    """Say whether the change is the same in every replicate, but for rounding."""
    return one.error <= abs(one.difference) / NO_NOISE


def margin(one: Judged) -> str:
    """Write the margin in the unit of the difference."""
    return bare_margin(one.name, one.margin)


def bare_margin(name: str, number_of: float) -> str:
    """Write a measure's margin in the unit of its differences."""
    return f"{plain(_factor(name) * number_of)}{_unit(name)}"


def errors_beyond(one: Judged) -> str:
    """Write how many errors a change lies beyond its margin; ∞ where it has no noise."""
    if one.z > NO_NOISE or (one.z and noiseless(one)):
        return "∞"
    return f"{one.z:.1f}" if one.z else "0"
