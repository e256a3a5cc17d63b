"""Lessons: what an assumption failure does to a method, as one page that opens by double click.

The names below are those that pages and notebooks use, for whoever makes their numbers again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cibench.utils.lazy import offered

if TYPE_CHECKING:
    from cibench.lessons.notebook import find
    from cibench.lessons.parse import built_in_lessons
    from cibench.lessons.pictures import draw
    from cibench.lessons.reanalysis import asked, best_of, passed

__all__ = ["asked", "best_of", "built_in_lessons", "draw", "find", "passed"]

_HOMES = {
    "cibench.lessons.notebook": ("find",),
    "cibench.lessons.parse": ("built_in_lessons",),
    "cibench.lessons.pictures": ("draw",),
    "cibench.lessons.reanalysis": ("asked", "best_of", "passed"),
}

__getattr__ = offered(__name__, _HOMES)
