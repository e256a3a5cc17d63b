"""Data out, answers in: the data sets of a suite as files, and answers to them as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cibench.utils.lazy import offered

if TYPE_CHECKING:
    from cibench.exchange.export import export_suite
    from cibench.exchange.importing import import_answers

__all__ = ["export_suite", "import_answers"]

_HOMES = {
    "cibench.exchange.export": ("export_suite",),
    "cibench.exchange.importing": ("import_answers",),
}

__getattr__ = offered(__name__, _HOMES)
