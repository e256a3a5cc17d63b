"""The twin: everything that a file keeps, and the rows that it draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cibench.model.types import Array
from cibench.twins.columns import (
    Column,
    Columns,
    Derived,
    dates_of,
    derive,
    levels_of,
    mask,
    round_off,
)
from cibench.twins.design import Design
from cibench.twins.fit.assignment import Mechanism
from cibench.twins.fit.structure import Structure
from cibench.twins.formula import Formula
from cibench.twins.generators.base import Generator

RESIDUAL = "residual: "
"""What the names of the residuals begin with; a panel has one for each period."""

TREATED = "treated"
"""What the treatment column is called where the seed data have none."""

Effect = float | str


@dataclass(frozen=True, eq=False)
class Outcome:
    """Say which values the outcome may take: any, those between bounds, whole ones, a support's.

    A value between two that may be becomes one of them at random, so that its mean stays.
    """

    low: float = -np.inf
    high: float = np.inf
    support: Array | None = None
    whole: bool = False

    @property
    def free(self) -> bool:
        """Say whether every number will do."""
        return self.unbounded and not self.whole

    @property
    def unbounded(self) -> bool:
        """Say whether a planted effect is, on average, what it was planted as."""
        return self.support is None and np.isinf(self.low) and np.isinf(self.high)

    def realise(self, value: Array, u: Array) -> Array:
        """Return outcomes that may be, for values that the structure asks for."""
        value = np.clip(value, self.low, self.high)
        if self.support is None:
            return np.floor(value + u) if self.whole else value
        place = np.clip(np.searchsorted(self.support, value), 1, len(self.support) - 1)
        low, high = self.support[place - 1], self.support[place]
        return np.where(u < (value - low) / (high - low), high, low)

    def state(self) -> dict[str, Any]:
        """Return what a file keeps."""
        whole = {"whole": True} if self.whole else {}
        return {"low": self.low, "high": self.high, "support": self.support, **whole}


@dataclass(frozen=True, eq=False)
class Panel:
    """Hold a panel's periods, cohorts and the fitted law of the cohort given covariates.

    `cohorts` are periods of adoption, 0 for never; `level` is what the periods have in common,
    `gap` by how much units that ever adopt stand above the others. `coefficients` are multinomial,
    a row for each cohort.
    """

    times: Array
    cohorts: Array
    level: Array
    gap: float
    coefficients: Array
    effects: Array

    def state(self) -> dict[str, Any]:
        """Return what a file keeps."""
        return dict(self.__dict__)


@dataclass(frozen=True, eq=False)
class Twin:
    """Hold a design, the structural part, a trained generator and the mechanisms of assignment.

    `seed` says how many rows the information comes from and what the firm's own estimate is;
    `summaries` are what the audit compares with. `digest` names the content.

    See `fit_twin`, which makes one.
    """

    design: Design
    known: tuple[Column, ...]
    derived: tuple[Derived, ...]
    structure: Structure
    family: str
    generator: Generator
    mechanisms: Mapping[str, Mechanism]
    outcome: Outcome
    panel: Panel | None
    seed: Mapping[str, Any]
    constants: Mapping[str, float] = field(default_factory=dict)
    summaries: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""

    @property
    def treatment(self) -> str:
        """Return the name of the treatment column."""
        return self.design.treatment or TREATED

    @property
    def name(self) -> str:
        """Return the id under which the twin is a scenario; it depends on the content alone."""
        return f"twin/{self.design.kind}-{self.digest[:12]}"

    def units(self, n: int, rng: np.random.Generator) -> Columns:
        """Draw n units from the generator, types, ranges, sums and products in place."""
        drawn = self.generator.sample(n, rng)
        drawn |= {name: np.full(n, value) for name, value in self.constants.items()}
        return derive(round_off(drawn, self.known), self.derived, n)

    def table(self, columns: Columns) -> dict[str, Array]:
        """Return columns as the seed's file has them: gaps, texts of categories, whole numbers."""
        restored = {}
        for name, column in mask(columns, self.known).items():
            restored[name] = column
        for spec in self.known:
            if spec.name in restored:
                restored[spec.name] = _as_seed(restored[spec.name], spec)
        return {n: c for n, c in restored.items() if not n.startswith(RESIDUAL)}


def _as_seed(values: Array, column: Column) -> Array:
    gone = np.isnan(values)
    if words := column.levels or column.spelling:
        texts = np.array([*words, ""], dtype=object)
        return np.asarray(texts[np.where(gone, -1, np.nan_to_num(values)).astype(int)])
    if column.calendar:
        return np.where(gone, "", dates_of(np.nan_to_num(values))).astype(object)
    if column.kind == "integer" and not gone.any():
        return np.rint(values).astype(np.int64)
    return values


def planted(
    effect: Effect, columns: Columns, known: tuple[Column, ...], rows: int,
    treated: Array | None = None,
) -> Array:  # fmt: skip
    """Return each row's effect: a number, or a formula over the columns.

    Raises BadInput where a formula is no finite number in a row that may be treated (all, if None).
    """
    if isinstance(effect, str):
        return Formula(effect).coded(levels_of(known))(columns, rows, treated)
    return np.full(rows, float(effect))
