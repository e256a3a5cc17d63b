"""A twin whose rows may leave: margins smoothed and clipped, rare values merged, labels neutral.

Every knot of a continuous margin is the mean of at least `cell` seed rows, the outermost ones
included, and none of these dominates it: no row's own value, minimum or maximum is kept. Values
of discrete columns that fewer rows share are merged with others before the treatment and the
outcome are drawn, so that what analysts see is all that those depend on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cibench.challenge.disclosure import (
    Limits,
    merged_levels,
    merged_values,
    units_of,
    without_dominant,
)
from cibench.model.types import Array
from cibench.twins.columns import Column
from cibench.twins.fit.assignment import Mechanism
from cibench.twins.generators.copulas import KNOTS, Gaussian, Margin, Margins, Vine
from cibench.twins.panel import COHORT
from cibench.twins.sample import drawn_from
from cibench.twins.twin import Outcome, Panel, Twin
from cibench.utils.errors import BadInput

PILOT = 20_000


@dataclass(frozen=True, eq=False)
class Released:
    """Hold a twin whose rows may leave and, for its owner, what was done to the columns."""

    twin: Twin
    notes: tuple[str, ...]
    labels: Mapping[str, Mapping[str, str]]


def released(twin: Twin, limits: Limits, rng: np.random.Generator) -> Released:
    """Return the twin that may be drawn from; the stream says which neutral label is which."""
    generator = twin.generator
    assert isinstance(generator, Vine | Gaussian)
    units, notes = units_of(twin), list[str]()
    cells = {c.name: _cell(generator.margins, c, limits.cell) for c in twin.known}
    margins, merges = _margins(generator.margins, limits, cells, units, notes)
    pilot = drawn_from(twin, PILOT, 0.0, rng).columns
    panel = _panel(twin.panel, pilot, twin, limits, units, notes)
    known, labels = [], {}
    for column in twin.known:
        ranged = _ranged(column, margins, pilot, limits, units, twin)
        if column.indicator in margins.names and not _varies(margins, column.indicator):
            ranged = replace(ranged, indicator="")  # too few are missing to say so
        if column.levels and column.name not in limits.allowed:
            ranged, labels[column.name] = _labelled(ranged, merges.get(column.name), rng)
        known.append(ranged)
    draft = replace(
        twin, generator=replace(generator, margins=margins), known=tuple(known), panel=panel,
        mechanisms={n: _law(m, limits, units) for n, m in twin.mechanisms.items()},
        outcome=_outcome(twin, pilot, limits, units, notes),
    )  # fmt: skip
    return Released(_bounded(draft), tuple(notes), labels)


def _margins(
    before: Margins, limits: Limits, cells: Mapping[str, int], units: int, notes: list[str]
) -> tuple[Margins, dict[str, Array]]:
    """Return the margins that may leave and, for categories, where each code went."""
    margins, orders, merges = [], dict(before.orders), {}
    for name, margin in zip(before.names, before.margins, strict=True):
        free, cell = name in limits.allowed, cells.get(name, limits.cell)
        if not margin.discrete:
            margins.append(smoothed(margin, units, cell, keep_ends=free))
            if not free and name in cells and (moved := _dominated(margin, units, cell)):
                notes.append(
                    f"{name}: in {moved} means one row made up more than half of what sets it "
                    "apart; such rows count for as much as their neighbours"
                )
            continue
        counts = np.diff(np.r_[0.0, margin.shares]) * units
        rare = int(np.sum(counts < cell - 0.5))
        if free or not rare:
            margins.append(margin)
        elif name in orders:
            codes = orders[name][margin.values.astype(int)].astype(int)
            merges[name] = merged_levels(codes, counts, cell, len(orders[name]))
            orders[name] = merges[name][orders[name].astype(int)].astype(float)
            margins.append(margin)
            notes.append(f"{name}: {rare} rare levels are merged")
        else:
            values = merged_values(margin.values, counts, cell)
            margins.append(replace(margin, values=values))
            notes.append(f"{name}: {rare} rare values are merged with their neighbours")
    return Margins(before.names, tuple(margins), orders), merges


def _varies(margins: Margins, name: str) -> bool:
    return bool(np.ptp(margins.margins[margins.names.index(name)].values) > 0)


def _cell(margins: Margins, column: Column, cell: int) -> int:
    """Return how many rows must share a value, among them those that stand in for missing ones.

    Where values are missing others were drawn again in their place; the cell grows by as many as
    that may be of one value, four standard deviations up.
    """
    if column.indicator not in margins.names:
        return cell
    shares = margins.margins[margins.names.index(column.indicator)].shares
    odds = (1 - shares[0]) / max(shares[0], 1e-9)
    return int(np.ceil(cell * (1 + odds) + 4 * np.sqrt(cell * odds)))


def smoothed(margin: Margin, rows: int, cell: int, *, keep_ends: bool = False) -> Margin:
    """Return a continuous margin through means of at least `cell` rows each, lines between them.

    The means are those of the quantile function over equal shares, in which no row dominates; the
    two outermost are the ends.
    """
    means = without_dominant(_blocks(margin, rows, cell)).mean(axis=1)
    blocks = len(means)
    edges = np.linspace(0, 1, blocks + 1)
    if keep_ends:
        means[0], means[-1] = margin.values[0], margin.values[-1]
    places = np.r_[0.0, (edges[1:-2] + edges[2:-1]) / 2, 1.0]
    grid = np.linspace(0, 1, KNOTS)
    return Margin(np.interp(grid, places, means), grid, discrete=False)


def _blocks(margin: Margin, rows: int, cell: int) -> Array:
    """Return means of the quantile function over equal shares, a line for each block of `cell`.

    Where a margin has fewer quantiles than there are rows, each stands for one contributor: between
    the last two of them lies a line that the maximum alone decides on.
    """
    blocks = max(2, min(rows, len(margin.values) - 1) // cell)
    edges = np.linspace(0, 1, blocks * cell + 1)
    shares = np.union1d(margin.shares, edges)
    values = np.interp(shares, margin.shares, margin.values)
    area = np.r_[0.0, np.cumsum(np.diff(shares) * (values[1:] + values[:-1]) / 2)]
    means = np.diff(np.interp(edges, shares, area)) * (blocks * cell)
    return np.asarray(np.maximum.accumulate(means).reshape(blocks, cell))


def _dominated(margin: Margin, rows: int, cell: int) -> int:
    """Return of how many blocks one row made up the mean."""
    before = _blocks(margin, rows, cell)
    moved = np.abs(without_dominant(before) - before).max(axis=1)
    return int(np.sum(moved > 1e-9 * np.abs(before).max()))


def _ranged(
    column: Column, margins: Margins, pilot: Mapping[str, Array], limits: Limits, units: int,
    twin: Twin,
) -> Column:  # fmt: skip
    """Return the column with the range that may leave."""
    if column.name in limits.allowed or column.levels:
        return column
    column = replace(column, decimals=None)  # rounded values would meet the seed's own
    if column.name in margins.names:
        values = margins.margins[margins.names.index(column.name)].values
        low, high = float(values.min()), float(values.max())
    elif column.name in (twin.treatment, twin.design.instrument) and column.distinct > 2:
        low, high = _inner(pilot[column.name], column, limits.cell, units)
    else:
        return column
    if column.kind == "integer":
        low, high = np.ceil(low - 1e-9), np.floor(high + 1e-9)
    return replace(column, low=float(low), high=float(high))


def _inner(drawn: Array, column: Column, cell: int, units: int) -> tuple[float, float]:
    """Return means of the outermost cells of what lies inside the seed's own range."""
    inside = np.sort(drawn[(drawn > column.low) & (drawn < column.high)])
    margin = Margin.of(inside, discrete=False)
    means = without_dominant(_blocks(margin, units, cell)).mean(axis=1)
    return float(means[0]), float(means[-1])


