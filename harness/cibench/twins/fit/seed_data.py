"""Seed data: a table read as it is, each column's kind found, and what cannot be used named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cibench.model.types import Array
from cibench.twins.columns import (
    MISSING,
    Column,
    Columns,
    Derived,
    dates_of,
)
from cibench.twins.design import Design
from cibench.twins.fit.column_kinds import ColumnReading, read_column
from cibench.twins.fit.guards import undoing
from cibench.twins.fit.identities import ENOUGH_ROWS, find_identities
from cibench.twins.fit.panel_rows import balanced_rows, periods_from_one
from cibench.twins.fit.user_columns import CATEGORY, DATE, IDENTIFIER, TEXT, UserColumns
from cibench.utils.errors import BadInput, unknown
from cibench.utils.foreign import read_table

if TYPE_CHECKING:
    import pandas as pd

LEAST_ROWS = 60
LOST = 3
"""Rows that are left out are counted for so many columns by name."""


@dataclass(frozen=True, eq=False)
class Seed:
    """Hold seed data: complete columns of numbers, what is known of them, and what was left out.

    Categories are coded 0, 1, 2, ...; where a value is missing stands a seed value instead and the
    column's indicator is 1. `notes` say in words what was dropped and why, `readings` what each
    column of the file was taken for, `gaps` which cells stood for missing values beside empty ones.
    """

    where: str
    design: Design
    columns: Columns
    known: tuple[Column, ...]
    derived: tuple[Derived, ...] = ()
    notes: tuple[str, ...] = field(default=())
    readings: tuple[ColumnReading, ...] = field(default=())
    gaps: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return len(self.columns[self.design.outcome])


def read_seed(path: Path, design: Design, columns: UserColumns | None = None) -> Seed:
    """Read seed data for a design from a CSV, Parquet or Stata file.

    `columns` say what columns are and what stands for a missing value, else guesses do. Raises
    BadInput for a file that is no table of the design's columns, for a design that is at odds with
    itself or with them, and for too few rows.

    See `fit_twin` for the whole way.
    """
    design.check()
    user = columns or UserColumns()
    return seed_of(read_table(path, as_texts=True, encoding=user.encoding), design, str(path), user)


def seed_of(
    frame: pd.DataFrame, design: Design, where: str = "seed data",
    columns: UserColumns | None = None,
) -> Seed:  # fmt: skip
    """Check a table against a design, find types and identities; raises BadInput."""
    design.check()
    user, names = columns or UserColumns(), [str(n) for n in frame.columns]
    for name in design.columns:
        if name not in names:
            raise BadInput(f"{where}: {unknown('column', name, names)}")
    readings = readings_of(frame, user, where, design.design_columns)
    notes: list[str] = []
    readings = periods_from_one(readings, design, where, notes)
    readings = _never_adopting(readings, design, notes)
    readings = _complete(readings, design, where, notes)
    if design.kind == "did":
        readings = _taken(readings, balanced_rows(readings, design, where, notes))
    if (rows := len(readings[design.outcome].values)) < LEAST_ROWS:
        raise BadInput(f"{where}: {rows} rows are too few: a twin needs {LEAST_ROWS}")
    readings, design = _rule(readings, design, where, notes)
    complete, known = _parts(readings, design, where)
    chosen = _covariates(readings, design, where, notes, user.keep)
    for name in chosen:
        _add_covariate(readings[name], complete, known)
    design = replace(design, covariates=tuple(chosen))
    seed = Seed(
        where, design, complete, tuple(known), readings=tuple(readings.values()), gaps=user.gaps
    )
    return _with_identities(seed, notes)


Readings = dict[str, ColumnReading]


def readings_of(
    frame: pd.DataFrame, user: UserColumns, where: str, parts: tuple[str, ...] = ()
) -> Readings:
    """Return what each column of a table is taken for; `parts` are those of the design.

    Raises BadInput for a column that is not what the user says.
    """
    user.check(map(str, frame.columns), where)
    separator = str(frame.attrs.get("separator", ","))
    readings: Readings = {}
    for place, name in enumerate(map(str, frame.columns)):
        series = frame.iloc[:, place]
        try:
            readings[name] = read_column(
                series, name, user, separator=separator, part=name in parts
            )
        except BadInput as error:
            raise BadInput(f"{where}: {error}") from error
    return readings


def _taken(readings: Readings, rows: Array) -> Readings:
    """Return the columns in some rows."""
    return {name: replace(r, values=r.values[rows]) for name, r in readings.items()}


def _never_adopting(readings: Readings, design: Design, notes: list[str]) -> Readings:
    """Take an empty period of adoption for never: so most tables have it."""
    if design.kind != "did" or not design.cohort:
        return readings
    reading = readings[design.cohort]
    if not reading.missing.any() or reading.missing.all():
        return readings
    notes.append(
        f"column '{design.cohort}' is empty in {int(reading.missing.sum()):,} of "
        f"{len(reading.values):,} rows: units that never adopt"
    )
    filled = np.where(reading.missing, 0.0, reading.values)
    return {**readings, design.cohort: replace(reading, values=filled)}


def _complete(readings: Readings, design: Design, where: str, notes: list[str]) -> Readings:
    """Leave out rows in which a column of the design is missing, and say which and how many."""
    gone = {name: readings[name].missing for name in design.design_columns}
    for name, missing in gone.items():
        if missing.all():
            raise BadInput(f"{where}: column '{name}' is empty")
    lost = np.any(list(gone.values()), axis=0)
    if not lost.any():
        return readings
    by_column = sorted(((int(m.sum()), n) for n, m in gone.items() if m.any()), reverse=True)
    counts = ", ".join(f"'{name}' in {count:,}" for count, name in by_column[:LOST])
    notes.append(
        f"{int(lost.sum()):,} of {len(lost):,} rows are left out: missing is {counts}; fill these "
        "cells to keep the rows"
    )
    return _taken(readings, ~lost)


def _rule(
    readings: Readings, design: Design, where: str, notes: list[str]
) -> tuple[Readings, Design]:
    """Take a column that repeats an RD's rule for the treatment, or leave it out of the covariates.

    As a covariate it would leave nothing of the jump. Raises BadInput where it is asked for as one.
    """
    if design.kind != "rd" or readings[design.running].levels:
        return readings, design
    above = readings[design.running].values >= (design.cutoff or 0.0)
    treated = above if design.side == "above" else ~above
    rule = f"1[{design.running} {'>=' if design.side == 'above' else '<'} {design.cutoff:g}]"
    left = dict(readings)
    for name in [n for n in readings if n not in design.design_columns]:
        reading = readings[name]
        if not _repeats(reading.values, treated):
            continue
        words = f"column '{name}' tells who is treated, {rule}"
        if name in (design.covariates or ()):
            raise BadInput(f"{where}: {words}: it can be no covariate")
        if not design.treatment and np.array_equal(reading.values, treated) and not reading.levels:
            design = replace(design, treatment=name)
            notes.append(f"{words}: it is taken for the treatment")
        else:
            del left[name]
            notes.append(f"column '{name}' is left out: it tells who is treated, {rule}")
    return left, design


def _repeats(values: Array, treated: Array) -> bool:
    """Say whether a column has one value for the treated and another for the others."""
    if not np.isfinite(values).all():
        return False
    sides = [np.unique(values[side]) for side in (treated, ~treated)]
    return all(s.size == 1 for s in sides) and sides[0][0] != sides[1][0]


def _parts(readings: Readings, design: Design, where: str) -> tuple[Columns, list[Column]]:
    """Return the columns with a part of their own: numbers without gaps."""
    columns: Columns = {}
    known = []
    for name in design.design_columns:
        reading = readings[name]
        if name == design.unit:
            texts = np.asarray(reading.restored(), dtype=object).astype(str)
            columns[name] = np.unique(texts, return_inverse=True)[1].astype(float)
            continue
        if reading.levels or not reading.drawn:
            raise BadInput(f"{where}: column '{name}' holds {_words(reading)}, not numbers")
        columns[name] = reading.values
        if not np.isfinite(columns[name]).all():
            raise BadInput(f"{where}: column '{name}' holds infinite numbers")
        if np.ptp(columns[name]) == 0:
            raise BadInput(f"{where}: column '{name}' is constant: {columns[name][0]:g}")
        known.append(reading.column(columns[name]))
    return columns, known


def _words(reading: ColumnReading) -> str:
    """Say what stands in a column that should hold numbers, its first text as an example."""
    if reading.levels and np.any(seen := ~reading.missing):
        example = reading.levels[int(reading.values[seen][0])]
        return f"text ('{example}'; {reading.reason or 'by your word'})"
    return reading.kind


def _covariates(
    readings: Readings, design: Design, where: str, notes: list[str], keep: tuple[str, ...]
) -> list[str]:  # fmt: skip
    """Return the covariates: those asked for, which must do, or whatever of the rest will do.

    What would undo the design is left out unless it is named.
    """
    named = (*(design.covariates or ()), *keep)
    for name in named:
        if problem := _problem(readings[name]) or _unfit(readings[name], named=True):
            raise BadInput(f"{where}: covariate '{name}' {problem}")
    chosen = [*(design.covariates or ())]
    if design.covariates is None:
        for name in (n for n in readings if n not in design.design_columns):
            problem = _problem(readings[name]) or _unfit(readings[name], named=name in keep)
            if problem:
                notes.append(f"column '{name}' is left out: it {problem}")
            else:
                chosen.append(name)
    problems = undoing(readings, chosen, design)
    for name, why in problems.items():
        if name in named:
            notes.append(f"column '{name}' is kept by name: {why}")
        else:
            notes.append(f"column '{name}' is left out: {why} (to keep it: --keep {name})")
    return [name for name in chosen if name in named or name not in problems]


def _problem(reading: ColumnReading) -> str:
    """Say what no kind of column can do with, "" where there is nothing."""
    seen = reading.values[~reading.missing]
    if seen.size == 0:
        return "is empty"
    if np.ptp(seen) == 0:
        value = reading.levels[int(seen[0])] if reading.levels else f"{seen[0]:g}"
        value = dates_of(seen[:1])[0] if reading.kind == DATE else value
        return f"is constant: {value}"
    if np.isinf(seen).any():
        return f"holds {int(np.isinf(seen).sum()):,} infinite numbers; leave these cells empty"
    return ""


def _unfit(reading: ColumnReading, *, named: bool = False) -> str:
    """Say why a column of its kind is no covariate, with the way on, "" where it can be one.

    One that is named as a covariate may be a date, or a number that was taken for an identifier.
    """
    name, declared = reading.name, not reading.reason
    if reading.kind == DATE and not (named or declared):
        first = dates_of(reading.values[~reading.missing][:1])[0]
        return f"holds dates ({first}; to keep it, as days: --date {name})"
    if reading.kind not in (IDENTIFIER, TEXT) or (named and not declared and not reading.coded):
        return ""
    problem = "is an identifier: " if reading.kind == IDENTIFIER else "holds "
    if declared:
        return problem + ("by your word" if reading.kind == IDENTIFIER else "text, by your word")
    ways = f"--category {name}" if reading.coded else f"--number {name} or --category {name}"
    return f"{problem}{reading.reason} (to keep it: {ways})"


def _add_covariate(reading: ColumnReading, columns: Columns, known: list[Column]) -> None:
    """Add a covariate as numbers, gaps filled with values of other rows, and its indicator."""
    name, gone = reading.name, reading.missing
    values = reading.values
    indicator = _indicator(name, gone, columns) if gone.any() else ""
    if gone.any():
        seen = values[~gone]
        values = values.copy()
        values[gone] = np.random.default_rng(0).choice(seen, int(gone.sum()))
        columns[indicator] = gone.astype(float)
    columns[name] = values
    known.append(reading.column(values, indicator))


def _indicator(name: str, gone: Array, columns: Columns) -> str:
    """Return the indicator's name: that of a column missing in the same rows, or a new one."""
    same = (n for n in columns if n.startswith(MISSING) and np.array_equal(columns[n] == 1, gone))
    return next(same, MISSING + name)


