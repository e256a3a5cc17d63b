"""Rows as points in space, so that one can ask how close a drawn row comes to a real one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from cibench.model import Array
from cibench.twins.columns import MISSING, Column, Columns
from cibench.twins.seed import Seed
from cibench.twins.twin import Twin


@dataclass(frozen=True, eq=False)
class Space:
    """Turn columns into points, a row for each unit; every coordinate has the seed's s.d.

    A panel's unit has its outcomes in all periods, the number of treated ones and its covariates. A
    category has a coordinate for each level; a missing value lies in the middle, beside its
    indicator.
    """

    seed: Seed
    periods: int

    @classmethod
    def of(cls, seed: Seed, twin: Twin) -> Space:
        """Return the space of a seed's rows."""
        return cls(seed, 1 if twin.panel is None else len(twin.panel.times))

    def _parts(self, columns: Columns) -> list[Array]:
        design, known = self.seed.design, {c.name: c for c in self.seed.known}
        left = {design.unit, design.time, design.cohort, *(d.name for d in self.seed.derived)}
        parts = list[Array]()
        for name in self.seed.columns:
            if name in left:
                continue
            wide = columns[name].reshape(-1, self.periods)
            if name == design.outcome and self.periods > 1:
                parts += list(wide.T)
            elif name == design.treatment and self.periods > 1:
                parts.append(wide.sum(axis=1))
            elif name in known and known[name].levels:
                parts += [(wide[:, 0] == k) / np.sqrt(2) for k in range(len(known[name].levels))]
            else:
                parts.append(_filled(columns, name, known).reshape(wide.shape)[:, 0])
        return parts

    def points(self, columns: Columns) -> Array:
        """Return units by coordinates."""
        parts = np.column_stack(self._parts(columns))
        return parts / self._scale

    @property
    def _scale(self) -> Array:
        spread = np.column_stack(self._parts(self.seed.columns)).std(axis=0)
        return np.where(spread > 0, spread, 1.0)

    @property
    def units(self) -> int:
        """Return how many units the seed has."""
        return self.seed.rows // self.periods


def _filled(columns: Columns, name: str, known: Mapping[str, Column]) -> Array:
    indicator = known[name].indicator if name in known else ""
    if name.startswith(MISSING) or not indicator or indicator not in columns:
        return columns[name]
    gone = columns[indicator] == 1
    return np.where(gone, columns[name].mean(), columns[name])


def ordered(seed: Seed) -> Seed:
    """Return a seed whose units can be taken apart: a panel sorted, without the always treated."""
    design = seed.design
    if design.kind != "did":
        return seed
    order = np.lexsort((seed.columns[design.time], seed.columns[design.unit]))
    columns = {n: c[order] for n, c in seed.columns.items()}
    periods = len(np.unique(columns[design.time]))
    if design.treatment:
        first = columns[design.treatment].reshape(-1, periods)[:, 0] == 1
    else:
        cohort = columns[design.cohort].reshape(-1, periods)[:, 0]
        first = (cohort > 0) & (cohort <= columns[design.time].min())
    keep = np.repeat(~first, periods)
    return replace(seed, columns={n: c[keep] for n, c in columns.items()})


def taken(seed: Seed, units: Array, periods: int) -> Seed:
    """Return the seed with these units alone."""
    rows = (units[:, None] * periods + np.arange(periods)).ravel()
    return replace(seed, columns={n: c[rows] for n, c in seed.columns.items()})
