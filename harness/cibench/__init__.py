"""Benchmark causal estimators on data whose true effect is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cibench.utils.lazy import offered
from cibench.utils.version import __version__ as __version__

if TYPE_CHECKING:
    from cibench.analysis import pairs, ranks
    from cibench.model import (
        Declined,
        Diagnosis,
        Draw,
        Estimand,
        Estimate,
        Estimator,
        Problem,
        Roles,
        Scenario,
        Target,
        Truth,
        diagnostic,
        dial,
        estimator,
        find_estimator,
        find_scenario,
        parameter,
        scenario,
        stream,
    )
    from cibench.results import Run, load, run, score
    from cibench.suite import Suite
    from cibench.utils.errors import BadInput

__all__ = [
    "BadInput", "Declined", "Diagnosis", "Draw", "Estimand", "Estimate", "Estimator", "Problem",
    "Roles", "Run", "Scenario", "Suite", "Target", "Truth", "diagnostic", "dial", "estimator",
    "find_estimator", "find_scenario", "load", "pairs", "parameter", "ranks", "run", "scenario",
    "score", "stream",
]  # fmt: skip

_HOMES = {
    "cibench.analysis": ("pairs", "ranks"),
    "cibench.model": (
        "Declined", "Diagnosis", "Draw", "Estimand", "Estimate", "Estimator", "Problem",
        "Roles", "Scenario", "Target", "Truth", "diagnostic", "dial", "estimator",
        "find_estimator", "find_scenario", "parameter", "scenario", "stream",
    ),
    "cibench.results": ("Run", "load", "run", "score"),
    "cibench.suite": ("Suite",),
    "cibench.utils.errors": ("BadInput",),
}  # fmt: skip

__getattr__ = offered(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted((*globals(), *__all__))
