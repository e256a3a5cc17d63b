"""Fit an estimator as the harness would, and note what global state the fit moves."""

from __future__ import annotations

import locale
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from cibench.contain import contained
from cibench.contracts.common import UNITS, small_draw
from cibench.design import Scenario
from cibench.method import Estimator
from cibench.model import Draw, Problem
from cibench.seeds import seed_global_state, stream, unchanged_random_states

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
    problem = Problem.of(draw, scenario.assigned_roles(), estimator.asked(scenario), LEVEL)
    return (replace(problem, draw=draw) if estimator.oracle else problem), draw


def fit(estimator: Estimator, scenario: Scenario, problem: Problem, replicate: int = 0) -> Fit:
    """Fit from the address of the data set, in silence; the global state comes back as it was."""
    address = ("contract", "fit", scenario.name, UNITS, replicate, estimator.name)
    answer: object = None
    error: Exception | None = None
    with _contained():
        seed_global_state(address)
        before = _global_state()
        try:
            answer = estimator.fit(problem, stream(*address))
        except (Exception, SystemExit) as raised:
            error = raised if isinstance(raised, Exception) else RuntimeError("calls sys.exit")
        after = _global_state()
    moved = tuple(name for name in before if before[name] != after[name])
    return Fit(scenario, replicate, answer, error, moved)


@contextmanager
def _contained() -> Iterator[None]:
    with unchanged_random_states(), threadpool_limits(1), contained():
        yield


def _global_state() -> dict[str, object]:
    return {
        "numpy's error state": np.geterr(),
        "the working directory": Path().resolve(),
        "the environment variables": dict(os.environ),
        "the locale": locale.setlocale(locale.LC_ALL),
        "the number of warning filters": len(warnings.filters),
    }
