"""From replicate rows to tables: scores, comparisons, leaderboards, sensitivity, verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cibench.utils.lazy import offered

if TYPE_CHECKING:
    from cibench.analysis.algorithm_seeds import measure_instability
    from cibench.analysis.calibration import judge_calibration
    from cibench.analysis.comparisons import pairs
    from cibench.analysis.diagnostics import score_diagnostics
    from cibench.analysis.equalities import judge_equalities
    from cibench.analysis.expectations import judge_expectations
    from cibench.analysis.failures import tally_failures
    from cibench.analysis.leaderboard import ranks
    from cibench.analysis.one_pass import Collector, collect
    from cibench.analysis.process_changes import find_process_changes
    from cibench.analysis.published import compare_published
    from cibench.analysis.repeated_data import find_repeated_data
    from cibench.analysis.scores import score
    from cibench.analysis.sensitivity import Study, curves, measure_sensitivity, study

__all__ = [
    "Collector", "Study", "collect", "compare_published", "curves", "find_process_changes",
    "find_repeated_data",
    "judge_calibration", "judge_equalities",
    "judge_expectations", "measure_instability", "measure_sensitivity", "pairs", "ranks", "score",
    "score_diagnostics", "study", "tally_failures",
]  # fmt: skip

_HOMES = {
    "cibench.analysis.algorithm_seeds": ("measure_instability",),
    "cibench.analysis.calibration": ("judge_calibration",),
    "cibench.analysis.one_pass": ("Collector", "collect"),
    "cibench.analysis.comparisons": ("pairs",),
    "cibench.analysis.diagnostics": ("score_diagnostics",),
    "cibench.analysis.equalities": ("judge_equalities",),
    "cibench.analysis.expectations": ("judge_expectations",),
    "cibench.analysis.failures": ("tally_failures",),
    "cibench.analysis.leaderboard": ("ranks",),
    "cibench.analysis.published": ("compare_published",),
    "cibench.analysis.process_changes": ("find_process_changes",),
    "cibench.analysis.repeated_data": ("find_repeated_data",),
    "cibench.analysis.scores": ("score",),
    "cibench.analysis.sensitivity": ("Study", "curves", "measure_sensitivity", "study"),
}  # fmt: skip

__getattr__ = offered(__name__, _HOMES)
