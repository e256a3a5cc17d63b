"""A run as Python sees it: run a suite, load a folder, read its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cibench.utils.lazy import offered

if TYPE_CHECKING:
    from cibench.results.api import load, run
    from cibench.results.estimates import score
    from cibench.results.run_folder import Run
    from cibench.results.tables import TABLES, RunTables

__all__ = ["TABLES", "Run", "RunTables", "load", "run", "score"]

_HOMES = {
    "cibench.results.api": ("load", "run"),
    "cibench.results.estimates": ("score",),
    "cibench.results.run_folder": ("Run",),
    "cibench.results.tables": ("TABLES", "RunTables"),
}  # fmt: skip

__getattr__ = offered(__name__, _HOMES)
