"""Copulas: margins, and the dependence between them as a vine or as one correlation matrix.

Discrete columns are fitted as what they are, through the shares at and below each value; a
randomised rank would dilute the dependence. Categories are put in the order of the column that
tells them apart best, so that a copula can follow them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from cibench.model.types import Array
from cibench.twins.columns import Columns
from cibench.twins.generators.base import Training

KNOTS = 1001
"""A continuous margin keeps at most so many quantiles."""


@dataclass(frozen=True, eq=False)
class Margin:
    """Hold a column's distribution: quantiles with lines between them, or values with shares.

    `values` ascend; `shares` are cumulative: of the quantiles, or of the discrete values.
    """

    values: Array
    shares: Array
    discrete: bool

    @classmethod
    def of(cls, x: Array, *, discrete: bool) -> Margin:
        """Return the margin of the values seen."""
        if discrete:
            values, counts = np.unique(x, return_counts=True)
            return cls(values, np.cumsum(counts) / len(x), discrete=True)
        inner = (np.arange(len(x)) + 0.5) / len(x)
        shares, values = np.r_[0, inner, 1], np.sort(x)[np.r_[0, : len(x), len(x) - 1]]
        if len(shares) > KNOTS:
            grid = np.linspace(0, 1, KNOTS)
            shares, values = grid, np.interp(grid, shares, values)
        return cls(values, shares, discrete=False)

    def below(self, x: Array) -> tuple[Array, Array]:
        """Return the share below or at each value, and the share below it (discrete ones)."""
        place = np.clip(np.searchsorted(self.values, x), 0, len(self.values) - 1)
        return self.shares[place], np.r_[0.0, self.shares][place]

    def quantile(self, u: Array) -> Array:
        """Return the values at shares u in (0, 1)."""
        if self.discrete:
            return _at(self.values, np.searchsorted(self.shares, u))
        return np.interp(u, self.shares, self.values)

    @cached_property
    def _normal(self) -> Array:
        from scipy.special import ndtri

        return np.asarray(ndtri(np.clip(self.shares, 1e-9, 1 - 1e-9)))

    def normal_quantile(self, z: Array) -> Array:
        """Return the values at standard normal scores z, without a detour by shares."""
        if self.discrete:
            return _at(self.values, np.searchsorted(self._normal, z))
        return np.interp(z, self._normal, self.values)

    def normal_score(self, x: Array) -> Array:
        """Return standard normal scores of values, in the middle where several share one.

        Beyond the outermost quantiles that are known they are those quantiles' own.
        """
        if self.discrete:
            from scipy.special import ndtri

            at, below = self.below(x)
            return np.asarray(ndtri((at + below) / 2))
        values, scores = self.values, self._normal
        upper = np.interp(x, values, scores)
        lower = -np.interp(-x, -values[::-1], -scores[::-1])
        return np.clip((upper + lower) / 2, scores[1], scores[-2])

    def state(self) -> dict[str, Any]:
        """Return what a file keeps."""
        return {"values": self.values, "shares": self.shares, "discrete": self.discrete}

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Margin:
        """Return the margin that a file kept."""
        return cls(state["values"], state["shares"], discrete=state["discrete"])


def _at(values: Array, place: Array) -> Array:
    chosen: Array = values[np.minimum(place, len(values) - 1)]
    return chosen


def ranks(x: Array, rng: np.random.Generator) -> Array:
    """Return (rank - 1/2) / n, ties broken at random."""
    order = np.lexsort((rng.random(len(x)), x))
    u = np.empty(len(x))
    u[order] = (np.arange(len(x)) + 0.5) / len(x)
    return u


SEEDS = 8
CLOSE_TO_ONE = 0.999
LEAST_EIGENVALUE = 1e-4


@dataclass(frozen=True, eq=False)
class Margins:
    """Hold the columns' margins, and the order that categories were put in."""

    names: tuple[str, ...]
    margins: tuple[Margin, ...]
    orders: Mapping[str, Array]

    @classmethod
    def of(cls, training: Training) -> Margins:
        """Return the margins of the columns that vary."""
        orders = {name: _order(training, name) for name in sorted(training.categories)}
        names = tuple(n for n, c in training.columns.items() if np.ptp(c) > 0)
        coded = {n: _coded(training.columns[n], orders.get(n)) for n in names}
        margins = tuple(Margin.of(coded[n], discrete=n in training.discrete) for n in names)
        return cls(names, margins, orders)

    def uniforms(self, training: Training, rng: np.random.Generator) -> tuple[Array, list[str]]:
        """Return what the copula is fitted to, and each column's type, "c" or "d"."""
        at, below = [], []
        for name, margin in zip(self.names, self.margins, strict=True):
            x = _coded(training.columns[name], self.orders.get(name))
            if margin.discrete:
                both = margin.below(x)
                at.append(np.clip(both[0], 1e-6, 1 - 1e-6))
                below.append(np.clip(both[1], 1e-6, 1 - 1e-6))
            else:
                at.append(ranks(x, rng))
        kinds = ["d" if m.discrete else "c" for m in self.margins]
        return np.column_stack(at + below), kinds

    def columns(self, scores: Array, *, normal: bool) -> Columns:
        """Return columns from uniform or standard normal scores, rows by columns."""
        drawn = {}
        for j, (name, margin) in enumerate(zip(self.names, self.margins, strict=True)):
            score = np.ascontiguousarray(scores[:, j])
            x = margin.normal_quantile(score) if normal else margin.quantile(score)
            drawn[name] = self.orders[name][x.astype(int)] if name in self.orders else x
        return drawn

    def state(self) -> dict[str, Any]:
        """Return what a file keeps."""
        margins = [m.state() for m in self.margins]
        return {"names": list(self.names), "margins": margins, "orders": dict(self.orders)}

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Margins:
        """Return the margins that a file kept."""
        margins = tuple(Margin.load(m) for m in state["margins"])
        return cls(tuple(state["names"]), margins, state["orders"])


