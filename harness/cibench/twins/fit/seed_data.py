"""Seed data: a CSV file read as it is, each column's type found, and what cannot be used named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.model.types import Array
from cibench.twins.columns import MISSING, Column, Columns, Derived, find_identities
from cibench.twins.design import Design
from cibench.utils.errors import BadInput, unknown
from cibench.utils.foreign import read_frame

if TYPE_CHECKING:
    import pandas as pd

LEAST_ROWS = 60
MOST_LEVELS = 30
DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./]\d{1,2}[./]\d{2,4}")


@dataclass(frozen=True, eq=False)
class Seed:
    """Hold seed data: complete columns of numbers, what is known of them, and what was left out.

    Categories are coded 0, 1, 2, ...; where a value is missing stands a seed value instead and the
    column's indicator is 1. `notes` say in words what was dropped and why.
    """

    where: str
    design: Design
    columns: Columns
    known: tuple[Column, ...]
    derived: tuple[Derived, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return len(self.columns[self.design.outcome])


def read_seed(path: Path, design: Design) -> Seed:
    """Read seed data for a design.

    Raises BadInput for a file that is no CSV of the design's columns, for a design that is at odds
    with itself or with them, and for too few rows.

    See `fit_twin` for the whole way.
    """
    design.check()
    return seed_of(read_frame(path), design, str(path))


def seed_of(frame: pd.DataFrame, design: Design, where: str = "seed data") -> Seed:
    """Check a table against a design, find types and identities; raises BadInput."""
    design.check()
    for name in design.columns:
        if name not in frame:
            raise BadInput(f"{where}: {unknown('column', name, map(str, frame.columns))}")
    notes: list[str] = []
    whole = frame.dropna(subset=list(design.design_columns)).reset_index(drop=True)
    for name in design.design_columns:
        if frame[name].isna().all():
            raise BadInput(f"{where}: column '{name}' is empty")
    if len(whole) < len(frame):
        lost = len(frame) - len(whole)
        notes.append(f"{lost} rows without {' or '.join(design.design_columns)} are left out")
    if len(whole) < LEAST_ROWS:
        raise BadInput(f"{where}: {len(whole)} rows are too few: a twin needs {LEAST_ROWS}")
    whole, design = _rule(whole, design, where, notes)
    columns, known = _parts(whole, design, where)
    chosen = _covariates(whole, design, where, notes)
    for name in chosen:
        _add_covariate(whole, name, columns, known)
    design = replace(design, covariates=tuple(chosen))
    return _with_identities(Seed(where, design, columns, tuple(known)), notes)


def _rule(
    frame: pd.DataFrame, design: Design, where: str, notes: list[str]
) -> tuple[pd.DataFrame, Design]:
    """Take a column that repeats an RD's rule for the treatment, or leave it out of the covariates.

    As a covariate it would leave nothing of the jump. Raises BadInput where it is asked for as one.
    """
    if design.kind != "rd" or frame[design.running].dtype.kind not in "iuf":
        return frame, design
    above = frame[design.running].to_numpy() >= design.cutoff
    treated = above if design.side == "above" else ~above
    rule = f"1[{design.running} {'>=' if design.side == 'above' else '<'} {design.cutoff:g}]"
    for name in [str(n) for n in frame.columns if n not in design.design_columns]:
        if frame[name].dtype.kind not in "iufb" or not _repeats(frame[name], treated):
            continue
        words = f"column '{name}' tells who is treated, {rule}"
        if name in (design.covariates or ()):
            raise BadInput(f"{where}: {words}: it can be no covariate")
        if not design.treatment and np.array_equal(frame[name].to_numpy(dtype=float), treated):
            design = replace(design, treatment=name)
            notes.append(f"{words}: it is taken for the treatment")
        else:
            frame = frame.drop(columns=name)
            notes.append(f"column '{name}' is left out: it tells who is treated, {rule}")
    return frame, design


def _repeats(series: pd.Series[Any], treated: Array) -> bool:
    """Say whether a column has one value for the treated and another for the others."""
    values = series.to_numpy(dtype=float)
    if not np.isfinite(values).all():
        return False
    sides = [np.unique(values[side]) for side in (treated, ~treated)]
    return all(s.size == 1 for s in sides) and sides[0][0] != sides[1][0]


def _parts(frame: pd.DataFrame, design: Design, where: str) -> tuple[Columns, list[Column]]:
    """Return the columns with a part of their own: numbers without gaps."""
    columns: Columns = {}
    known = []
    for name in design.design_columns:
        series = frame[name]
        if series.dtype == bool:
            series = series.astype(int)
        if name == design.unit:
            columns[name] = np.unique(series.astype(str), return_inverse=True)[1].astype(float)
            continue
        if series.dtype.kind not in "iuf":
            example = f"'{series.iloc[0]}'"
            kind = "a date" if DATE.match(str(series.iloc[0])) else "text"
            raise BadInput(f"{where}: column '{name}' holds {kind} ({example}), not numbers")
        columns[name] = series.to_numpy(dtype=float)
        if not np.isfinite(columns[name]).all():
            raise BadInput(f"{where}: column '{name}' holds infinite numbers")
        if np.ptp(columns[name]) == 0:
            raise BadInput(f"{where}: column '{name}' is constant: {columns[name][0]:g}")
        known.append(_number(name, columns[name]))
    return columns, known


def _number(name: str, values: Array, indicator: str = "") -> Column:
    whole = bool(np.all(values == np.rint(values)))
    kind = "integer" if whole else "continuous"
    low, high, distinct = float(values.min()), float(values.max()), len(np.unique(values))
    return Column(name, kind, low, high, (), indicator, distinct)  # type: ignore[arg-type]


def _covariates(frame: pd.DataFrame, design: Design, where: str, notes: list[str]) -> list[str]:
    """Return the covariates: those asked for, which must do, or whatever of the rest will do."""
    if design.covariates is not None:
        for name in design.covariates:
            if problem := _problem(frame[name]):
                raise BadInput(f"{where}: covariate '{name}' {problem}")
        return list(design.covariates)
    chosen = []
    for name in (str(n) for n in frame.columns if n not in design.design_columns):
        problem = _problem(frame[name]) or _identifies(name, frame[name])
        if problem:
            notes.append(f"column '{name}' is left out: it {problem}")
        else:
            chosen.append(name)
    return chosen


def _problem(series: pd.Series[Any]) -> str:
    """Say why a column cannot be a covariate, "" where it can."""
    seen = series.dropna()
    if seen.empty:
        return "is empty"
    if seen.nunique() == 1:
        return f"is constant: {seen.iloc[0]}"
    if series.dtype.kind in "iufb":
        return ""
    texts = seen.astype(str)
    if texts.str.match(DATE).all():
        return f"holds dates ({texts.iloc[0]}); turn them into numbers"
    return _too_many(seen.nunique(), len(seen))


def _too_many(levels: int, rows: int) -> str:
    if levels == rows:
        return "is an identifier: as many values as rows"
    if levels > MOST_LEVELS:
        return f"holds {levels} different texts; a category has at most {MOST_LEVELS}"
    return ""


def _identifies(name: str, series: pd.Series[Any]) -> str:
    """Say that a column of whole numbers identifies its rows; one that is named may stay."""
    if series.dtype.kind in "iu" and series.nunique() == len(series):
        return f"is an identifier: as many values as rows (to keep it: --covariates {name})"
    return ""


def _add_covariate(frame: pd.DataFrame, name: str, columns: Columns, known: list[Column]) -> None:
    """Add a covariate as numbers, gaps filled with values of other rows, and its indicator."""
    series = frame[name]
    gone = series.isna().to_numpy()
    levels: tuple[str, ...] = ()
    if series.dtype.kind in "iufb":
        values = series.to_numpy(dtype=float)
    else:
        texts = series.astype(str).to_numpy(dtype=str)
        distinct, codes = np.unique(texts[~gone], return_inverse=True)
        values, levels = np.zeros(len(texts)), tuple(distinct.tolist())
        values[~gone] = codes
    indicator = _indicator(name, gone, columns) if gone.any() else ""
    if gone.any():
        seen = values[~gone]
        values = values.copy()
        values[gone] = np.random.default_rng(0).choice(seen, int(gone.sum()))
        columns[indicator] = gone.astype(float)
    columns[name] = values
    column = _number(name, values, indicator)
    known.append(replace(column, kind="category", levels=levels) if levels else column)


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
    """Yield what a user should hear: what was found and what was left out."""
    covariates = ", ".join(seed.design.covariates or ()) or "none"
    yield f"{seed.rows} rows; covariates: {covariates}"
    yield from seed.notes
