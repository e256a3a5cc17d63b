"""The table of a seed's columns, or a twin's: kinds, why they were guessed, what is missing."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from cibench.model.types import Array
from cibench.twins.columns import Column, dates_of
from cibench.twins.fit.column_kinds import ColumnReading
from cibench.twins.fit.seed_data import gaps_in_words
from cibench.twins.fit.user_columns import DATE, kind_of
from cibench.twins.twin import Twin

LISTED = 4
"""A category's levels are listed as far as this."""


def lines_of_table(readings: Iterable[ColumnReading]) -> list[dict[str, str]]:
    """Return a line for each column of a table: kind, reason of the guess, gaps and values."""
    return [
        {
            "column": reading.name, "kind": reading.kind,
            "why": reading.reason or "you said so",
            "missing": gaps_in_words(reading.gaps) or "none",
            "values": _values(reading),
        }
        for reading in readings
    ]  # fmt: skip


def lines_of_twin(twin: Twin) -> list[dict[str, str]]:
    """Return a line for each column that a twin draws."""
    return [
        {
            "column": column.name, "kind": kind_of(column),
            "missing": "in some rows" if column.indicator else "never", "values": _range(column),
        }
        for column in twin.known
    ]  # fmt: skip


def _values(reading: ColumnReading) -> str:
    seen = reading.values[~reading.missing]
    if not seen.size:
        return "none"
    if words := reading.levels or reading.spelling:
        return _listed(words)
    decimals = f", {reading.decimals} decimals" if reading.decimals else ""
    return _ends(seen.min(), seen.max(), calendar=reading.kind == DATE) + decimals


def _range(column: Column) -> str:
    if words := column.levels or column.spelling:
        return _listed(words)
    decimals = f", {column.decimals} decimals" if column.decimals else ""
    return _ends(column.low, column.high, calendar=column.calendar) + decimals


def _listed(words: tuple[str, ...]) -> str:
    more = f" and {len(words) - LISTED:,} more" if len(words) > LISTED else ""
    return ", ".join(words[:LISTED]) + more


def _ends(low: float, high: float, *, calendar: bool) -> str:
    ends: Array = np.array([low, high])
    words = dates_of(ends) if calendar else [f"{end:.6g}" for end in ends]
    return f"{words[0]} to {words[1]}"