def _coded(x: Array, order: Array | None) -> Array:
    return x if order is None else np.argsort(order)[x.astype(int)].astype(float)


def _order(training: Training, name: str) -> Array:
    """Return the category's codes in the order of the column whose ranks they explain best."""
    codes = training.columns[name].astype(int)
    count = np.bincount(codes)
    best, order = -1.0, np.arange(len(count), dtype=float)
    for other, column in training.columns.items():
        if other == name or other in training.categories or np.ptp(column) == 0:
            continue
        score = np.argsort(np.argsort(column, kind="stable"), kind="stable").astype(float)
        means = np.bincount(codes, score) / np.maximum(count, 1)
        between = float(np.sum(count * (means - score.mean()) ** 2) / np.sum(count))
        if between > best:
            best, order = between, np.argsort(means, kind="stable").astype(float)
    return order


@dataclass(frozen=True, eq=False)
class Vine:
    """Draw from a regular vine; `text` is pyvinecopulib's own JSON."""

    margins: Margins
    text: str

    @classmethod
    def train(cls, training: Training, rng: np.random.Generator) -> Vine:
        """Select structure and pair copulas by AIC.

        The families are those that are drawn from quickly: independence, Gaussian, and a local
        likelihood fit that follows whatever the others do not.
        """
        import pyvinecopulib as pv

        margins = Margins.of(training)
        u, kinds = margins.uniforms(training, rng)
        family = pv.BicopFamily
        controls = pv.FitControlsVinecop(
            family_set=[family.indep, family.gaussian, family.tll], num_threads=1,
            seeds=_seeds(rng),
        )  # fmt: skip
        fitted = pv.Vinecop.from_data(np.asfortranarray(u), controls, var_types=kinds)
        return cls(margins, fitted.to_json())

    @cached_property
    def _copula(self) -> Any:
        import pyvinecopulib as pv

        return pv.Vinecop.from_json(self.text)

    def sample(self, n: int, rng: np.random.Generator) -> Columns:
        """Draw n rows in one thread."""
        u = self._copula.sample(n, num_threads=1, seeds=_seeds(rng))
        return self.margins.columns(u, normal=False)

    def state(self) -> dict[str, Any]:
        """Return what a file keeps."""
        return {"margins": self.margins.state(), "text": self.text}

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Vine:
        """Return the generator that a file kept."""
        return cls(Margins.load(state["margins"]), state["text"])


def _seeds(rng: np.random.Generator) -> list[int]:
    seeds: list[int] = rng.integers(0, 2**31 - 1, SEEDS).tolist()
    return seeds


@dataclass(frozen=True, eq=False)
class Gaussian:
    """Draw from a Gaussian copula, whose correlations are fitted pair by pair."""

    margins: Margins
    correlation: Array

    @classmethod
    def train(cls, training: Training, rng: np.random.Generator) -> Gaussian:
        """Fit each pair by maximum likelihood and repair the matrix where it is not definite."""
        margins = Margins.of(training)
        u, kinds = margins.uniforms(training, rng)
        size = len(kinds)
        below = {j: size + k for k, j in enumerate(j for j in range(size) if kinds[j] == "d")}
        correlation = np.eye(size)
        for i, j in combinations(range(size), 2):
            columns = [i, j, *(below[k] for k in (i, j) if k in below)]
            correlation[i, j] = correlation[j, i] = _pair(u[:, columns], [kinds[i], kinds[j]])
        return cls(margins, _definite(correlation))

    @cached_property
    def _root(self) -> Array:
        return np.linalg.cholesky(self.correlation)

    def sample(self, n: int, rng: np.random.Generator) -> Columns:
        """Draw n rows."""
        z = rng.standard_normal((n, len(self.correlation))) @ self._root.T
        return self.margins.columns(z, normal=True)

    def state(self) -> dict[str, Any]:
        """Return what a file keeps."""
        return {"margins": self.margins.state(), "correlation": self.correlation}

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Gaussian:
        """Return the generator that a file kept."""
        return cls(Margins.load(state["margins"]), state["correlation"])


def _pair(u: Array, kinds: list[str]) -> float:
    """Return a pair's correlation on the normal scale: of scores, or by likelihood if discrete."""
    if kinds == ["c", "c"]:
        from scipy.special import ndtri

        return float(np.asarray(np.corrcoef(ndtri(u).T))[0, 1])
    import pyvinecopulib as pv

    controls = pv.FitControlsBicop(family_set=[pv.BicopFamily.gaussian], num_threads=1)
    fitted = pv.Bicop.from_data(np.asfortranarray(u), controls, var_types=kinds)
    return float(np.clip(np.ravel(fitted.parameters)[0], -CLOSE_TO_ONE, CLOSE_TO_ONE))


def _definite(correlation: Array) -> Array:
    """Return the correlation matrix with its eigenvalues lifted to a least one."""
    values, vectors = np.linalg.eigh(correlation)
    if values[0] >= LEAST_EIGENVALUE:
        return correlation
    lifted = (vectors * np.maximum(values, LEAST_EIGENVALUE)) @ vectors.T
    scale = np.sqrt(np.diag(lifted))
    return np.asarray(lifted / np.outer(scale, scale))
