"""Has an estimator changed since its baseline was saved? A statistical gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cibench.utils.lazy import offered

if TYPE_CHECKING:
    from cibench.gate.baseline import Baseline
    from cibench.gate.check import check_run, check_suite
    from cibench.gate.comparison import Comparison, compare
    from cibench.gate.rules import ChangeVerdict, Rules

__all__ = [
    "Baseline", "ChangeVerdict", "Comparison", "Rules", "check_run", "check_suite", "compare",
]  # fmt: skip

_HOMES = {
    "cibench.gate.baseline": ("Baseline",),
    "cibench.gate.check": ("check_run", "check_suite"),
    "cibench.gate.comparison": ("Comparison", "compare"),
    "cibench.gate.rules": ("ChangeVerdict", "Rules"),
}  # fmt: skip

__getattr__ = offered(__name__, _HOMES)
