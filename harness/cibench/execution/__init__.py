"""From a suite to stored rows; plan; replay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cibench.utils.lazy import offered

if TYPE_CHECKING:
    from cibench.execution.plans import plan
    from cibench.execution.replays import DrawAddress, FitAddress, replay, replay_draw
    from cibench.execution.runner import execute
    from cibench.execution.settings import RunSettings, Tuning

__all__ = [
    "DrawAddress", "FitAddress", "RunSettings", "Tuning", "execute", "plan", "replay",
    "replay_draw",
]  # fmt: skip

_HOMES = {
    "cibench.execution.plans": ("plan",),
    "cibench.execution.replays": ("DrawAddress", "FitAddress", "replay", "replay_draw"),
    "cibench.execution.runner": ("execute",),
    "cibench.execution.settings": ("RunSettings", "Tuning"),
}  # fmt: skip

__getattr__ = offered(__name__, _HOMES)
