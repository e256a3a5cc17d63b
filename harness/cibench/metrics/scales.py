"""Scales: the numbers of a group put where errors are measured and no effect is zero.

Ratios err by factors, so an estimand may ask to be scored on the logarithm; another one may have a
value of no effect that is not zero. A row has its numbers in the estimand's own unit and names the
scale; on it every metric means what it means for a difference.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from cibench.metrics.groups import Group
from cibench.model.types import Array

IN_UNIT = ("truth", "estimate", "ci_low", "ci_high", "band_low", "band_high")
"""The columns of a row that are in the estimand's unit; its standard error is on the scale."""

_SCALE = re.compile(r"(log)?(?: ?from ([-+.e0-9]+))?")


def is_scale(text: str) -> bool:
    """Say whether a text names a scale."""
    return bool(text) and _SCALE.fullmatch(text) is not None


def onto(scale: str | None) -> Callable[[Array], Array]:
    """Return the function that puts numbers of an estimand's unit on a scale.

    >>> import numpy as np
    >>> from cibench.metrics.scales import onto
    >>> float(onto("log")(np.array([1.0]))[0]), float(onto("from 2")(np.array([5.0]))[0])
    (0.0, 3.0)
    """
    logarithmic, null = _read(scale)
    if logarithmic:
        return lambda values: _logarithm(values / null)
    return lambda values: values - null


def back(scale: str | None) -> Callable[[float], float]:
    """Return the function that puts a number of a scale into the estimand's own unit again."""
    logarithmic, null = _read(scale)
    if logarithmic:
        return lambda value: float(np.exp(value)) * null
    return lambda value: value + null


def words(scale: str) -> str:
    """Return what numbers on a scale are, in words.

    >>> from cibench.metrics.scales import words
    >>> words("log"), words("from 1")
    ('logarithms', 'distances from 1')
    """
    logarithmic, null = _read(scale)
    if not logarithmic:
        return f"distances from {null:.15g}"
    return "logarithms" if null == 1 else f"logarithms of multiples of {null:.15g}"


def on_scale(group: Group, scale: str | None) -> Group:
    """Return a group with its numbers on its scale, itself where that is the unit it has."""
    if not scale:
        return group
    put, columns = onto(scale), dict(group)
    if "truth_mcse" in columns and _read(scale)[0]:
        columns["truth_mcse"] = columns["truth_mcse"] / np.abs(columns["truth"])
    for name in IN_UNIT:
        if name in columns:
            columns[name] = put(columns[name])
    return columns


def _read(scale: str | None) -> tuple[bool, float]:
    match = _SCALE.fullmatch(scale or "")
    if match is None:
        raise ValueError(f"{scale!r} is no scale")
    logarithmic = bool(match[1])
    return logarithmic, float(match[2]) if match[2] else float(logarithmic)


def _logarithm(values: Array) -> Array:
    """Return logarithms, minus infinity of what lies below every ratio."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(values <= 0, -np.inf, np.log(values))
