"""The fits that the checks look at: as the harness makes them, few, each once for all checks."""

from __future__ import annotations

import locale
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from unittest import SkipTest

import numpy as np
from threadpoolctl import threadpool_limits

from cibench.contracts.common import UNITS, label, same_bits, small_draw
from cibench.model import registry
from cibench.model.design import Scenario
from cibench.model.method import Estimator
from cibench.model.streams import seed_global_state, stream, unchanged_random_states
from cibench.model.types import Draw, Problem
from cibench.workers.containment import Notes, contained

LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Fit:
    """Hold what one fit gave: an answer or else the reason, and which global state it moved."""

    scenario: Scenario
    replicate: int
    answer: object
    error: Exception | None
    moved: tuple[str, ...]

    @property
    def line(self) -> str:
        """Return why there is no answer, in one line."""
        text = " ".join(str(self.error).split())
        return f"{type(self.error).__name__}: {text}"[:200]


def data(estimator: Estimator, scenario: Scenario, replicate: int = 0) -> tuple[Problem, Draw]:
    """Draw the data set that the estimator is asked about, and what lies behind it."""
    draw = small_draw(scenario, UNITS, replicate)
    problem = Problem.of(draw, scenario.assigned_roles(), estimator.targets_of(scenario), LEVEL)
    return (replace(problem, draw=draw) if estimator.oracle else problem), draw


def fit(estimator: Estimator, scenario: Scenario, problem: Problem, replicate: int = 0) -> Fit:
    """Fit from the address of the data set, in silence; the global state comes back as it was."""
    address = ("contract", "fit", scenario.name, UNITS, replicate, estimator.name)
    answer: object = None
    error: Exception | None = None
    with _contained() as notes:
        seed_global_state(address)
        before = _global_state()
        try:
            answer = estimator.fit(problem, stream(*address))
        except (Exception, SystemExit) as raised:
            error = raised if isinstance(raised, Exception) else RuntimeError("calls sys.exit")
        after = _global_state()
    names = [name for name in before if before[name] != after[name]]
    names += [f"the function {name}" for name in notes.changes.names]
    moved = tuple(dict.fromkeys([*names, *notes.changes.settings]))
    return Fit(scenario, replicate, answer, error, moved)


@contextmanager
def _contained() -> Iterator[Notes]:
    with unchanged_random_states(), threadpool_limits(1), contained() as notes:
        yield notes


def _global_state() -> dict[str, object]:
    return {
        "numpy's error state": np.geterr(),
        "the working directory": Path().resolve(),
        "the environment variables": dict(os.environ),
        "the locale": locale.setlocale(locale.LC_ALL),
        "the number of warning filters": len(warnings.filters),
    }


REPLICATES = 3
once = lru_cache(maxsize=1024)


def accepted(estimator: Estimator) -> list[Scenario]:
    """Return the registered scenarios, at their defaults, that the estimator does not decline.

    Raises SkipTest where a missing library alone keeps it from accepting any.
    """
    scenarios = [entry.value() for entry in registry.entries("scenario").values()]
    chosen = [each for each in scenarios if estimator.declines(each) is None]
    free = replace(estimator, uses=())
    lost = [each for each in scenarios if free.declines(each) is None]
    if lost and not chosen:
        raise SkipTest(f"{label(estimator)} {estimator.declines(lost[0])}")
    return chosen


def trials(estimator: Estimator) -> tuple[Fit, ...]:
    """Return the first answered fit for each kind of scenario, or the last one that was tried.

    Scenarios are of one kind when they fill the same roles and ask for the same targets; of each
    up to three data sets are tried.
    """
    kinds: dict[object, list[Scenario]] = {}
    for scenario in accepted(estimator):
        kind = scenario.assigned_roles().filled, estimator.targets_of(scenario)
        kinds.setdefault(kind, []).append(scenario)
    return tuple(_first_answered(estimator, tuple(alike)) for alike in kinds.values())


@once
def _first_answered(estimator: Estimator, scenarios: tuple[Scenario, ...]) -> Fit:
    for scenario in scenarios:
        for replicate in range(REPLICATES):
            problem, _ = data(estimator, scenario, replicate)
            last = fit(estimator, scenario, problem, replicate)
            if last.error is None:
                return last
    return last


def first_answered(estimator: Estimator) -> Fit:
    """Return a fit that came to an answer; raises SkipTest where there is none to look at."""
    for trial in trials(estimator):
        if trial.error is None:
            return trial
    raise SkipTest(f"{label(estimator)}: it answered nothing that could be looked at")


@once
def refit(estimator: Estimator, trial: Fit) -> tuple[Fit, str | None]:
    """Fit once more from the same address; return also what of the data the fit has changed."""
    problem, draw = data(estimator, trial.scenario, trial.replicate)
    columns = {name: column.copy() for name, column in problem.columns.items()}
    frame = problem.frame.copy()
    again = fit(estimator, trial.scenario, problem, trial.replicate)
    for name, column in columns.items():
        if not same_bits(column, problem.columns[name]) or not same_bits(
            column, draw.columns[name]
        ):
            return again, f"writes into column '{name}'"
    changed = not frame.equals(problem.frame)
    return again, "changes problem.frame; work on a copy of it" if changed else None
