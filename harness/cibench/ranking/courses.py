"""What each scenario adds to a leaderboard: log ratios, and noise by replicate.

Cells of one scenario and size share their data's addresses: replicate r of every setting starts
from the same noise. What they add to an estimator's score is therefore summed replicate by
replicate over all cells of a scenario and size; only those sums are independent of each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import log
from typing import Any

import numpy as np

from cibench.measures.answers import Group, present
from cibench.measures.core import mean
from cibench.measures.families import aligned
from cibench.model import Array
from cibench.ranking.losses import LogRatio, log_ratio, losses, reference
from cibench.ranking.spec import Entrant, Ranking
from cibench.scoring.cutting import Part
from cibench.scoring.lines import TARGET, families

Key = tuple[str, str, bool, float]
"""A scenario's share of a board: scenario, estimand, whether per horizon, level."""


@dataclass(eq=False)
class Block:
    """Hold the sums of a scenario's cells of one size, a column for each replicate."""

    replicates: Array
    terms: dict[Entrant, Array] = field(default_factory=dict)

    def add(self, entrant: Entrant, replicates: Array, terms: Array) -> None:
        """Add what one cell says of an entrant."""
        if not np.array_equal(replicates, self.replicates):
            union = np.union1d(self.replicates, replicates)
            at = np.searchsorted(union, self.replicates)
            for name, old in self.terms.items():
                self.terms[name] = np.zeros(union.size)
                self.terms[name][at] = old
            self.replicates = union
        own = self.terms.setdefault(entrant, np.zeros(self.replicates.size))
        own[np.searchsorted(self.replicates, replicates)] += terms


@dataclass(eq=False)
class Course:
    """Hold a scenario's share of a board, summed over its cells.

    `truths` are the errors of simulated truths, by the truth: cells with the same truth share it.
    `lost` counts cells in which the reference has no score above zero.
    """

    reference: Entrant
    cells: int = 0
    lost: int = 0
    logs: dict[Entrant, float] = field(default_factory=dict)
    worst: dict[Entrant, float] = field(default_factory=dict)
    counts: dict[Entrant, int] = field(default_factory=dict)
    blocks: dict[int, Block] = field(default_factory=dict)
    truths: dict[float, dict[Entrant, float]] = field(default_factory=dict)

    def refuse(self, entrant: Entrant, worst: float) -> None:
        """Give an entrant that declined the scenario by declaration the worst score everywhere."""
        self.logs[entrant], self.counts[entrant] = self.cells * log(worst), self.cells
        self.worst[entrant] = float(self.cells)


def key_of(names: Mapping[str, Any]) -> Key:
    """Return the share of a board that a row of the score table belongs to."""
    horizon, level = names["horizon"], names["level"]
    per_horizon = not (horizon is None or horizon != horizon or str(horizon) == "<NA>")  # noqa: PLR0124
    level = float("nan") if level is None else float(level)
    return str(names["scenario"]), str(names["estimand"]), per_horizon, level


def run(parts: Iterable[Part], courses: Mapping[Key, Course], spec: Ranking, counted: Any) -> None:
    """Add every cell that counts to its course."""
    for part in parts:
        for members in families(part, (*TARGET, "horizon")):
            names = part.names[members[0]]
            course = courses.get(key_of(names))
            if course is None or not counted(names):
                continue
            entrants = [(str(part.names[i]["estimator"]), str(part.names[i]["options"]))
                        for i in members]  # fmt: skip
            groups = aligned([part.groups[i] for i in members])
            _add(course, int(names["n"]), dict(zip(entrants, groups, strict=True)), spec,
                 key_of(names)[-1])  # fmt: skip


def _add(
    course: Course, n: int, groups: Mapping[Entrant, Group], spec: Ranking, level: float
) -> None:
    """Add one cell and target to its course."""
    known = groups[course.reference]
    found = reference(losses(known, spec, level))
    if found is None:
        course.lost += 1
        return
    course.cells += 1
    error = mean(present(known, "truth_mcse")[0])
    ends = [e for e in (error, -error) if error > 0]
    bases = [reference(losses(known, spec, level, end)) for end in ends]
    replicates = known["replicate"]
    block = course.blocks.setdefault(n, Block(replicates))
    for entrant, group in groups.items():
        own = log_ratio(losses(group, spec, level), *found, spec)
        if own is None:
            continue
        if entrant == course.reference and not own.worst:  # itself, but for rounding
            own = LogRatio(0.0, np.zeros(replicates.size), 0.0)
        course.logs[entrant] = course.logs.get(entrant, 0.0) + own.value
        course.worst[entrant] = course.worst.get(entrant, 0.0) + own.worst
        course.counts[entrant] = course.counts.get(entrant, 0) + 1
        block.add(entrant, replicates, own.terms)
        shifted = [
            log_ratio(losses(group, spec, level, end), *base, spec)
            for end, base in zip(ends, bases, strict=True) if base
        ]  # fmt: skip
        if len(shifted) == 2 and shifted[0] and shifted[1]:
            truth = mean(present(known, "truth")[0])
            shares = course.truths.setdefault(truth, {})
            change = (shifted[0].value - shifted[1].value) / 2
            shares[entrant] = shares.get(entrant, 0.0) + change
