"""Are methods equal that a suite states to be equal: replicate by replicate, on the same data.

Two methods that theory makes one, or that the field takes for one, are compared number by number.
How far they lie apart counts in the smaller of their two standard errors. Where neither has one
(both 0, or none given) the standard error of a normal interval as long as the shorter of their two
takes its place, and where there are no limits either the smaller spread of their errors over all
replicates. P-values are compared as they are, statistics relative to their size.

Rounding is no difference: numbers equal to 13 digits of the largest that stands beside them (both
numbers, both estimates and the truth) are equal whatever the standard error; to ten digits where
that itself is below 1e-12 of the largest or there is none, since it is zero but for rounding where
there is no noise; and so are numbers where all of these and the unit itself, too, are below 1e-12,
which only a zero that was computed is. Infinite limits are equal to
themselves, and so are empty sets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations
from math import nan
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.analysis.one_pass import from_rows
from cibench.metrics.groups import Group
from cibench.model.types import TARGET, Array
from cibench.storage import CellRows
from cibench.storage.groups import NUMBERS, cut
from cibench.storage.schema import CELL
from cibench.suite.equalities import INSIDE, OF_DIAGNOSTICS, Equality, equalities

if TYPE_CHECKING:
    import pandas as pd

QUESTION = ("kind", *CELL, *TARGET, "level")
COLUMNS = (
    *QUESTION, "estimator", "options", "other", "other_options", "quantity", "within", "why",
    "replicates", "compared", "differing", "answered_by_one", "answered_by_none", "declined",
    "greatest", "difference", "first", "verdict",
)  # fmt: skip
"""The columns of the table."""

ROUNDING, COMPUTED, NOTHING = 1e-13, 1e-10, 1e-12

COLUMNS_OF = {
    "estimate": ("estimate",), "std_error": ("std_error",), "limits": ("ci_low", "ci_high"),
    "bands": ("band_low", "band_high"), "p_value": ("p_value",), "statistic": ("statistic",),
}  # fmt: skip
"""The columns of a row that hold each number."""


class EqualityVerdict(StrEnum):
    """Say what the rows show of two methods that are stated to be equal."""

    EQUAL = "equal"
    DIFFERS = "differs"
    BY_ONE = "answered by one only"
    UNCOMPARED = "nothing to compare"


UNEQUAL = (EqualityVerdict.DIFFERS, EqualityVerdict.BY_ONE)
"""The verdicts that contradict what the suite states."""


def judge_equalities(
    rows: pd.DataFrame, catalogue: Mapping[str, Any], suite: Mapping[str, Any]
) -> pd.DataFrame:
    """Return for each two methods that a suite states to be equal whether they are, cell by cell.

    `suite` is the content of the suite file, `catalogue` that of the run. Of the `replicates` that
    both have, `compared` have the number (`quantity`) of both; in `differing` of them they lie more
    than `within` apart. `answered_by_one` counts those that one answered and the other failed or
    left without the number, which is a difference too; in those of `answered_by_none` neither has
    it, and in those `declined` somebody did not try. `greatest` is the largest distance in the
    units of the module (standard errors), `difference` the same in those of the number, `first` the
    first replicate that differs, else that only one answered. Raises BadInput if columns are
    missing.

    >>> import cibench
    >>> from cibench.analysis import judge_equalities
    >>> methods = ["panel/twfe", "did/collapsed", "did/collapsed-last"]
    >>> cell = {"scenario": "did/two-group", "n": 30, "estimators": methods, "equal": [methods]}
    >>> run = cibench.run({"name": "small", "seed": 1, "replicates": 20, "cells": [cell]})
    >>> table = judge_equalities(run.replicates, run.catalogue, run.suite)
    >>> table[["estimator", "other", "compared", "differing", "verdict"]]
           estimator               other  compared  differing  verdict
    0     panel/twfe       did/collapsed        20          0    equal
    1     panel/twfe  did/collapsed-last        20         20  differs
    2  did/collapsed  did/collapsed-last        20         20  differs
    """
    return from_rows(rows, EqualityCollector(catalogue, suite))


@dataclass(eq=False)
class EqualityCollector:
    """Judge a run's equalities cell by cell as `judge_equalities` does."""

    catalogue: Mapping[str, Any]
    suite: Mapping[str, Any]
    _stated: Sequence[Equality] = field(init=False)
    _lines: list[dict[str, Any]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._stated = list(equalities(self.suite))

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the columns that some statement needs and scoring does not."""
        named = {of for equality in self._stated for of in equality.of}
        diagnostic = any(
            about.get("kind") == "diagnostic"
            for about in (self.catalogue.get("estimators") or {}).values()
        )
        return tuple(n for n in OF_DIAGNOSTICS if self._stated and (diagnostic or n in named))

    def add(self, cell: CellRows) -> None:
        """Judge the equalities of a cell."""
        if not self._stated:
            return
        columns = tuple(dict.fromkeys((*NUMBERS, *self.reads)))
        part = cut(cell.table, columns) if self.reads else cell.part
        families: dict[tuple[Any, ...], list[int]] = {}
        for place, names in enumerate(part.names):
            families.setdefault(tuple(names[name] for name in QUESTION), []).append(place)
        for members in families.values():
            rows = [part.names[place] for place in members]
            for first, second, equality, of in self._pairs(rows):
                groups = part.groups[members[first]], part.groups[members[second]]
                self._lines.append(_line(rows[first], rows[second], equality, of, groups))

    def _pairs(
        self, names: Sequence[Mapping[str, Any]]
    ) -> Iterator[tuple[int, int, Equality, str]]:
        """Yield who is compared with whom, and in what; nobody twice in the same."""
        about = self.catalogue.get("estimators") or {}
        done: set[tuple[Any, ...]] = set()
        for equality in self._stated:
            there = [i for i, row in enumerate(names) if equality.holds(row, self.catalogue)]
            for i, k in combinations(_as_named(there, names, equality), 2):
                first, second = (str(names[j]["estimator"]) for j in (i, k))
                if first == second:
                    continue
                for of in equality.quantities(about.get(first) or {}, about.get(second) or {}):
                    key = (frozenset((i, k)), of, equality.within)
                    if key not in done:
                        done.add(key)
                        yield i, k, equality, of

    def table(self) -> pd.DataFrame:
        """Return what was stated to be equal, and the verdict on it."""
        import pandas as pd

        table = pd.DataFrame(self._lines, columns=list(COLUMNS))
        return table.astype({"within": float, "setting": float, "first": "Int64"})


def _as_named(
    there: Sequence[int], names: Sequence[Mapping[str, Any]], equality: Equality
) -> list[int]:
    """Return places in the order in which a statement names the methods."""
    order = {name: number for number, name in enumerate(equality.methods)}
    return sorted(there, key=lambda i: order.get(names[i]["estimator"], len(order)))


def _line(
    first: Mapping[str, Any], second: Mapping[str, Any], equality: Equality, of: str,
    groups: tuple[Group, Group],
) -> dict[str, Any]:  # fmt: skip
    """Return the line of two methods in one cell."""
    beside = {"other": second["estimator"], "other_options": second["options"]}
    names = {name: first[name] for name in (*QUESTION, "estimator", "options")} | beside
    distance = compare(*_on_common(*groups), of, level=float(first["level"] or nan))
    return {
        **names, "quantity": of, "within": equality.within, "why": equality.why,
        **distance.counts(equality.within),
    }  # fmt: skip


def _on_common(first: Group, second: Group) -> tuple[Group, Group]:
    """Return the rows of the replicates that both have, answered or not."""
    if np.array_equal(first["replicate"], second["replicate"]):
        return first, second
    _, i, k = np.intersect1d(first["replicate"], second["replicate"], return_indices=True)
    return {n: c[i] for n, c in first.items()}, {n: c[k] for n, c in second.items()}


@dataclass(frozen=True, eq=False)
class Distance:
    """Hold how far two methods lie apart on each replicate, NaN where they are not compared.

    `away` counts in units, `difference` in those of the number; `by_one` marks what only one of
    them answered, `by_none` what neither did, `declined` where somebody did not try.
    """

    replicate: Array
    away: Array
    difference: Array
    by_one: Array
    by_none: Array
    declined: Array

    def counts(self, within: float) -> dict[str, Any]:
        """Return the counts, the greatest distance, the first that differs and the verdict."""
        compared, apart = ~np.isnan(self.away), self.away > within
        greatest = int(np.nanargmax(self.away)) if compared.any() else None
        wrong = apart if apart.any() else self.by_one
        if apart.any():
            verdict = EqualityVerdict.DIFFERS
        elif self.by_one.any():
            verdict = EqualityVerdict.BY_ONE
        else:
            verdict = EqualityVerdict.EQUAL if compared.any() else EqualityVerdict.UNCOMPARED
        return {
            "replicates": self.replicate.size, "compared": int(compared.sum()),
            "differing": int(apart.sum()), "answered_by_one": int(self.by_one.sum()),
            "answered_by_none": int(self.by_none.sum()), "declined": int(self.declined.sum()),
            "greatest": nan if greatest is None else float(self.away[greatest]),
            "difference": nan if greatest is None else float(self.difference[greatest]),
            "first": int(self.replicate[wrong][0]) if wrong.any() else None,
            "verdict": str(verdict),
        }  # fmt: skip


def compare(first: Group, second: Group, of: str, level: float = nan) -> Distance:
    """Return how far two groups of the same replicates lie apart in one of their numbers."""
    if of == INSIDE:
        has = first["ok"], second["ok"]
        difference = np.fmax(_beyond(first, second), _beyond(second, first))
        away = _in_units([difference], _unit(first, second, level), _size(first, second))
    else:
        has = _has(first, of), _has(second, of)
        sides = [(first[name], second[name]) for name in COLUMNS_OF[of]]
        apart = [_apart(a, b) for a, b in sides]
        unit, size = _scale(first, second, of, level)
        away, difference = _in_units(apart, unit, size), np.maximum.reduce(apart)
        if of == "limits":
            away = np.where(first["outside"] == second["outside"], away, np.inf)
    both = has[0] & has[1] & ~np.isnan(difference)
    declined = ~both & (first["declined"] | second["declined"])
    left = ~both & ~declined
    return Distance(
        first["replicate"], np.where(both, away, nan), np.where(both, difference, nan),
        left & (has[0] != has[1]), left & (has[0] == has[1]), declined,
    )  # fmt: skip


def _has(group: Group, of: str) -> Array:
    """Mark the replicates on which a method gave a number."""
    there = [~np.isnan(group[name]) for name in COLUMNS_OF[of]]
    return np.asarray(np.logical_and.reduce([group["ok"], *there]))


@np.errstate(all="ignore")
def _apart(a: Array, b: Array) -> Array:
    """Return |a - b|, 0 for equals, infinite ones too, and NaN where one is missing."""
    return np.where(a == b, 0.0, np.abs(a - b))


@np.errstate(all="ignore")
def _beyond(first: Group, second: Group) -> Array:
    """Return how far the first one's estimates lie outside of the second one's confidence sets."""
    value, low, high = first["estimate"], second["ci_low"], second["ci_high"]
    within = np.maximum(np.maximum(low - value, value - high), 0.0)
    between = np.maximum(np.minimum(value - low, high - value), 0.0)
    return np.asarray(np.where(second["outside"] == 1, between, within))


def _scale(first: Group, second: Group, of: str, level: float) -> tuple[Array, Array]:
    """Return the unit of each replicate, and the size that rounding goes by."""
    if of not in OF_DIAGNOSTICS:
        return _unit(first, second, level), _size(first, second, *COLUMNS_OF[of])
    size = np.fmax(np.abs(first[of]), np.abs(second[of]))
    return (size if of == "statistic" else np.ones(size.size)), size


@np.errstate(all="ignore")
def _unit(first: Group, second: Group, level: float) -> Array:
    """Return the standard error that distances count in, the smaller one of both."""
    z = NormalDist().inv_cdf(0.5 + level / 2) if 0 < level < 1 else nan
    error, implied, spread = [], [], []
    for group in (first, second):
        length = np.where(group["outside"] == 1, nan, group["ci_high"] - group["ci_low"])
        errors = group["estimate"] - group["truth"]
        errors = errors[group["ok"] & np.isfinite(errors)]
        error.append(_positive(group["std_error"]))
        implied.append(_positive(length / (2 * z)))
        spread.append(_positive(np.full(length.size, errors.std() if errors.size > 1 else nan)))
    unit = np.full(first["ok"].size, nan)
    for sides in (error, implied, spread):
        unit = np.where(np.isnan(unit), np.fmin(*sides), unit)
    return unit


def _positive(numbers: Array) -> Array:
    return np.where((numbers > 0) & np.isfinite(numbers), numbers, nan)


def _size(first: Group, second: Group, *names: str) -> Array:
    """Return the largest finite number that stands beside what is compared."""
    size = np.zeros(first["ok"].size)
    for group in (first, second):
        for name in ("estimate", "truth", *names):
            size = np.fmax(size, np.where(np.isfinite(group[name]), np.abs(group[name]), 0.0))
    return size


@np.errstate(all="ignore")
def _in_units(apart: Sequence[Array], unit: Array, size: Array) -> Array:
    """Return the largest of some distances in units; rounding is none, without a unit all are."""
    largest = np.maximum.reduce(apart)
    share = np.where(unit > NOTHING * size, ROUNDING, COMPUTED)
    computed = np.fmax(largest, np.fmax(size, np.nan_to_num(unit))) < NOTHING
    same = (largest <= share * size) | computed | (largest == 0)
    return np.where(same, 0.0, np.where(np.isnan(unit), np.inf, largest / unit))
