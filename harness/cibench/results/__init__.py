"""A run as Python sees it: run a suite, load a folder, read its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cibench.utils.lazy import offered

if TYPE_CHECKING:
    from cibench.results.api import load, run
    from cibench.results.estimates import score
    from cibench.results.replication_package import Package, pack, unpack
    from cibench.results.run_folder import Run
    from cibench.results.tables import TABLES, RunTables

__all__ = ["TABLES", "Package", "Run", "RunTables", "load", "pack", "run", "score", "unpack"]

_HOMES = {
    "cibench.results.api": ("load", "run"),
    "cibench.results.estimates": ("score",),
    "cibench.results.replication_package": ("Package", "pack", "unpack"),
    "cibench.results.run_folder": ("Run",),
    "cibench.results.tables": ("TABLES", "RunTables"),
}  # fmt: skip

__getattr__ = offered(__name__, _HOMES)
