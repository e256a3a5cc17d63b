"""Benchmark causal estimators on data whose true effect is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cibench.lazy import offered

if TYPE_CHECKING:
    from cibench.design import Scenario, dial, parameter, scenario
    from cibench.method import Estimator, diagnostic, estimator
    from cibench.model import (
        Declined,
        Diagnosis,
        Draw,
        Estimand,
        Estimate,
        Problem,
        Roles,
        Target,
        Truth,
    )
    from cibench.registry import find_estimator, find_scenario
    from cibench.run_folder import Run
    from cibench.runs import load, run
    from cibench.suite import Suite

__version__ = "0.1.0"

_HOMES = {
    "cibench.design": ("Scenario", "dial", "parameter", "scenario"),
    "cibench.method": ("Estimator", "diagnostic", "estimator"),
    "cibench.model": (
        "Declined", "Diagnosis", "Draw", "Estimand", "Estimate", "Problem", "Roles", "Target",
        "Truth",
    ),
    "cibench.registry": ("find_estimator", "find_scenario"),
    "cibench.run_folder": ("Run",),
    "cibench.runs": ("load", "run"),
    "cibench.suite": ("Suite",),
}  # fmt: skip

__all__ = [
    "Declined", "Diagnosis", "Draw", "Estimand", "Estimate", "Estimator", "Problem", "Roles",
    "Run", "Scenario", "Suite", "Target", "Truth", "diagnostic", "dial", "estimator",
    "find_estimator", "find_scenario", "load", "parameter", "run", "scenario",
]  # fmt: skip


__getattr__ = offered(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted((*globals(), *__all__))
