"""How many replicates a suite needs on this machine, and how long they take: a pilot, then plans.

The pilot goes through the ordinary runner into a temporary folder. Its replicates are those that a
run of the suite would begin with.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import inf, isfinite, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.execution.adaptive import Line, needs_of
from cibench.execution.progress import Listener, Progress
from cibench.execution.runner import execute
from cibench.execution.settings import EVERY_FIT, RunSettings
from cibench.metrics.core import mean
from cibench.metrics.groups import Group, present
from cibench.metrics.sample_size import check_target
from cibench.storage import cells
from cibench.storage.groups import Part
from cibench.storage.manifest import read_manifest, skipped_checks
from cibench.storage.schema import CELL
from cibench.suite.precision import first, most
from cibench.suite.suite import Cell, Suite
from cibench.utils.errors import BadInput
from cibench.utils.files import canonical
from cibench.utils.leftovers import temporary_folder
from cibench.utils.missing import for_json

if TYPE_CHECKING:
    from collections.abc import Sequence

PILOT = 20
"""Replicates of the pilot: a standard deviation is then known within about a third."""


@dataclass(frozen=True)
class CellPlan:
    """Say what one cell needs: replicates as the pilot has it and at most, and the seconds.

    `measure` and `estimator` decide the count; `seconds` are those of one replicate in one
    worker; `unreached` lists targets that no count reaches or of which the pilot knows nothing.
    """

    cell: str
    replicates: float
    at_most: float
    measure: str
    estimator: str
    seconds: float
    unreached: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """Hold the plans of all cells; `seconds` is the wall time of all with the given workers.

    `unchecked` says that plug-ins were not held to their contracts, as was asked for.
    """

    suite: str
    targets: Mapping[str, float]
    pilot: int
    workers: int
    cells: tuple[CellPlan, ...]
    unchecked: bool = False

    @property
    def seconds(self) -> float:
        """Return the wall time of the counts as the pilot has them."""
        return self._time("replicates")

    @property
    def seconds_at_most(self) -> float:
        """Return the wall time of the counts that suffice at most."""
        return self._time("at_most")

    @property
    def replicates(self) -> float:
        """Return the one count that reaches the targets in every cell where any does."""
        counts = [cell.at_most for cell in self.cells if isfinite(cell.at_most)]
        return max(counts, default=nan)

    def _time(self, count: str) -> float:
        known = [c for c in self.cells if isfinite(getattr(c, count))]
        return float(sum(getattr(c, count) * c.seconds for c in known)) / self.workers

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as plain data: None for what is not known, "inf" for what has no end."""
        whole = {"suite": self.suite, "targets": dict(self.targets), "pilot": self.pilot,
                 "workers": self.workers, "replicates": self.replicates,
                 "seconds": self.seconds, "seconds_at_most": self.seconds_at_most,
                 "unchecked": self.unchecked}  # fmt: skip
        cells = [asdict(cell) for cell in self.cells]
        return {name: for_json(v) for name, v in whole.items()} | {
            "cells": [{name: for_json(v) for name, v in cell.items()} for cell in cells]
        }


def targets_of(suite: Suite, texts: Sequence[str]) -> dict[str, float]:
    """Return the targets that texts like "measure=error" state, else the suite's own.

    Raises BadInput for an unknown measure, with the near miss, and where there is no target.
    """
    if not texts and suite.precision:
        return dict(suite.precision.targets)
    if not texts:
        raise BadInput("--target: name one, like coverage=0.005, or state precision in the suite")
    targets = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            targets[name.strip()] = float(value)
        except ValueError as error:
            raise BadInput(f"--target: '{text}' is not of the form measure=error") from error
        try:
            check_target(name.strip(), targets[name.strip()])
        except BadInput as error:
            raise BadInput(f"--target: {error}") from error
    return targets


