"""What is measured of an estimator's answers: one record and one function a metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cibench.utils.lazy import offered

if TYPE_CHECKING:
    from cibench.metrics.core import Score
    from cibench.metrics.registry import METRICS, Metric, metric

__all__ = ["METRICS", "Metric", "Score", "metric"]

_HOMES = {
    "cibench.metrics.core": ("Score",),
    "cibench.metrics.registry": ("METRICS", "Metric", "metric"),
}  # fmt: skip

__getattr__ = offered(__name__, _HOMES)
