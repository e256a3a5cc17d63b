"""Lessons: what an assumption failure does to a method, as one page that opens by double click.

The names below are those that pages and notebooks use, for whoever makes their numbers again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cibench.lazy import offered

if TYPE_CHECKING:
    from cibench.lessons.lesson_file import built_in_lessons, find
    from cibench.lessons.pictures import draw
    from cibench.lessons.select import asked, best_of, passed

__all__ = ["asked", "best_of", "built_in_lessons", "draw", "find", "passed"]

_HOMES = {
    "cibench.lessons.lesson_file": ("built_in_lessons", "find"),
    "cibench.lessons.pictures": ("draw",),
    "cibench.lessons.select": ("asked", "best_of", "passed"),
}

__getattr__ = offered(__name__, _HOMES)
