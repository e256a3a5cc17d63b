"""Differences of one measure between estimators of a cell, on the replicates of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan, nan
from typing import Any

import numpy as np

from cibench.analysis.scores import QUESTION, TARGET, families, in_order, without_moments
from cibench.metrics import METRICS, Metric
from cibench.metrics.core import mean
from cibench.metrics.families import aligned, bands
from cibench.metrics.groups import Group, present
from cibench.metrics.influence import nothing
from cibench.metrics.intervals import covers
from cibench.metrics.simultaneous import critical, differences, reach
from cibench.model.types import Array
from cibench.storage.groups import Part


@dataclass(frozen=True, eq=False)
class Family:
    """Hold who answered one target in one cell: names (estimator, options) and their rows.

    The groups are aligned by replicate and stand in the catalogue's order. `shared` is the error
    that the truths of all replicates share; `moments` says whose averages can be believed.
    """

    key: Mapping[str, Any]
    names: Sequence[tuple[str, str]]
    groups: Sequence[Group]
    level: float
    shared: float
    moments: Array

    def has(self, metric: Metric) -> Array:
        """Mark the replicates of each member that have what a metric needs, a row for each."""
        return np.array([_has(group, metric) for group in self.groups])

    def rows(self, member: int, metric: Metric, at: Array, shift: float = 0.0) -> Group:
        """Return the columns that a metric needs at marked replicates, at a shifted truth."""
        group = self.groups[member]
        rows = {name: group[name][at] for name in (*metric.compared_by, *metric.flags)}
        if shift and metric.terms:
            side = "above" if shift > 0 else "below"
            rows[metric.terms] = group[f"{metric.terms}_{side}"][at]
        elif shift and "truth" in rows:
            rows["truth"] = rows["truth"] + shift
        return rows


def gather(part: Part, catalogue: Mapping[str, Any]) -> Iterator[Family]:
    """Yield the families of a part that have two members or more."""
    banded = _with_bands(part)
    for members in families(part, QUESTION):
        if len(members) < 2:
            continue
        ordered = in_order(members, part, catalogue)
        names = [part.names[i] for i in ordered]
        groups = aligned([banded.get(i, part.groups[i]) for i in ordered])
        shared = mean(present(part.groups[ordered[0]], "truth_mcse")[0])
        level = names[0]["level"]
        moments = [not without_moments(part.names[i], part.groups[i], catalogue) for i in ordered]
        yield Family(
            {name: names[0][name] for name in QUESTION},
            [(str(n["estimator"]), str(n["options"])) for n in names], groups,
            np.nan if level is None else float(level), float(np.nan_to_num(shared)),
            np.array(moments),
        )  # fmt: skip


def _has(group: Group, metric: Metric) -> Array:
    """Mark the replicates that have what a metric needs."""
    run = group["ok"] | group["failed"]  # who declines has not tried
    if "declined" in metric.flags:
        run = run | group["declined"]
    needed = [group[name] for name in metric.compared_by if name in group]
    if len(needed) < len(metric.compared_by):
        return np.zeros(run.size, dtype=bool)
    complete = np.logical_and.reduce([group["ok"], *(~np.isnan(column) for column in needed)])
    if not metric.flags:
        return np.asarray(complete)
    # Who answers without limits has no coverage; who never answers has covered nothing.
    return run if complete.any() or not group["ok"].any() else complete


def _with_bands(part: Part) -> dict[int, Group]:
    """Return the groups that have bands, with whether those of all horizons held at once."""
    banded: dict[int, Group] = {}
    for members in families(part, (*TARGET, "estimator", "options")):
        groups = aligned([part.groups[i] for i in members])
        known = bands(groups)
        if isinstance(known, str):
            continue
        chosen, common = known
        errors = [np.nan_to_num(groups[i]["truth_mcse"]) for i in chosen]
        covered = {
            name: np.logical_and.reduce([
                covers(groups[i]["band_low"], groups[i]["band_high"],
                       groups[i]["truth"] + sign * error)
                for i, error in zip(chosen, errors, strict=True)
            ])
            for name, sign in (("", 0), ("_above", 1), ("_below", -1))
        }  # fmt: skip
        more = {
            f"bands_held{k}": np.where(common, v.astype(float), np.nan) for k, v in covered.items()
        }
        for i, group in zip(members, groups, strict=True):
            banded[i] = {**group, **more}
    return banded


APART = "no replicate that both answered"
NO_NUMBER = "numbers too large"
FEW = "too few replicates for a Monte Carlo error"
ROUNDING = 1e-10


@dataclass(frozen=True, eq=False)
class Compared:
    """Hold what one measure says of pairs: a number for each pair, NaN and a note for none.

    `pairs` are their places among those that were asked for, `replicates` what both have.
    """

    pairs: Array
    replicates: Array
    value: Array
    other: Array
    difference: Array
    mcse: Array
    low: Array
    high: Array
    notes: list[str]


@dataclass(eq=False)
class _Terms:
    """Collect the values of members at sets of replicates, each once, and what errs in them."""

    family: Family
    metric: Metric
    places: dict[tuple[int, bytes], int] = field(default_factory=dict)
    values: list[float] = field(default_factory=list)
    shifts: list[tuple[float, float]] = field(default_factory=list)
    whys: list[str] = field(default_factory=list)
    terms: list[Array] = field(default_factory=list)
    counts: bool = False

    def place(self, member: int, at: Array, key: bytes) -> int:
        """Return where the value of a member at marked replicates stands."""
        name = member, key
        if name not in self.places:
            self.places[name] = len(self.values)
            self._measure(member, at)
        return self.places[name]

    def _measure(self, member: int, at: Array) -> None:
        family, metric = self.family, self.metric
        influence = nothing(APART)
        if at.any():
            influence = metric.influence(family.rows(member, metric, at), family.level)
        spread = np.zeros(at.size)
        if influence.each.size:
            spread[at] = influence.each / max(1, influence.each.size)
        shift = 0.0, 0.0
        if family.shared and influence.each.size:
            above, below = (
                metric.influence(family.rows(member, metric, at, by), family.level).value
                for by in (family.shared, -family.shared)
            )
            # The mean square of both ends' moves is that of their difference and of their mean:
            # of a coverage that is highest at the truth as stated the difference alone is 0.
            shift = (above - below) / 2, (above + below) / 2 - influence.value
        self.counts |= influence.counts
        self.values.append(influence.value)
        self.shifts.append((0.0, 0.0) if isnan(sum(shift)) else shift)
        self.whys.append(influence.why)
        self.terms.append(spread)


def compare(
    family: Family, measure: str, first: Array, second: Array, rng: np.random.Generator
) -> Compared | None:
    """Return first member less second for every pair; None where no member has the measure.

    Pairs of which neither has it are left out. The Monte Carlo error is S / sqrt n of the
    differences of the two members' influences on the measure (`cibench.metrics.influence`) over the
    n replicates that have what it needs of both. An error of the truth moves both: the difference
    is taken at the truth plus and minus it, and half of what that changes, nothing for the bias, is
    added in quadrature.

    The limits are simultaneous over all pairs of the family at 95 %: difference plus and minus t
    errors, with the max-|t| critical value of `cibench.metrics.simultaneous.critical`. Differences
    of shares get the interval of Bonett and Price (2012, Journal of Educational and Behavioral
    Statistics 37) at that critical value: with f and g replicates in which only one of the two
    holds, p = (f + 1)/(n + 2), q = (g + 1)/(n + 2), it is p - q plus and minus c sqrt((p + q - (p -
    q)^2) / (n + 2)); it has a length where no replicate tells the two apart, and an error of zero
    would say too much.

    Simulated with four correlated estimators, 2,000 trials, the limits of eleven measures hold all
    six differences in 93.5 of 100 trials or more from 100 replicates on. The interval score hangs
    on the few sets that miss: its limits hold in 90 of 100 at 100 replicates, in 93 at 200 (1,500
    trials) and 400, and pass that bar at 1,000.
    """
    metric = METRICS[measure]
    has = family.has(metric)
    some = np.asarray(has.any(axis=1))
    if metric.by_level and not 0 < family.level < 1:
        return None
    kept = np.flatnonzero(np.asarray(some[first] | some[second]))
    if not kept.size:
        return None
    collected = _Terms(family, metric)
    left, right, n = _places(collected, has, first[kept], second[kept])
    return _limits(collected, kept, (left, right), n, rng)


def _places(
    collected: _Terms, has: Array, first: Array, second: Array
) -> tuple[Array, Array, Array]:
    """Return where the values of both members of each pair stand, and their replicates."""
    patterns: dict[bytes, int] = {}
    pattern = [patterns.setdefault(row.tobytes(), len(patterns)) for row in has]
    masks = [np.frombuffer(key, dtype=bool) for key in patterns]
    common: dict[tuple[int, int], tuple[Array, bytes, int]] = {}
    places = np.empty((3, first.size), dtype=int)
    for k, (i, j) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
        both = min(pattern[i], pattern[j]), max(pattern[i], pattern[j])
        if both not in common:
            at = masks[both[0]] & masks[both[1]]
            common[both] = at, at.tobytes(), int(at.sum())
        at, key, count = common[both]
        if count == 0:
            at, key = has[i] & ~has[i], b""
        places[:, k] = collected.place(i, at, key), collected.place(j, at, key), count
    return places[0], places[1], places[2]


@np.errstate(all="ignore")
def _limits(
    collected: _Terms, kept: Array, at: tuple[Array, Array], n: Array, rng: np.random.Generator
) -> Compared:
    """Put errors and simultaneous limits around the differences."""
    shifts = np.array(collected.shifts)
    shifts = shifts if collected.family.shared else shifts[:, :1]
    terms = np.column_stack([np.array(collected.terms), shifts])
    values, silent = np.array(collected.values), collected.metric.silent
    first, second = at
    value, other = values[first], values[second]
    squares, own = differences(terms, first, second), np.square(terms).sum(axis=1)
    difference = value - other
    size = np.sqrt(value**2 + other**2 + (own[first] + own[second]) * n)
    same = (np.sqrt(squares * n) <= ROUNDING * size) & (np.abs(difference) <= ROUNDING * size)
    difference, squares = np.where(same, 0.0, difference), np.where(same, 0.0, squares)
    known = ~np.isnan(difference) & (n > 1)
    if silent:
        known &= squares > 0
    c = critical(terms, first[known], second[known], squares[known], rng)
    shift = np.sqrt(differences(shifts, first, second))
    sampled = np.maximum(squares - shift**2, 0.0)
    mcse = np.where(known, np.sqrt(sampled * n / (n - 1) + shift**2), nan)
    centre, half = difference, reach(c, n - 1) * mcse
    if collected.counts:
        # replicates that tell the two apart
        discordant = np.rint(n**2 * sampled + n * difference**2)
        centre = difference * n / (n + 2)
        half = c * np.sqrt(((discordant + 2) / (n + 2) - centre**2) / (n + 2) + shift**2)
    low, high = (np.where(known, centre + sign * half, nan) for sign in (-1, 1))
    why, whys = np.where(n > 1, silent or NO_NUMBER, FEW), collected.whys
    notes = [
        ((whys[a] or whys[b]) if count else APART) or ("" if sure else str(reason))
        for a, b, count, sure, reason in zip(first, second, n, known, why, strict=True)
    ]
    return Compared(kept, n, value, other, difference, mcse, low, high, notes)
