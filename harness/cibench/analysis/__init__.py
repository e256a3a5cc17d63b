"""From replicate rows to tables: scores, comparisons, leaderboards, sensitivity, verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cibench.utils.lazy import offered

if TYPE_CHECKING:
    from cibench.analysis.comparisons import pairs
    from cibench.analysis.leaderboard import ranks
    from cibench.analysis.scores import score, score_folder
    from cibench.analysis.sensitivity import Study, study

__all__ = ["Study", "pairs", "ranks", "score", "score_folder", "study"]

_HOMES = {
    "cibench.analysis.comparisons": ("pairs",),
    "cibench.analysis.leaderboard": ("ranks",),
    "cibench.analysis.scores": ("score", "score_folder"),
    "cibench.analysis.sensitivity": ("Study", "study"),
}  # fmt: skip

__getattr__ = offered(__name__, _HOMES)