def _with_identities(seed: Seed, notes: list[str]) -> Seed:
    """Find sums and products; a part of the outcome is another outcome and no covariate."""
    design = seed.design
    numbers = [
        c.name for c in seed.known
        if c.kind != "category" and not c.indicator and c.distinct > 2 and c.name != design.time
    ]  # fmt: skip
    columns = {n: seed.columns[n] for n in numbers}
    derived = find_identities(columns, (design.treatment, design.instrument))
    if len(columns) * ENOUGH_ROWS > seed.rows:
        notes.append(
            f"sums of more than two columns are not looked for: {len(columns)} columns of numbers "
            f"in {seed.rows} rows agree by chance; name them in a structure file"
        )
    tied = [d for d in derived if design.outcome in (d.name, *_names(d))]
    lost = {n for d in tied for n in (d.name, *_names(d))} & set(design.covariates or ())
    for name in sorted(lost):
        notes.append(
            f"column '{name}' is left out: the outcome is a sum or product of it or part of it"
        )
    derived = tuple(d for d in derived if not ({d.name, *_names(d)} & (lost | {design.outcome})))
    kept = tuple(n for n in design.covariates or () if n not in lost)
    known = tuple(c for c in seed.known if c.name not in lost)
    columns = {n: c for n, c in seed.columns.items() if n not in lost}
    notes += [f"column '{d.name}' is {d.formula} in every row, and stays so" for d in derived]
    return replace(
        seed, design=replace(design, covariates=kept), columns=columns, known=known,
        derived=derived, notes=tuple(notes),
    )  # fmt: skip


def _names(derived: Derived) -> tuple[str, ...]:
    from cibench.twins.formula import Formula

    return Formula(derived.formula).names


def described(seed: Seed) -> Iterator[str]:
    """Yield what a user should hear: what was guessed, what was missing and what was left out."""
    covariates = ", ".join(seed.design.covariates or ()) or "none"
    yield f"{seed.rows} rows; covariates: {covariates}"
    for reading in seed.readings:
        coded = reading.kind == CATEGORY and reading.reason.startswith("its name")
        if coded and reading.name in (seed.design.covariates or ()):
            yield (
                f"column '{reading.name}' is taken for a category: {reading.reason} (else: "
                f"--number {reading.name})"
            )
        if words := gaps_in_words(reading.gaps):
            yield f"column '{reading.name}': missing in {words}"
    yield from seed.notes


def gaps_in_words(gaps: Mapping[str, int]) -> str:
    """Return how many cells were taken for missing, by what stood there."""
    return ", ".join(
        f"{count:,} cells with '{text}'" if text else f"{count:,} empty cells"
        for text, count in gaps.items()
    )
