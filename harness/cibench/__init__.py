"""Benchmark causal estimators on data whose true effect is known."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Declined", "Diagnosis", "Draw", "Estimand", "Estimate", "Estimator", "Problem", "Roles",
    "Run", "Scenario", "Suite", "Target", "Truth", "diagnostic", "dial", "estimator",
    "find_estimator", "find_scenario", "load", "parameter", "run", "scenario",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import an exported name when it is first used, so that `import cibench` costs nothing."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'cibench' has no attribute '{name}'")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted((*globals(), *__all__))
