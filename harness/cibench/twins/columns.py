"""What a twin knows of each column: its type, range, levels and missing values, and its rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from cibench.model.types import Array
from cibench.twins.formula import Formula

Kind = Literal["continuous", "integer", "category"]
Columns = dict[str, Array]
MISSING = "missing: "
"""What the name of a column's indicator of missing values begins with."""

ATOMS = 15
"""Up to so many distinct values a number is drawn as a discrete one."""

INTEGER_ATOMS = 30


@dataclass(frozen=True)
class Column:
    """Describe a column: its kind, range, levels (a category's) and who says where it is missing.

    `indicator` names the column that is 1 where this one is missing, "" where it never is; columns
    that are always missing together share one. A number has so many `decimals`, or any (None); a
    0 or 1 may be written in words, `spelling`; a category whose levels have an order is `ordered`;
    a `calendar` column is a date, in days since 1970-01-01.
    """

    name: str
    kind: Kind
    low: float
    high: float
    levels: tuple[str, ...] = ()
    indicator: str = ""
    distinct: int = 0
    decimals: int | None = None
    spelling: tuple[str, ...] = ()
    ordered: bool = False
    calendar: bool = False

    @property
    def discrete(self) -> bool:
        """Say whether it is drawn from the values that it has, and from no others."""
        few = ATOMS if self.kind == "continuous" else INTEGER_ATOMS
        return self.kind == "category" or self.distinct <= few

    def state(self) -> dict[str, Any]:
        """Return what a file keeps: of what came later only what says something."""
        later = {n: v for n in LATER if (v := getattr(self, n)) not in (None, (), False)}
        return {n: v for n, v in asdict(self).items() if n not in LATER} | later

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Column:
        """Return the column that a file kept."""
        texts = {n: tuple(state[n]) for n in ("levels", "spelling") if n in state}
        return cls(**{**state, **texts})


LATER = ("decimals", "spelling", "ordered", "calendar")
"""What files of format 1 do not say of a column."""


@dataclass(frozen=True)
class Derived:
    """Describe a column that is a sum or product of others in every row."""

    name: str
    formula: str


def levels_of(known: Iterable[Column]) -> dict[str, tuple[str, ...]]:
    """Return the levels of columns that are written in words, in the order of their codes."""
    return {c.name: c.levels or c.spelling for c in known if c.levels or c.spelling}


def dates_of(days: Array) -> Array:
    """Return days since 1970-01-01 as texts, with the time of day where one of them has it."""
    unit, size = ("D", 1) if np.all(days == np.rint(days)) else ("s", 86_400)
    moments = np.rint(days * size).astype(np.int64).astype(f"datetime64[{unit}]")
    return np.asarray(np.datetime_as_string(moments))


def derive(columns: Columns, derived: tuple[Derived, ...], rows: int) -> Columns:
    """Return the columns with the derived ones in place."""
    computed = {d.name: Formula(d.formula)(columns, rows) for d in derived}
    return {**columns, **computed}


def round_off(columns: Columns, known: tuple[Column, ...]) -> Columns:
    """Return the columns within their ranges, integers and categories whole."""
    rounded = dict(columns)
    for column in known:
        if column.name in rounded:
            value = rounded[column.name]
            if column.decimals is not None:
                value = np.round(value, column.decimals)
            value = np.clip(value, column.low, column.high)
            rounded[column.name] = value if column.kind == "continuous" else np.rint(value)
    return rounded


def mask(columns: Columns, known: tuple[Column, ...]) -> Columns:
    """Return the columns with NaN where their indicators say that they are missing."""
    masked = {n: c for n, c in columns.items() if not n.startswith(MISSING)}
    for column in known:
        if column.indicator and column.name in masked:
            gone = columns[column.indicator] == 1
            masked[column.name] = np.where(gone, np.nan, masked[column.name])
    return masked
