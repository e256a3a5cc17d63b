"""Answers that people hand in: the numbers in the rows of a CSV file."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan

from cibench.utils.errors import BadInput
from cibench.utils.shapes import ORDINARY

COPIED = 40
"""Letters of a cell that a complaint repeats."""


def is_number(text: str) -> bool:
    """Say whether a cell holds a number of ordinary size, a point before its decimals."""
    try:
        return abs(float(text)) <= ORDINARY
    except ValueError:
        return False


def number_in(row: Mapping[str, str], column: str, where: str) -> float:
    """Return a row's number, a decimal comma allowed; raises BadInput where it is none."""
    text = (row.get(column) or "").strip()
    try:
        value = float(text.replace(",", ".").replace("−", "-").replace("_", " "))
    except ValueError:
        value = nan
    if not abs(value) <= ORDINARY:
        huge = " of ordinary size" if abs(value) > ORDINARY else ""
        raise BadInput(f"{where}: {column}: {text[:COPIED]!r} is not a number{huge}")
    return value


def interval_in(row: Mapping[str, str], where: str) -> tuple[float, float, float]:
    """Return a row's estimate, low and high; raises BadInput where low lies above high."""
    estimate, low, high = (number_in(row, c, where) for c in ("estimate", "low", "high"))
    if low > high:
        raise BadInput(f"{where}: low = {low:g} is above high = {high:g}")
    return estimate, low, high
