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
from cibench.twins.generators.copulas import Margin

RESIDUAL = "residual: "
"""What the names of the residuals begin with; a panel has one for each period."""

TREATED = "treated"
"""What the treatment column is called where the seed data have none."""


@dataclass(frozen=True)
class Shift:
    """Plant an effect as a shift of the standard normal scores of an outcome with a link."""

    by: float


Effect = float | str
Planted = Effect | Shift


@dataclass(frozen=True, eq=False)
class Outcome:
    """Say which values the outcome may take: any, those between bounds, whole ones, a support's.

    A value between two that may be becomes one of them at random, so that its mean stays: whole
    ones, or those of so many `decimals`. With a `link` the structure is that of standard normal
    scores of the outcome, which the link, the outcome's own distribution, brings back: no sum of
    parts leaves its range.
    """

    low: float = -np.inf
    high: float = np.inf
    support: Array | None = None
    whole: bool = False
    decimals: int | None = None
    link: Margin | None = None

    @property
    def free(self) -> bool:
        """Say whether every number will do."""
        return self.unbounded and not self.whole and self.decimals is None

    @property
    def unbounded(self) -> bool:
        """Say whether a planted effect is, on average, what it was planted as."""
        bounded = np.isfinite(self.low) or np.isfinite(self.high)
        return self.support is None and not bounded and self.link is None

    def realise(self, value: Array, u: Array) -> Array:
        """Return outcomes that may be, for values that the structure asks for."""
        if self.link is not None:
            value = self.link.normal_quantile(value)
        return self.within(value, u)

    def within(self, value: Array, u: Array) -> Array:
        """Return outcomes that may be, for values on the outcome's own scale."""
        value = np.clip(value, self.low, self.high)
        if self.support is None:
            if self.decimals is not None:
                step = 10.0**-self.decimals
                return np.round(np.floor(value / step + u) * step, self.decimals)
            return np.floor(value + u) if self.whole else value
        place = np.clip(np.searchsorted(self.support, value), 1, len(self.support) - 1)
        low, high = self.support[place - 1], self.support[place]
        return np.where(u < (value - low) / (high - low), high, low)

    def scores(self, value: Array) -> Array:
        """Return the standard normal scores of outcomes, where there is a link."""
        assert self.link is not None
        return self.link.normal_score(value)

    def state(self) -> dict[str, Any]:
        """Return what a file keeps."""
        later: dict[str, Any] = {"whole": True} if self.whole else {}
        later |= {} if self.decimals is None else {"decimals": self.decimals}
        later |= {} if self.link is None else {"link": self.link.state()}
        return {"low": self.low, "high": self.high, "support": self.support, **later}

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Outcome:
        """Return what a file kept."""
        link = Margin.load(state["link"]) if state.get("link") else None
        return cls(**{**state, "link": link})


@dataclass(frozen=True, eq=False)
class Panel:
    """Hold a panel's periods, cohorts and the fitted law of the cohort given covariates.

    `cohorts` are periods of adoption, 0 for never; `level` is what the periods have in common,
    `gap` by how much units that ever adopt stand above the others. `coefficients` are multinomial,
    a row for each cohort. `counts` are the seed's units by cohort: data sets have as many, in
    proportion to their size; None leaves their number to chance.
    """

    times: Array
    cohorts: Array
    level: Array
    gap: float
    coefficients: Array
    effects: Array
    counts: Array | None = None

    def state(self) -> dict[str, Any]:
        """Return what a file keeps."""
        return {n: v for n, v in self.__dict__.items() if n != "counts" or v is not None}


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
    return values if column.decimals is None else np.round(values, column.decimals)


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