def _bounded(twin: Twin) -> Twin:
    """Return the twin with its mechanisms clipped at the columns' ranges that may leave."""
    ranges = {c.name: c for c in twin.known}
    names = {"treatment": twin.treatment, "instrument": twin.design.instrument}
    mechanisms = dict(twin.mechanisms)
    for part, law in twin.mechanisms.items():
        column = ranges.get(names.get(part, ""))
        if column and not law.binary:
            mechanisms[part] = replace(law, low=column.low, high=column.high)
    return replace(twin, mechanisms=mechanisms)


def _law(law: Mechanism, limits: Limits, units: int) -> Mechanism:
    return law if law.noise is None else replace(law, noise=smoothed(law.noise, units, limits.cell))


def _labelled(
    column: Column, merge: Array | None, rng: np.random.Generator
) -> tuple[Column, dict[str, str]]:
    """Return a category with neutral labels in a random order, and which level became which."""
    codes = np.arange(len(column.levels)) if merge is None else merge.astype(int)
    kept = rng.permutation(np.unique(codes))
    named = {code: f"level {i}" for i, code in enumerate(kept.tolist(), 1)}
    levels = tuple(named[c] for c in codes.tolist())
    return replace(column, levels=levels), dict(zip(column.levels, levels, strict=True))


def _panel(
    panel: Panel | None, pilot: Mapping[str, Array], twin: Twin, limits: Limits, units: int,
    notes: list[str],
) -> Panel | None:  # fmt: skip
    """Return the panel with rare periods of adoption moved to others."""
    if panel is None:
        return None
    cohort = pilot[twin.design.cohort or COHORT][:: len(panel.times)]
    counts = np.array([np.mean(cohort == g) for g in panel.cohorts]) * units
    ever = panel.cohorts > 0
    if counts[ever].sum() < limits.cell - 0.5:
        raise BadInput(f"--cell: about {counts[ever].sum():.0f} units adopt, fewer than the cell")
    cohorts = panel.cohorts.copy()
    adopting, many = panel.cohorts[ever], counts[ever]
    least = min(limits.cell, many.max())  # the most common period stands for all if it must
    cohorts[ever] = merged_values(adopting, many, least)
    if not np.array_equal(cohorts, panel.cohorts):
        left = len(np.unique(cohorts[ever]))
        notes.append(f"periods of adoption: {int(ever.sum())} are merged into {left}")
    if not ever.all() and counts[~ever].sum() < limits.cell - 0.5:
        raise BadInput("--cell: fewer units than the cell never adopt, and none stands for them")
    return replace(panel, cohorts=cohorts, counts=None)  # the seed's own number stays here


