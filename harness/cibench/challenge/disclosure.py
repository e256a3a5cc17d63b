"""What may leave: values that enough rows share, rare ones merged, and a search for leaks."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.model.types import Array
from cibench.twins.audit.rules import in_numbers
from cibench.twins.columns import Column
from cibench.twins.fit.seed_data import Seed
from cibench.twins.generators.base import FAMILIES
from cibench.twins.twin import Twin
from cibench.utils.errors import BadInput, unknown

if TYPE_CHECKING:
    import pandas as pd

CELL = 10
"""No value that fewer seed rows share leaves, unless more or fewer are asked for."""

LEAST_CELL = 3

DOMINANT = 0.5
"""No row makes up more than this share of what sets a mean that leaves apart from its neighbour."""


@dataclass(frozen=True)
class Limits:
    """Say how many rows must share what leaves, and which columns are free of that."""

    cell: int = CELL
    allowed: frozenset[str] = frozenset()

    def check(self, twin: Twin) -> None:
        """Raise BadInput for a generator that gives rows away, a cell or a column that is none."""
        if FAMILIES[twin.family].resamples:
            raise BadInput(
                f"generator '{twin.family}' draws values of the seed's own rows, which must not "
                "leave; fit the twin with --generator vine or gaussian"
            )
        if self.cell < LEAST_CELL:
            raise BadInput(f"--cell: {self.cell} is too few rows; {LEAST_CELL} is the least")
        units = units_of(twin)
        if units < 4 * self.cell:
            raise BadInput(f"--cell: {self.cell} is too many for a seed of {units} units")
        for name in sorted(self.allowed):
            known = [c.name for c in twin.known]
            if name not in known:
                raise BadInput(f"--allow: {unknown('column', name, known)}")


def units_of(twin: Twin) -> int:
    """Return how many seed rows (units of a panel) the twin was fitted to."""
    if "units" in twin.summaries:
        return int(twin.summaries["units"])
    return len(twin.seed["ever"]) if twin.panel is not None else int(twin.seed["rows"])


def leaks(files: Mapping[str, str], frame: pd.DataFrame, seed: Seed, limits: Limits) -> list[str]:
    """Return in words what a bundle's data files hold that must not leave, nothing if all is well.

    The outcome is made anew from the structure, the residual and the effect, so its extremes are
    nobody's; where it is a whole number they may meet the seed's by chance.
    """
    import pandas as pd

    texts = {c.name: str for c in seed.known if c.levels or c.spelling}  # codes keep their zeros
    options: Any = {"dtype": texts, "keep_default_na": False, "na_values": [""]}
    drawn = pd.concat(
        [pd.read_csv(io.StringIO(text), **options) for name, text in files.items()
         if name.startswith("data/")]
    )  # fmt: skip
    complaints = list(_rows(drawn, frame, seed))
    for column in seed.known:
        free = column.name in (*limits.allowed, seed.design.outcome, seed.design.time)
        if column.name in drawn and not free and column.name != seed.design.cohort:
            own = drawn[column.name].dropna()
            if column.spelling or column.calendar:
                own = pd.Series(in_numbers(own.to_numpy(), column.name, column))
            complaints += _column(own, frame[column.name].dropna(), column, limits)
    return complaints


def _rows(drawn: pd.DataFrame, frame: pd.DataFrame, seed: Seed) -> Iterator[str]:
    """Count drawn rows that are a seed row; where no column is continuous any row may be."""
    shared = [c.name for c in seed.known if c.name in drawn]
    if any(c.kind == "continuous" and not c.discrete for c in seed.known if c.name in shared):
        same = drawn[shared].drop_duplicates().merge(frame[shared].drop_duplicates())
        if len(same):
            yield f"{len(same)} drawn rows are rows of the seed"


def _column(drawn: pd.Series, seen: pd.Series, column: Column, limits: Limits) -> Iterator[str]:
    if column.levels:
        shared = sorted(set(drawn.astype(str)) & set(seen.astype(str)))
        if shared:
            yield f"{column.name}: its real label '{shared[0]}' stands in the data"
        return
    counts = seen.value_counts()
    rare = set(counts.index[counts < limits.cell])
    if column.discrete:
        shared = sorted(rare & set(drawn)) if len(rare) < len(counts) else []
        if shared:
            count = int(counts[shared[0]])
            yield f"{column.name}: {shared[0]:g}, which {count} seed rows have, stands in the data"
        return
    ends = ("minimum", drawn.min(), seen.min()), ("maximum", drawn.max(), seen.max())
    for word, own, theirs in ends:
        if own == theirs and own in rare:
            yield f"{column.name}: its real {word} {own:g} stands in the data"


def without_dominant(blocks: Array) -> Array:
    """Return blocks of ascending values, a line each, none of which dominates its block.

    The mean of ten rows of which nine are near 100 and one is 99,999.99 is that row's value,
    divided by ten. So the largest counts, from the value below the block, for no more than all
    others together (DOMINANT), and so does the second without it: who knows one of both learns
    nothing of the other. The same downwards. What exceeds that is moved to it, so that what leaves
    is the same whatever the dominant value is.
    """
    return -_topped(-_topped(blocks)[::-1, ::-1])[::-1, ::-1]


def _topped(blocks: Array) -> Array:
    """Return blocks in ascending order whose largest values dominate none."""
    below = np.r_[blocks[0, 0], blocks[:-1, -1]]
    above, factor = blocks - below[:, None], DOMINANT / (1 - DOMINANT)
    if blocks.shape[1] > LEAST_CELL:
        above[:, -2] = np.minimum(above[:, -2], factor * above[:, :-2].sum(axis=1))
    above[:, -1] = np.minimum(above[:, -1], factor * above[:, :-1].sum(axis=1))
    return np.asarray(below[:, None] + above)


def merged_values(values: Array, counts: Array, cell: int) -> Array:
    """Return for each value, ascending, the one that stands for it.

    That is the nearest value which `cell` rows share; where there is none, the means of groups of
    so many rows, in which no row dominates, rounded where all values are whole.
    """
    values = np.asarray(values, dtype=float)
    common = counts >= cell - 0.5
    if common.any():
        kept = values[common]
        return np.asarray(kept[np.argmin(np.abs(values[:, None] - kept), axis=1)])
    group = np.minimum((np.cumsum(counts) - counts) // cell, max(counts.sum() // cell - 1, 0))
    weight = np.maximum(counts, 1e-9)
    means = np.array([_group_mean(values[group == g], weight[group == g], cell) for g in group])
    return np.rint(means) if np.all(values == np.rint(values)) else means


def _group_mean(values: Array, weight: Array, cell: int) -> float:
    """Return the mean of a group of values that so many rows have, without a dominant row."""
    rows = np.repeat(values, np.maximum(np.rint(weight).astype(int), 1))
    if len(rows) < cell:  # less than a cell together: there is no more to be had
        return float(np.average(values, weights=weight))
    return float(without_dominant(rows[None, :]).mean())


def merged_levels(codes: Array, counts: Array, cell: int, levels: int) -> Array:
    """Return for each code of a category the code that stands for it.

    `counts` belong to `codes`. Rare levels become one; where they are few rows even together the
    rarest of the others joins them.
    """
    order = np.argsort(counts, kind="stable")
    cumulated = np.cumsum(counts[order])
    rare = int(np.sum(counts < cell - 0.5))
    while 0 < rare < len(order) and cumulated[rare - 1] < cell - 0.5:
        rare += 1
    merge = np.arange(levels)
    if rare:
        merge[codes[order[:rare]]] = codes[order[rare - 1]]
    seen = np.zeros(levels, dtype=bool)
    seen[codes] = True
    merge[~seen] = codes[order[-1]]
    return merge
