"""What plug-in authors work with: scenarios, estimators, and what passes between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cibench.utils.lazy import offered

if TYPE_CHECKING:
    from cibench.model.design import (
        Dial,
        Parameter,
        Scenario,
        configure,
        dial,
        dials,
        find_scenario,
        parameter,
        parameters,
        scenario,
    )
    from cibench.model.estimands import Estimand
    from cibench.model.method import Estimator, diagnostic, estimator, find_estimator
    from cibench.model.streams import stream
    from cibench.model.types import (
        Array,
        Declined,
        Diagnosis,
        Draw,
        Estimate,
        Problem,
        Roles,
        Target,
        Truth,
    )

__all__ = [
    "Array", "Declined", "Diagnosis", "Dial", "Draw", "Estimand", "Estimate", "Estimator",
    "Parameter", "Problem", "Roles", "Scenario", "Target", "Truth", "configure", "diagnostic",
    "dial", "dials", "estimator", "find_estimator", "find_scenario", "parameter", "parameters",
    "scenario", "stream",
]  # fmt: skip

_HOMES = {
    "cibench.model.design": (
        "Dial", "Parameter", "Scenario", "configure", "dial", "dials", "find_scenario",
        "parameter", "parameters", "scenario",
    ),
    "cibench.model.estimands": ("Estimand",),
    "cibench.model.method": ("Estimator", "diagnostic", "estimator", "find_estimator"),
    "cibench.model.streams": ("stream",),
    "cibench.model.types": (
        "Array", "Declined", "Diagnosis", "Draw", "Estimate", "Problem", "Roles", "Target",
        "Truth",
    ),
}  # fmt: skip

__getattr__ = offered(__name__, _HOMES)
