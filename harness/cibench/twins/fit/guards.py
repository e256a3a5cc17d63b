"""Columns that would undo a design as covariates: those that tell who is treated, or jump with it.

Given who is treated, nothing of the effect is left to find, or part of it goes to the column. Every
design has the same guards; who names a column keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import comb
from statistics import NormalDist

import numpy as np

from cibench.model.types import Array
from cibench.twins.design import Design
from cibench.twins.fit.column_kinds import ColumnReading
from cibench.twins.fit.structure import BANDWIDTH, local_jump

TELLS = 0.995
"""A column tells who is treated that sorts this share of treated and of others rightly."""

BY_CHANCE = 1e-4
"""Unless chance does so as often as this: of few treated one may be the tallest."""

ROWS_PER_VALUE = 5
JUMPS = 0.05
"""Covariates may jump at the cutoff by so many s.d. before that counts, ..."""

ERROR = 0.01
"""... and then beyond doubt, for all columns at once at this level."""

LEAST_SHARE = 0.02
SAME = 0.999
"""A number this correlated with the treatment is the treatment in other units."""


def undoing(
    readings: Mapping[str, ColumnReading], names: list[str], design: Design
) -> dict[str, str]:
    """Return the columns, of those named, that would undo the design, and why each would."""
    if design.kind == "did":
        return _in_panel(readings, names, design)
    problems = {}
    for part, words in _assigned(readings, design):
        for name in names:
            if name not in problems and _tells(readings[name], part):
                problems[name] = words
    if design.kind == "rd":
        left = [name for name in names if name not in problems]
        problems |= _jumping(readings, left, design)
    return problems


def _assigned(
    readings: Mapping[str, ColumnReading], design: Design
) -> list[tuple[Array, str]]:  # fmt: skip
    """Return what a covariate must not tell, each with the words for one that does."""
    treated = "it tells who is treated"
    if design.kind == "rd":
        above = readings[design.running].values >= (design.cutoff or 0.0)
        parts = [(above.astype(float), "it tells on which side of the cutoff a row lies")]
        if design.fuzzy and design.treatment:
            parts.append((readings[design.treatment].values, treated))
        return parts
    parts = [(readings[design.treatment].values, treated)]
    if design.kind == "iv":
        parts.append((readings[design.instrument].values, "it tells the instrument"))
    return parts


def _tells(reading: ColumnReading, part: Array) -> bool:
    """Say whether a column tells a variable: sorts its two values, or is it in other units."""
    values = np.where(reading.missing, np.inf, reading.values)
    if (different := len(np.unique(part))) <= 2:
        return different == 2 and tells(values, part == part.max())
    seen = ~reading.missing
    if reading.levels or np.ptp(values[seen]) == 0:
        return False
    return bool(abs(np.corrcoef(values[seen], part[seen])[0, 1]) > SAME)


def tells(values: Array, treated: Array) -> bool:
    """Say whether a column sorts the treated from the others, beyond what chance would do.

    By a threshold, by its most common value (as doses are, 0 for all others), or by each of its
    values where they are few.
    """
    rows, count = len(values), int(treated.sum())
    if count in (0, rows):
        return False
    distinct, place = np.unique(values, return_inverse=True)
    if len(distinct) < 2:
        return False
    inside = np.bincount(place[treated], minlength=len(distinct)) / count
    outside = np.bincount(place[~treated], minlength=len(distinct)) / (rows - count)
    if len(distinct) == 2:
        return bool(np.abs(inside[0] - outside[0]) / 2 + 0.5 >= TELLS)
    if 2 / comb(rows, min(count, 50)) > BY_CHANCE:
        return False
    common = np.argmax(inside + outside)
    gaps = [np.abs(np.cumsum(inside - outside)).max(), abs(inside[common] - outside[common])]
    if len(distinct) * ROWS_PER_VALUE <= rows:
        gaps.append(np.maximum(inside - outside, 0).sum())
    return bool(max(gaps) / 2 + 0.5 >= TELLS)


def _jumping(
    readings: Mapping[str, ColumnReading], names: list[str], design: Design
) -> dict[str, str]:
    """Return the columns that jump at the cutoff beyond doubt: what treatment changes."""
    x, cutoff = readings[design.running].values, design.cutoff or 0.0
    reach = 2 * BANDWIDTH * float(x.std())
    tried = {name: _numbers(readings[name]) for name in names}
    decisions = max(1, sum(map(len, tried.values())))
    critical = NormalDist().inv_cdf(1 - ERROR / (2 * decisions))
    problems = {}
    for name, columns in tried.items():
        for what, values in columns.items():
            seen = ~np.isnan(values)
            z, sd = values[seen], float(values[seen].std())
            jump, se = local_jump(z, x[seen], cutoff, reach, curved=True)
            if np.isfinite(jump) and abs(jump) - JUMPS * sd > critical * max(se, 1e-9 * sd):
                sign = 1 if design.side == "above" else -1
                problems[name] = f"{what} jumps at the cutoff by {sign * jump:.3g} ({se:.2g})"
                break
    return problems


def _numbers(reading: ColumnReading) -> dict[str, Array]:
    """Return what may jump of a column: its values, its levels' shares, whether it is missing."""
    gone, columns = reading.missing, dict[str, Array]()
    if gone.any():
        columns["the share without a value"] = gone.astype(float)
    if not reading.levels:
        return {"it": reading.values, **columns} if np.nanstd(reading.values) > 0 else columns
    for code, level in enumerate(reading.levels):
        is_level = (reading.values == code).astype(float)
        if LEAST_SHARE <= is_level.mean() <= 1 - LEAST_SHARE:
            columns[f"the share of '{level}'"] = is_level
    return columns


def _in_panel(
    readings: Mapping[str, ColumnReading], names: list[str], design: Design
) -> dict[str, str]:
    """Return the columns that change within units, and those that tell which units ever adopt."""
    unit = np.unique(readings[design.unit].values, return_inverse=True)[1]
    last = np.zeros(unit.max() + 1, dtype=np.int64)
    last[unit] = np.arange(len(unit))
    time = readings[design.time].values
    if design.cohort:
        cohort = readings[design.cohort].values
        adopted = (cohort > 0) & (cohort <= time.max())
    else:
        adopted = readings[design.treatment].values == 1
    ever = np.zeros(len(last), dtype=bool)
    ever[unit[adopted]] = True
    problems = {}
    for name in names:
        values = np.where(readings[name].missing, np.inf, readings[name].values)
        if np.any(values != values[last][unit]):
            problems[name] = "it changes within units, and a panel's covariates belong to the unit"
        elif tells(values[last], ever):
            problems[name] = "it tells which units ever adopt"
    return problems
