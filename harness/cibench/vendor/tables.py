"""Drawn rows as CSV text: rounded alike in every data set, rules and identities in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from cibench.model import Array
from cibench.twins.columns import derive
from cibench.twins.cross_section import Rows, rule
from cibench.twins.sample import shown_columns
from cibench.twins.twin import Twin

DIGITS = 4
"""Numbers keep so many digits of their column's s.d."""


def decimals_of(twin: Twin, pilot: Rows) -> dict[str, int]:
    """Return how many decimals each column of continuous numbers keeps, from rows without effect.

    All data sets use the same, so that the number of digits says nothing of the effect.
    """
    whole = {c.name for c in twin.known if c.kind != "continuous"}
    return {
        name: max(0, DIGITS - 1 - int(np.floor(np.log10(sd))))
        for name, column in pilot.columns.items()
        if name not in whole and (sd := float(column.std())) > 0
    }


def rounded(twin: Twin, drawn: Rows, decimals: Mapping[str, int]) -> Rows:
    """Return rows with rounded columns: nobody crosses the cutoff, sums and products still hold."""
    columns = {
        n: np.round(c, decimals[n]) if n in decimals else c for n, c in drawn.columns.items()
    }
    if any(c.name == twin.design.outcome and c.kind == "integer" for c in twin.known):
        columns[twin.design.outcome] = np.rint(columns[twin.design.outcome])
    name = twin.design.running
    if name in decimals and name in columns:
        columns[name] = _kept_apart(twin, drawn.columns[name], columns[name], decimals[name])
    made = derive(columns, twin.derived, len(columns[twin.design.outcome]))
    for derived in twin.derived:
        made[derived.name] = np.round(made[derived.name], 12)
    return replace(drawn, columns=made)


def _kept_apart(twin: Twin, before: Array, after: Array, decimals: int) -> Array:
    """Move rows that rounding took across the cutoff back to their own side of it."""
    cutoff, step = float(twin.design.cutoff or 0.0), 10.0**-decimals
    crossed = rule(twin, before) != rule(twin, after)
    here = before >= cutoff
    back = np.where(here, np.ceil(cutoff / step) * step, (np.ceil(cutoff / step) - 1) * step)
    made = np.where(crossed, np.round(back, decimals), after)
    return np.where(rule(twin, before) == rule(twin, made), made, before)


def csv_text(twin: Twin, drawn: Rows) -> str:
    """Return rows as the text of a CSV file."""
    import pandas as pd

    known, table = {c.name for c in twin.known}, shown_columns(twin, drawn)
    for name in set(table) - known:  # units, sides of the cutoff and cohorts count
        table[name] = table[name].astype(np.int64)
    frame = pd.DataFrame(table)
    gaps = [c.name for c in twin.known if c.kind == "integer" and c.indicator and c.name in frame]
    frame = frame.astype(dict.fromkeys(gaps, "Int64"))  # or a gap makes 73 a 73.0
    return str(frame.to_csv(index=False, lineterminator="\n"))
