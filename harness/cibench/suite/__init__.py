"""What a suite file says: cells, precision, ranking, expectations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cibench.utils.lazy import offered

if TYPE_CHECKING:
    from cibench.suite.parse import built_in_suites, find_suite, parse_suite, read_suite
    from cibench.suite.precision import Precision
    from cibench.suite.suite import Cell, Entrant, Suite

__all__ = [
    "Cell", "Entrant", "Precision", "Suite", "built_in_suites", "find_suite", "parse_suite",
    "read_suite",
]  # fmt: skip

_HOMES = {
    "cibench.suite.precision": ("Precision",),
    "cibench.suite.suite": ("Cell", "Entrant", "Suite"),
    "cibench.suite.parse": ("built_in_suites", "find_suite", "parse_suite", "read_suite"),
}  # fmt: skip

__getattr__ = offered(__name__, _HOMES)
