"""Resampling: seed rows of covariates drawn again, with residuals that know nothing of the row.

Who draws covariates together with the treatment, or with the residual, of the same row gets the
seed's accidents as a law: over the rows that are drawn again and again the residual correlates with
the treatment's probability by what it did in the sample, and at a cutoff it jumps by that much. So
treatment is drawn anew, and the residual as location and scale: a scale fitted to the covariates,
times a centred residual of any row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cibench.model.types import Array
from cibench.twins.columns import Columns
from cibench.twins.generators.base import Training, stacked

SCALES = (0.25, 4.0)
"""The residuals' scale stays within this multiple of its average."""


@dataclass(frozen=True, eq=False)
class Residuals:
    """Hold the residuals' law given covariates: a log-linear scale and a pool of centred rows.

    `names` are the residuals, several for a panel; a row of the pool belongs to one unit, so that
    the dependence between periods stays.
    """

    names: tuple[str, ...]
    covariates: tuple[str, ...]
    centre: Array
    spread: Array
    coefficients: Array
    pool: Array

    @classmethod
    def of(cls, training: Training) -> Residuals:
        """Fit the scale to the covariates, squares included, and centre what it leaves."""
        names = training.residuals
        covariates = tuple(n for n in training.covariates if np.ptp(training.columns[n]) > 0)
        pool = stacked(training.columns, names)
        x = stacked(training.columns, covariates) if covariates else np.zeros((len(pool), 0))
        centre, spread = x.mean(axis=0), x.std(axis=0)
        size = np.sqrt((pool**2).mean(axis=1))
        level = np.log(np.maximum(size, 1e-3 * size.mean() or 1.0))
        design = _terms(x, centre, spread)
        coefficients, *_ = np.linalg.lstsq(design, level, rcond=None)
        plain = pool / _scale(design, coefficients)[:, None]
        plain = plain - plain.mean(axis=0)
        return cls(names, covariates, centre, spread, coefficients, plain)

    def sample(self, columns: Columns, n: int, rng: np.random.Generator) -> Columns:
        """Draw residuals for rows whose covariates are drawn already."""
        drawn = self.pool[rng.integers(0, len(self.pool), n)]
        x = stacked(columns, self.covariates) if self.covariates else np.zeros((n, 0))
        scale = _scale(_terms(x, self.centre, self.spread), self.coefficients)
        return {name: drawn[:, j] * scale for j, name in enumerate(self.names)}

    def state(self) -> dict[str, Any]:
        """Return what a file keeps."""
        return {
            "names": list(self.names), "given": list(self.covariates), "centre": self.centre,
            "spread": self.spread, "coefficients": self.coefficients, "pool": self.pool,
        }  # fmt: skip

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Residuals:
        """Return the law that a file kept."""
        content = {**state, "names": tuple(state["names"])}
        return cls(covariates=tuple(content.pop("given")), **content)


def _terms(x: Array, centre: Array, spread: Array) -> Array:
    z = np.clip((x - centre) / spread, -3, 3)
    return np.column_stack([np.ones(len(x)), z, z**2])


def _scale(design: Array, coefficients: Array) -> Array:
    log = design @ coefficients - coefficients[0]
    return np.asarray(np.exp(np.clip(log, *np.log(SCALES))))


@dataclass(frozen=True, eq=False)
class Smoothed:
    """Hold a column's seed values, sorted, and where each row stands among them.

    A drawn row keeps its rank; within it a number is drawn from the line to its neighbours', so
    that no value of a continuous column comes twice.
    """

    values: Array
    rank: Array
    discrete: bool

    @classmethod
    def of(cls, x: Array, *, discrete: bool) -> Smoothed:
        """Return the column's values and ranks."""
        order = np.argsort(x, kind="stable")
        rank = np.empty(len(x), dtype=np.int64)
        rank[order] = np.arange(len(x))
        return cls(x[order], rank, discrete)

    @cached_property
    def _edges(self) -> Array:
        v = self.values
        return np.asarray(np.r_[v[0], (v[1:] + v[:-1]) / 2, v[-1]])

    def at(self, rows: Array, rng: np.random.Generator) -> Array:
        """Return the column in these seed rows."""
        rank = self.rank[rows]
        u = rng.random(len(rows))
        if self.discrete:
            return np.asarray(self.values[rank])
        low, high = self._edges[rank], self._edges[rank + 1]
        tied = (low == self.values[rank]) | (high == self.values[rank])
        return np.asarray(np.where(tied, self.values[rank], low + u * (high - low)))

    def state(self) -> dict[str, Any]:
        """Return what a file keeps."""
        return {"values": self.values, "rank": self.rank, "discrete": self.discrete}


@dataclass(frozen=True, eq=False)
class Resampling:
    """Draw seed rows of covariates again."""

    columns: Mapping[str, Smoothed]
    rows: int
    residuals: Residuals

    @classmethod
    def train(cls, training: Training, rng: np.random.Generator) -> Resampling:  # noqa: ARG003
        """Keep the rows and fit the residuals' law."""
        kept = {
            n: Smoothed.of(training.columns[n], discrete=n in training.discrete)
            for n in training.covariates
        }
        return cls(kept, training.rows, Residuals.of(training))

    def sample(self, n: int, rng: np.random.Generator) -> Columns:
        """Draw n rows."""
        rows = rng.integers(0, self.rows, n)
        drawn = {name: column.at(rows, rng) for name, column in self.columns.items()}
        return {**drawn, **self.residuals.sample(drawn, n, rng)}

    def state(self) -> dict[str, Any]:
        """Return what a file keeps."""
        columns = [[name, column.state()] for name, column in self.columns.items()]
        return {"columns": columns, "rows": self.rows, "residuals": self.residuals.state()}

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Resampling:
        """Return the generator that a file kept."""
        columns = {name: Smoothed(**column) for name, column in state["columns"]}
        return cls(columns, state["rows"], Residuals.load(state["residuals"]))
