"""Check your estimator in your own tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cibench.utils.lazy import offered

if TYPE_CHECKING:
    from cibench.contracts import check_estimator, check_scenario
    from cibench.testing.invariances import deviations
    from cibench.testing.pairwise import pairwise_rows
    from cibench.testing.pytest_plugin import cibench_check

__all__ = [
    "check_estimator", "check_scenario", "cibench_check", "deviations", "pairwise_rows",
]  # fmt: skip

_HOMES = {
    "cibench.contracts": ("check_estimator", "check_scenario"),
    "cibench.testing.invariances": ("deviations",),
    "cibench.testing.pairwise": ("pairwise_rows",),
    "cibench.testing.pytest_plugin": ("cibench_check",),
}  # fmt: skip

__getattr__ = offered(__name__, _HOMES)
