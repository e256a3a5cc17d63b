"""Deterministic rules: what must hold in every row of a table, counted where it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from cibench.model.types import Array
from cibench.twins.columns import MISSING, Column, Columns
from cibench.twins.cross_section import rule
from cibench.twins.formula import Formula
from cibench.twins.twin import Twin
from cibench.utils.missing import missing

EXACT = 1e-6
"""Identities hold to this share of a value: a file may have rounded it."""


class Rule(NamedTuple):
    """Say of a rule in how many of how many rows it is broken."""

    name: str
    violations: int
    rows: int


def coded(twin: Twin, table: Mapping[str, Array], rng: np.random.Generator) -> Columns:
    """Return a table as complete numbers: codes for categories, -1 for a level nobody knows.

    A missing value is filled with another row's; the column's indicator says so.
    """
    columns: Columns = {}
    known = {column.name: column for column in twin.known}
    for name, values in table.items():
        columns[name] = in_numbers(values, name, known.get(name))
    for column in twin.known:
        x = columns.get(column.name)
        if x is None or not np.isnan(x).any():
            if column.indicator and x is not None:
                columns.setdefault(column.indicator, np.zeros(len(x)))
            continue
        gone = np.isnan(x)
        columns[column.indicator or MISSING + column.name] = gone.astype(float)
        seen = x[~gone] if (~gone).any() else np.zeros(1)
        columns[column.name] = np.where(gone, rng.choice(seen, len(x)), x)
    return columns


def in_numbers(values: Array, name: str, column: Column | None) -> Array:
    """Return a column as numbers, NaN where a value is missing; raises ValueError for a text.

    `column` is what a twin knows of it: levels have their codes, dates are days.
    """
    if column and (words := column.levels or column.spelling):
        return _codes(values, words)
    if values.dtype.kind in "iufb":
        return values.astype(float)
    gone = np.array([missing(v) or v == "" for v in values], dtype=bool)
    seen = values[~gone].astype(str)
    try:
        numbers = (
            seen.astype("datetime64[s]").astype(np.int64) / 86_400
            if column and column.calendar else seen.astype(float)
        )  # fmt: skip
    except ValueError as error:
        raise ValueError(f"column '{name}': {error}") from error
    complete = np.full(len(values), np.nan)
    complete[~gone] = numbers
    return complete


def _codes(values: Array, words: tuple[str, ...]) -> Array:
    """Return the codes of levels; numbers may be written with a point, as 101.0 for 101."""
    code = {level: float(i) for i, level in enumerate(words)}
    distinct = set(values.tolist())
    by_value = {v: np.nan if missing(v) or v == "" else _code(v, code) for v in distinct}
    return np.array([by_value.get(v, np.nan) for v in values.tolist()])


def _code(value: object, code: Mapping[str, float]) -> float:
    text = str(value)
    return code.get(text, code.get(text.removesuffix(".0"), -1.0))


def rules_of(twin: Twin, table: Columns) -> list[Rule]:
    """Count the violations in a table of numbers, NaN where a value is missing."""
    rows = len(table[twin.design.outcome])
    rules = _treatment_rules(twin, table)
    for derived in twin.derived:
        gap = np.abs(Formula(derived.formula)(table, rows) - table[derived.name])
        broken = ~(gap <= EXACT * (1 + np.abs(table[derived.name])))
        rules.append((f"{derived.name} = {derived.formula}", broken))
    totals = {d.name for d in twin.derived}
    for column in twin.known:
        if column.name in table and column.name != twin.design.outcome:
            rules += _column_rules(column, table[column.name], bounded=column.name not in totals)
    rules += _outcome_rules(twin, table[twin.design.outcome])
    rules += _missing_rules(twin, table)
    return [Rule(name, int(np.sum(broken)), rows) for name, broken in rules]


def _column_rules(column: Column, x: Array, *, bounded: bool) -> list[tuple[str, Array]]:
    seen = ~np.isnan(x)
    if column.levels:
        return [(f"{column.name}: only known levels", seen & (x < 0))]
    rules = []
    if bounded:
        outside = seen & ((x < column.low) | (x > column.high))
        rules.append((f"{column.name}: {column.low:g} to {column.high:g}", outside))
    if column.kind == "integer":
        rules.append((f"{column.name}: whole numbers", seen & (x != np.rint(x))))
    if not column.indicator:
        rules.append((f"{column.name}: never missing", ~seen))
    return rules


def _outcome_rules(twin: Twin, y: Array) -> list[tuple[str, Array]]:
    may, name = twin.outcome, twin.design.outcome
    rules = [(f"{name}: never missing", np.isnan(y))]
    if may.support is not None:
        rules.append((f"{name}: only its {len(may.support)} values", ~np.isin(y, may.support)))
    elif not may.unbounded:
        rules.append((f"{name}: {may.low:g} to {may.high:g}", (y < may.low) | (y > may.high)))
    if may.whole:
        rules.append((f"{name}: whole numbers", y != np.rint(y)))
    return rules


def _missing_rules(twin: Twin, table: Columns) -> list[tuple[str, Array]]:
    """Demand that columns which are always missing together stay so."""
    rules = []
    for indicator in {c.indicator for c in twin.known if c.indicator}:
        names = [c.name for c in twin.known if c.indicator == indicator and c.name in table]
        gone = np.isnan([table[n] for n in names])
        if len(names) > 1:
            rules.append(
                (f"{', '.join(names)}: missing together", np.asarray(gone.any(0) & ~gone.all(0)))
            )
    return rules


def _treatment_rules(twin: Twin, table: Columns) -> list[tuple[str, Array]]:
    design, d = twin.design, table[twin.treatment]
    if twin.panel is not None:
        return _panel_rules(twin, table)
    if design.kind == "rd":
        sign = ">=" if design.side == "above" else "<"
        words = f"{twin.treatment} = 1[{design.running} {sign} {design.cutoff:g}]"
        if not design.fuzzy:
            return [(words, d != rule(twin, table[design.running]))]
    if design.kind == "iv" and not twin.mechanisms["treatment"].binary:
        return []
    return [(f"{twin.treatment}: 0 or 1", ~np.isin(d, (0, 1)))]


def _panel_rules(twin: Twin, table: Columns) -> list[tuple[str, Array]]:
    """Demand a balanced panel in which treatment stays and covariates do not change."""
    assert twin.panel is not None
    design, periods = twin.design, len(twin.panel.times)
    d, rows = table[twin.treatment], len(table[twin.treatment])
    if rows % periods:
        return [("every unit in every period", np.ones(rows, dtype=bool))]
    time, unit = (table[n].reshape(-1, periods) for n in (design.time, design.unit))
    off = (time != twin.panel.times) | (unit != unit[:, :1])
    left = np.diff(d.reshape(-1, periods), axis=1) < 0
    rules = [("every unit in every period", off), (f"{twin.treatment}: for good", left)]
    if design.cohort and design.cohort in table:
        g = table[design.cohort]
        rules.append((f"{twin.treatment} = 1[{design.time} >= {design.cohort}]",
                      d != ((g > 0) & (table[design.time] >= g))))  # fmt: skip
    for name in design.covariates or ():
        wide = table[name].reshape(-1, periods)
        same = (wide == wide[:, :1]) | (np.isnan(wide) & np.isnan(wide[:, :1]))
        rules.append((f"{name}: the same in all of a unit's periods", ~same))
    return rules
