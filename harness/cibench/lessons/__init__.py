"""Lessons: what an assumption failure does to a method, as one page that opens by double click."""

from __future__ import annotations

from cibench.lessons.lesson_file import built_in_lessons, find
from cibench.lessons.pictures import draw
from cibench.lessons.select import asked, best_of, passed

__all__ = ["asked", "best_of", "built_in_lessons", "draw", "find", "passed"]
