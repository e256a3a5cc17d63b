"""The estimators of one cell and target, aligned by replicate, to be compared in pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cibench.measures.answers import LIMITS, NEEDS, POINTS, SETS, Group, present
from cibench.measures.core import mean
from cibench.measures.families import aligned, bands
from cibench.measures.sets import covers
from cibench.model import Array
from cibench.scoring.cutting import Part
from cibench.scoring.lines import TARGET, families, in_order, without_moments

COUNTED = ("coverage_with_failures", "failure_rate", "shortfall_failures")
"""The measures that count every replicate, answered or not."""

COLUMNS = {
    **NEEDS, "absolute_bias": POINTS, "simultaneous_coverage": ("bands_held",),
    "coverage_with_failures": SETS, "failure_rate": (), "shortfall_failures": SETS,
}  # fmt: skip


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

    def has(self, measure: str) -> Array:
        """Mark the replicates of each member that have what a measure needs, a row for each."""
        return np.array([_has(group, measure) for group in self.groups])

    def rows(self, member: int, measure: str, at: Array, shift: float = 0.0) -> Group:
        """Return the columns that a measure needs at marked replicates, at a shifted truth."""
        group = self.groups[member]
        names = {*COLUMNS[measure], *LIMITS, "ok", "failed"}
        rows = {name: group[name][at] for name in names} | {"level": np.array(self.level)}
        if shift and "truth" in rows:
            rows["truth"] = rows["truth"] + shift
        if shift and "bands_held" in rows:
            rows["bands_held"] = group["bands_held_above" if shift > 0 else "bands_held_below"][at]
        return rows


def gather(part: Part, catalogue: Mapping[str, Any]) -> Iterator[Family]:
    """Yield the families of a part that have two members or more."""
    banded = _with_bands(part)
    for members in families(part, (*TARGET, "horizon")):
        if len(members) < 2:
            continue
        ordered = in_order(members, part, catalogue)
        names = [part.names[i] for i in ordered]
        groups = aligned([banded.get(i, part.groups[i]) for i in ordered])
        shared = mean(present(part.groups[ordered[0]], "truth_mcse")[0])
        level = names[0]["level"]
        moments = [not without_moments(part.names[i], part.groups[i], catalogue) for i in ordered]
        yield Family(
            {name: names[0][name] for name in (*TARGET, "horizon")},
            [(str(n["estimator"]), str(n["options"])) for n in names], groups,
            np.nan if level is None else float(level), float(np.nan_to_num(shared)),
            np.array(moments),
        )  # fmt: skip


def _has(group: Group, measure: str) -> Array:
    """Mark the replicates that have what a measure needs."""
    run = group["ok"] | group["failed"] | group["declined"]
    needed = [group[name] for name in COLUMNS[measure] if name in group]
    if len(needed) < len(COLUMNS[measure]):
        return np.zeros(run.size, dtype=bool)
    given = np.logical_and.reduce([group["ok"], *(~np.isnan(column) for column in needed)])
    if measure not in COUNTED:
        return np.asarray(given)
    # Who answers without limits has no coverage; who never answers has covered nothing.
    return run if given.any() or not group["ok"].any() else given


def _with_bands(part: Part) -> dict[int, Group]:
    """Return the groups that have bands, with whether those of all horizons held at once."""
    found: dict[int, Group] = {}
    for members in families(part, (*TARGET, "estimator", "options")):
        groups = aligned([part.groups[i] for i in members])
        known = bands(groups)
        if isinstance(known, str):
            continue
        chosen, common = known
        errors = [np.nan_to_num(groups[i]["truth_mcse"]) for i in chosen]
        held = {
            name: np.logical_and.reduce([
                covers(groups[i]["band_low"], groups[i]["band_high"],
                       groups[i]["truth"] + sign * error)
                for i, error in zip(chosen, errors, strict=True)
            ])
            for name, sign in (("", 0), ("_above", 1), ("_below", -1))
        }  # fmt: skip
        more = {
            f"bands_held{k}": np.where(common, v.astype(float), np.nan) for k, v in held.items()
        }
        for i, group in zip(members, groups, strict=True):
            found[i] = {**group, **more}
    return found