def plan(
    suite: Suite, targets: Mapping[str, float], settings: RunSettings = EVERY_FIT, *,
    pilot: int = PILOT,
) -> Plan:  # fmt: skip
    """Run the pilot and return what every cell needs to reach the targets.

    `targets` are Monte Carlo errors by measure, in the units of `cibench.metrics.sample_size`,
    `pilot` the replicates of the pilot. The count of a cell is the largest over its estimators,
    targets and measures. Where the suite states precision it lies within what its run does: from
    `min_replicates`, 1,000 at least unless the suite has a pilot of its own, to `max_replicates`.
    Raises BadInput for an unknown measure, a target that is not above zero, a pilot of fewer than
    two, an executor, and as `execute` does.

    >>> from cibench.execution import plan
    >>> from cibench.suite import parse_suite
    >>> cell = {"scenario": "did/two-group", "n": 30, "estimators": "did/collapsed"}
    >>> suite = parse_suite({"name": "small", "seed": 1, "replicates": 20, "cells": [cell]})
    >>> found = plan(suite, {"bias": 0.05})
    >>> found.replicates, found.cells[0].measure, found.seconds > 0
    (400, 'bias', True)
    """
    for measure, target in targets.items():
        check_target(measure, target)
    if pilot < 2:
        raise BadInput(f"--pilot: {pilot} is not a number of 2 or more")
    if settings.executor is not None:
        raise BadInput("executor: a plan is made on this machine; a cluster's workers are unknown")
    clock = _Clock(settings.listen)
    with temporary_folder("plan") as place:
        folder = place / "pilot"
        execute(suite.with_replicates(pilot), folder, replace(settings, listen=clock))
        unchecked = skipped_checks(read_manifest(folder))
        needs = {_identity(c.part.names[0]): _needs(c.part, targets) for c in cells(folder)}
    fits = {key: seconds for key, (_, seconds) in needs.items()}
    beyond = clock.beyond(sum(fits.values()) * pilot, pilot * len(fits), settings.workers)
    first_look = settings.tuning.first_look
    plans = tuple(
        _plan(suite, cell, *needs[_identity(cell.key)], beyond, first_look) for cell in suite.cells
    )
    return Plan(suite.name, dict(targets), pilot, settings.workers, plans, unchecked)


class _Clock:
    """Listen to a run and note how long its blocks took, from the first one's end on."""

    def __init__(self, listen: Listener) -> None:
        self.listen, self.first, self.last, self.rows, self.total = listen, 0.0, 0.0, 0, 0

    def __call__(self, progress: Progress) -> None:
        self.last, self.total = time.perf_counter(), progress.done
        if not self.first:
            self.first, self.rows = self.last, progress.done
        self.listen(progress)

    def beyond(self, fits: float, replicates: int, workers: int) -> float:
        """Return the seconds a replicate takes beyond its fits: the draw, rows, transport."""
        share = 1 - self.rows / max(self.total, 1)
        if share <= 0:
            return 0.0
        busy = (self.last - self.first) * workers
        return max(0.0, busy / share - fits) / max(replicates, 1)


CellNeeds = tuple[list[Line], float]
"""Of a cell: each estimator's need by measure, and the seconds of the fits of one replicate."""


def _needs(part: Part, targets: Mapping[str, float]) -> CellNeeds:
    seconds: dict[tuple[Any, ...], float] = {}
    for names, group in zip(part.names, part.groups, strict=True):
        entrant = names["kind"], names["estimator"], names["options"]
        seconds[entrant] = max(_seconds(group), seconds.get(entrant, 0.0))
    return needs_of(part, targets), sum(seconds.values())


def _seconds(group: Group) -> float:
    """Return the mean time of a fit without the slowest one, which may have been the first.

    A worker's first fit imports, and may compile, what the later ones use.
    """
    times = np.sort(present(group, "seconds")[0])
    return float(np.nan_to_num(mean(times[:-1] if times.size > 2 else times)))


def _plan(
    suite: Suite, cell: Cell, lines: list[Line], fits: float, beyond: float, first_look: int
) -> CellPlan:
    seconds, reached = fits + beyond, [line for line in lines if isfinite(line.need.replicates)]
    unreached = tuple(dict.fromkeys(f"{line}: {line.need.why}" for line in lines if line.need.why))
    if not reached:
        return CellPlan(str(cell), nan, nan, "", "", seconds, unreached)
    decisive = max(reached, key=lambda line: line.need.replicates)
    low, high = 2, inf
    if suite.precision:
        low, high = first(suite.precision, first_look), most(suite.precision)
    counts = [
        min(max(low, *(getattr(line.need, name) for line in reached)), high)
        for name in ("replicates", "at_most")
    ]
    return CellPlan(
        str(cell), counts[0], counts[1], decisive.measure, decisive.estimator, seconds, unreached
    )


def _identity(names: Mapping[str, Any]) -> str:
    return canonical([names[key] for key in CELL if key not in ("dial", "setting")])