def _outcome(
    twin: Twin, pilot: Mapping[str, Array], limits: Limits, units: int, notes: list[str]
) -> Outcome:
    """Return the outcome's law without values that few rows share."""
    name = twin.design.outcome
    law = replace(twin.outcome, decimals=None)  # a bundle rounds all that it holds
    if law.link is not None and name not in limits.allowed:
        law = _unlinked_from_rows(law, law.link, units, limits.cell, notes, name)
    if law.link is not None and law.support is not None and name not in limits.allowed:
        return law
    if law.support is None or name in limits.allowed:
        return law
    shares = np.array([np.mean(pilot[name] == v) for v in law.support])
    kept: Any = law.support[shares * units >= limits.cell]
    if len(kept) < 2:
        raise BadInput(
            f"--cell: fewer than two values of '{name}' are shared by {limits.cell} rows"
        )
    if len(kept) < len(law.support):
        notes.append(f"{name}: {len(law.support) - len(kept)} rare values are left out")
    return replace(law, support=kept, low=float(kept[0]), high=float(kept[-1]))


def _unlinked_from_rows(
    law: Outcome, link: Margin, units: int, cell: int, notes: list[str], name: str
) -> Outcome:
    """Return the law of an outcome with a link that no fewer rows than a cell made."""
    if not link.discrete:
        return replace(law, link=smoothed(link, units, cell))
    counts = np.diff(np.r_[0.0, link.shares]) * units
    if np.sum(counts >= cell - 0.5) < 2:
        raise BadInput(f"--cell: fewer than two values of '{name}' are shared by {cell} rows")
    values = merged_values(link.values, counts, cell)
    left = np.unique(values)
    if len(left) < len(link.values):
        notes.append(f"{name}: {len(link.values) - len(left)} rare values are left out")
    support = None if law.support is None else left
    low, high = (float(left[0]), float(left[-1])) if support is not None else (law.low, law.high)
    return replace(law, link=replace(link, values=values), support=support, low=low, high=high)
