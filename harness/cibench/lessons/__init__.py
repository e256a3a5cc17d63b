"""Lessons: what an assumption failure does to a method, as one page that opens by double click.

The names below are those that the lines of a page use, for whoever makes its numbers again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cibench.lazy import offered

if TYPE_CHECKING:
    from cibench.lessons.pictures import draw
    from cibench.lessons.select import asked, best_of, passed

__all__ = ["asked", "best_of", "draw", "passed"]

_HOMES = {
    "cibench.lessons.pictures": ("draw",),
    "cibench.lessons.select": ("asked", "best_of", "passed"),
}

__getattr__ = offered(__name__, _HOMES)
