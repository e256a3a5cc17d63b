"""Columns that are sums or products of others in every row, looked for in time that grows like p^3.

Pairs are tried all at once in a few rows, and what survives in all of them. Sums of more columns
are linear dependences: the singular vectors of a sample of rows say which columns have part in any,
and among those few a linear program finds the weights, which are 0 and 1 where it is a sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from cibench.model.types import Array
from cibench.twins.columns import Columns, Derived
from cibench.twins.formula import Formula, quoted

EXACT = 1e-9
"""Identities hold to this share of the columns' size: decimals in a file are not binary."""

LARGEST_SUM = 12
ENOUGH_ROWS = 2
"""Sums of more than two are looked for where there are so many times more rows than columns."""

SAMPLE = 4
"""The sample has so many rows for each column, and `LEAST_SAMPLE` at least."""

LEAST_SAMPLE = 400
TRIED = 8
"""Rows in which pairs are tried first: half of them where the whole is largest."""

NEAR = 1e-4
"""Coefficients so near to 0 and 1 are tried as such."""

DEPENDENT = 1e-7
"""Singular values below this share of the largest are none; what they tell is checked exactly."""


def find_identities(columns: Columns, protected: tuple[str, ...] = ()) -> tuple[Derived, ...]:
    """Return the columns that are sums or products of others in every row.

    `columns` hold numbers without gaps; those in `protected` are never derived. A part is never a
    column that is derived itself, so that the order does not matter.
    """
    varying = {n: c for n, c in columns.items() if np.ptp(c) > 0}
    if len(varying) < 3:
        return ()
    search = _Search(varying)
    derived: dict[str, Derived] = {}
    used: set[str] = set()
    for name in varying:
        if name in protected or name in used:
            continue
        others = [o for o in varying if o != name and o not in derived]
        formula = search.identity(name, others)
        if formula:
            derived[name] = Derived(name, formula)
            used |= set(Formula(formula).names)
    return tuple(derived.values())


class _Search:
    """Look for the identities of columns of one table."""

    def __init__(self, columns: Columns) -> None:
        self.names, self.columns = list(columns), columns
        self.table = np.column_stack(list(columns.values()))
        self.size = np.abs(self.table).max(axis=0)
        rows, width = self.table.shape
        count = min(rows, max(LEAST_SAMPLE, SAMPLE * width))
        spread = np.linspace(0, rows - 1, count).astype(int)
        self.sample = np.union1d(spread, np.abs(self.table).argmax(axis=0))  # no column is all 0
        self.dependent = self._dependent() if width * ENOUGH_ROWS <= rows else frozenset()

    def _dependent(self) -> frozenset[str]:
        """Return the columns that have part in any linear dependence."""
        x = self.table[self.sample] / self.size
        _, values, vectors = np.linalg.svd(x, full_matrices=False)
        null = np.abs(vectors[values <= DEPENDENT * values[0]])
        return frozenset(self.names[j] for j in np.flatnonzero((null > DEPENDENT).any(axis=0)))

    def identity(self, name: str, others: Sequence[str]) -> str | None:
        """Return a column's formula in others, a product first, then a sum of as few as can be."""
        for operator in ("*", "+"):
            for first, second in self._pairs(name, others, operator):
                a, b = self.columns[first], self.columns[second]
                if _same(self.columns[name], a * b if operator == "*" else a + b):
                    return f"{quoted(first)} {operator} {quoted(second)}"
        if name not in self.dependent:
            return None
        apart = [o for o in others if o in self.dependent and not self._proportional(o, name)]
        parts = self._sum(name, apart) if len(apart) > 2 else None
        return " + ".join(map(quoted, parts)) if parts else None

    def _proportional(self, other: str, name: str) -> bool:
        """Say whether a column is another one in other units, which is no sum of its parts."""
        first, second = self.columns[other][self.sample], self.columns[name][self.sample]
        place = np.abs(first).argmax()
        return _same(first * second[place] / first[place], second)

    def _pairs(
        self, name: str, others: Sequence[str], operator: str
    ) -> Iterator[tuple[str, str]]:  # fmt: skip
        """Yield the pairs that make the column in the rows that are tried."""
        whole, places = self.columns[name], [self.names.index(o) for o in others]
        largest = np.argsort(-np.abs(whole), kind="stable")[: TRIED // 2]
        spread = np.linspace(0, len(whole) - 1, TRIED // 2).astype(int)
        i, j = np.triu_indices(len(places), 1)
        size = self.size[places]
        scale = size[i] * size[j] if operator == "*" else size[i] + size[j]
        margin = EXACT * np.maximum(scale, self.size[self.names.index(name)])
        for row in np.unique(np.r_[largest, spread]):
            values = self.table[row, places]
            value = values[i] * values[j] if operator == "*" else values[i] + values[j]
            left = np.abs(whole[row] - value) <= margin
            i, j, margin = i[left], j[left], margin[left]
        for a, b in zip(i.tolist(), j.tolist(), strict=True):
            yield others[a], others[b]

    def _sum(self, name: str, others: list[str]) -> list[str] | None:
        """Return the columns whose sum the column is: of all sums with weights the least one.

        Where totals of totals stand beside their parts a column is many weighted sums; that of the
        least weights, none of them negative, has weights of 0 and 1 where there is such a one.
        """
        from scipy.optimize import linprog

        x = np.column_stack([self.columns[o][self.sample] for o in others])
        scale, whole = np.abs(x).max(axis=0), self.columns[name][self.sample]
        left, values, right = np.linalg.svd(x / scale, full_matrices=False)
        rank = values > DEPENDENT * values[0]
        projected = left[:, rank].T @ whole
        if np.abs(whole - left[:, rank] @ projected).max() > DEPENDENT * np.abs(whole).max():
            return None
        size = np.abs(whole).max()
        most = [(0.0, one) for one in scale / size]
        solved = linprog(
            1 / scale, A_eq=right[rank], b_eq=projected / values[rank] / size, bounds=most
        )
        if solved.x is None:
            return None
        weights = solved.x * size / scale
        chosen = np.abs(weights - 1) < NEAR
        fits = 2 <= chosen.sum() <= LARGEST_SUM and (weights[~chosen] < NEAR).all()
        parts = [o for o, one in zip(others, chosen, strict=True) if one]
        total = np.sum([self.columns[o] for o in parts], axis=0)
        return parts if fits and _same(self.columns[name], total) else None


def _same(first: Array, other: Array) -> bool:
    scale = max(float(np.abs(first).max()), float(np.abs(other).max()))
    return bool(np.all(np.abs(first - other) <= EXACT * scale))
