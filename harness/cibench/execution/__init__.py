"""From a suite to stored rows; plan; replay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cibench.utils.lazy import offered

if TYPE_CHECKING:
    from cibench.execution.plans import plan
    from cibench.execution.replays import FitAddress, replay
    from cibench.execution.runner import execute
    from cibench.execution.settings import RunSettings, Tuning

__all__ = ["FitAddress", "RunSettings", "Tuning", "execute", "plan", "replay"]

_HOMES = {
    "cibench.execution.plans": ("plan",),
    "cibench.execution.replays": ("FitAddress", "replay"),
    "cibench.execution.runner": ("execute",),
    "cibench.execution.settings": ("RunSettings", "Tuning"),
}  # fmt: skip

__getattr__ = offered(__name__, _HOMES)
