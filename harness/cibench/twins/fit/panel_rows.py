"""Rows of a panel as people have them: periods from any number on, units not seen in every one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from cibench.model.types import Array
from cibench.twins.design import Design
from cibench.twins.fit.column_kinds import ColumnReading
from cibench.utils.errors import BadInput

NAMED = 3
"""Units that are left out are counted, and so many named."""

LEAST_UNITS = 20

Readings = dict[str, ColumnReading]


def periods_from_one(
    readings: Mapping[str, ColumnReading], design: Design, where: str, notes: list[str]
) -> Readings:
    """Count periods from 1 where 0 would be one of adoption, for 0 stands for never.

    Raises BadInput where nobody can say which of both a 0 in the column of cohorts is.
    """
    same = dict(readings)
    if design.kind != "did" or readings[design.time].levels or readings[design.time].missing.all():
        return same
    time = readings[design.time]
    low = float(time.values[~time.missing].min())
    cohort = readings[design.cohort] if design.cohort else None
    zeros = cohort is not None and bool(np.any(cohort.values == 0))
    empty = cohort is not None and bool(cohort.missing.any())
    if low < 0 and zeros and not empty:
        raise BadInput(
            f"{where}: column '{design.cohort}': with periods from {low:g} on a 0 may be a period "
            "or stand for never; leave the cells of units that never adopt empty"
        )
    if low > 0 or (low == 0 and not (zeros and empty)):
        if low == 0 and zeros:
            notes.append(f"column '{design.cohort}': 0 stands for units that never adopt")
        return same
    notes.append(
        f"column '{design.time}' starts at {low:g}: the twin counts periods from 1, which is that"
    )
    same[design.time] = replace(time, values=time.values + (1 - low))
    if cohort is not None:
        moved = np.where(cohort.values < low, 1.0, cohort.values + (1 - low))
        same[design.cohort] = replace(cohort, values=moved)
    return same


def balanced_rows(
    readings: Mapping[str, ColumnReading], design: Design, where: str, notes: list[str]
) -> Array:
    """Return which rows belong to units that are seen in every period, and name the others.

    Raises BadInput for rows that come twice, for repeated cross-sections, and where too few units
    are seen in every period; each with the way on.
    """
    own = readings[design.unit].restored().tolist()
    labels = np.array([v if isinstance(v, str) else f"{v:.15g}" for v in own])
    units, unit = np.unique(labels, return_inverse=True)
    times, step = np.unique(readings[design.time].values, return_inverse=True)
    seen = np.zeros((len(units), len(times)), dtype=int)
    np.add.at(seen, (unit, step), 1)
    if np.any(seen > 1):
        u, t = np.argwhere(seen > 1)[0]
        raise BadInput(
            f"{where}: unit '{units[u]}' has {seen[u, t]} rows in period {times[t]:g}; a panel has "
            f"one of each: take means by '{design.unit}' and '{design.time}' first"
        )
    if len(times) > 1 and seen.sum(axis=1).max() == 1:
        raise BadInput(
            f"{where}: every '{design.unit}' is seen once: these are repeated cross-sections; take "
            "means by group and period (region, store, cohort) and name the group with --unit"
        )
    gone = (seen == 0).any(axis=1)
    if not gone.any():
        return np.ones(len(unit), dtype=bool)
    left = int((~gone).sum())
    if left < LEAST_UNITS:
        worst = int(np.argmin(seen.sum(axis=0)))
        raise BadInput(
            f"{where}: {left} of {len(units)} units are seen in all {len(times)} periods; a twin "
            f"of a panel needs {LEAST_UNITS}. Fewest, {int(seen[:, worst].sum())}, are in period "
            f"{times[worst]:g}: leave out periods that few are seen in, or fill their cells"
        )
    names = ", ".join(f"'{name}'" for name in units[gone][:NAMED])
    more = f" and {int(gone.sum()) - NAMED:,} more" if gone.sum() > NAMED else ""
    notes.append(
        f"{int(gone.sum()):,} of {len(units):,} units are left out ({names}{more}; "
        f"{int(seen[gone].sum()):,} rows): they are not seen in all {len(times)} periods; fill "
        "their cells, or leave out periods, to keep them"
    )
    return np.asarray(~gone[unit])
