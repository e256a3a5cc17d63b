"""Features of covariates and running variable, from which outcomes and treatments are fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from math import comb
from typing import Any

import numpy as np

from cibench.model.types import Array

FORMS = ("linear", "splines", "interactions")
KNOT_SHARES = (0.1, 0.4, 0.6, 0.9)
REACH = 4.0
"""Features stop growing so many s.d. from the mean: nobody knows the outcome out there."""


@dataclass(frozen=True)
class Numeric:
    """Describe how a number enters: its mean, s.d. and the knots of its spline, in s.d."""

    name: str
    mean: float
    sd: float
    knots: tuple[float, ...] = ()


@dataclass(frozen=True)
class Features:
    """Turn columns into a matrix of regressors whose first one is the constant.

    `order` powers of the running variable's distance to the cutoff enter on either side, so that
    the fit is continuous at the cutoff; 0 where there is no running variable.
    """

    form: str
    numeric: tuple[Numeric, ...] = ()
    categories: tuple[tuple[str, int], ...] = ()
    running: str = ""
    cutoff: float = 0.0
    scale: float = 1.0
    order: int = 0

    @property
    def name(self) -> str:
        """Return what the fit is called in files and on screens."""
        words = [f"order {self.order} on either side"] if self.order else []
        words += [self.form] if self.numeric or self.categories else []
        return ", ".join(words) or "constant"

    @property
    def size(self) -> int:
        """Return how many columns the matrix has."""
        scores = len(self.numeric)
        dummies = sum(levels - 1 for _, levels in self.categories)
        curved = sum(max(0, len(n.knots) - 2) for n in self.numeric if self.form != "linear")
        pairs = comb(scores + dummies, 2) if self.form == "interactions" else 0
        return 1 + 2 * self.order + scores + dummies + curved + pairs

    def matrix(self, columns: Mapping[str, Array], rows: int) -> Array:
        """Return rows by features."""
        parts = [np.ones(rows)]
        if self.order:
            v = (columns[self.running] - self.cutoff) / self.scale
            powers = [v**k for k in range(1, self.order + 1)]
            parts += [p * side for side in (v < 0, v >= 0) for p in powers]
        scores = [np.clip((columns[n.name] - n.mean) / n.sd, -REACH, REACH) for n in self.numeric]
        dummies = [
            (columns[name] == level).astype(float)
            for name, levels in self.categories
            for level in range(1, levels)
        ]
        parts += scores + dummies
        if self.form != "linear":
            for score, number in zip(scores, self.numeric, strict=True):
                parts += _spline(score, number.knots)
        if self.form == "interactions":
            parts += [a * b for a, b in combinations(scores + dummies, 2)]
        return np.column_stack(parts)

    def state(self) -> dict[str, Any]:
        """Return what a file keeps."""
        return asdict(self)

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Features:
        """Return the features that a file kept."""
        numeric = tuple(Numeric(**{**n, "knots": tuple(n["knots"])}) for n in state["numeric"])
        categories = tuple((name, levels) for name, levels in state["categories"])
        return cls(**{**state, "numeric": numeric, "categories": categories})


def _spline(z: Array, knots: tuple[float, ...]) -> list[Array]:
    """Return the natural cubic spline's columns beyond the line (Hastie and others, eq. 5.4)."""
    if len(knots) < 3:
        return []
    last = knots[-1]

    def tail(knot: float) -> Array:
        rise = np.maximum(z - knot, 0) ** 3 - np.maximum(z - last, 0) ** 3
        return np.asarray(rise / (last - knot))

    final = tail(knots[-2])
    return [tail(knot) - final for knot in knots[:-2]]


def features_of(
    columns: Mapping[str, Array], discrete: Mapping[str, int], form: str, order: int = 0,
    running: str = "", cutoff: float = 0.0,
) -> Features:  # fmt: skip
    """Return features of the given form for these covariates; `discrete` counts categories' levels.

    The running variable is no covariate; constant columns are left out.
    """
    numeric, categories = [], []
    for name, column in columns.items():
        if name in discrete:
            categories.append((name, discrete[name]))
        elif name != running and np.ptp(column) > 0:
            mean, sd = float(column.mean()), float(column.std())
            at = np.unique(np.quantile((column - mean) / sd, KNOT_SHARES))
            numeric.append(Numeric(name, mean, sd, tuple(at.tolist())))
    scale = float(np.abs(columns[running] - cutoff).max()) if order else 1.0
    return Features(form, tuple(numeric), tuple(categories), running, cutoff, scale, order)
