"""Margins: from a column's values to uniform numbers and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cibench.model import Array

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

    def state(self) -> dict[str, Any]:
        """Return what a file keeps."""
        return {"values": self.values, "shares": self.shares, "discrete": self.discrete}

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Margin:
        """Return the margin that a file kept."""
        return cls(state["values"], state["shares"], discrete=state["discrete"])


def _at(values: Array, place: Array) -> Array:
    found: Array = values[np.minimum(place, len(values) - 1)]
    return found


def ranks(x: Array, rng: np.random.Generator) -> Array:
    """Return (rank - 1/2) / n, ties broken at random."""
    order = np.lexsort((rng.random(len(x)), x))
    u = np.empty(len(x))
    u[order] = (np.arange(len(x)) + 0.5) / len(x)
    return u
