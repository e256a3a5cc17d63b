"""Store the frames of built-in lessons, and find out whether they are those of today's code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isclose
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cibench.lessons import frames as made
from cibench.lessons.build import write_text
from cibench.lessons.lesson import Lesson
from cibench.lessons.lesson_file import find

if TYPE_CHECKING:
    import pandas as pd

AGAIN, NEAR = 2, 1e-4
"""How many data sets a setting are run again, and how near the stored answers theirs must be."""


def store(name: str, workers: int = 1) -> Path | None:
    """Run a built-in lesson whose stored frames are not those of today's code, and store them.

    Returns the file's path, None where the stored frames are right already.
    """
    lesson = find(name)
    frames = made.shipped(lesson)
    if frames is not None and up_to_date(lesson, frames):
        if frames["sources"] == made.sources(lesson):
            return None
        frames["sources"] = made.sources(lesson)
    else:
        frames = made.make(lesson, workers=workers)
    path = made.stored_at(lesson)
    write_text(path, as_text(frames))
    return path


def as_text(frames: made.Frames) -> str:
    """Return frames as JSON, a line a frame, so that a change shows where it is."""
    head = {key: value for key, value in frames.items() if key != "frames"}
    lines = [json.dumps(frame, separators=(",", ":")) for frame in frames["frames"]]
    text = json.dumps(head, separators=(",", ":"))
    return text[:-1] + ',"frames":[\n' + ",\n".join(lines) + "\n]}\n"


def up_to_date(lesson: Lesson, frames: Mapping[str, Any]) -> bool:
    """Say whether the code is the one that made the frames, or gives the same answers.

    Most changes of a source change no number. Where one has changed, the first data sets of every
    setting are drawn and answered again.
    """
    return frames["sources"] == made.sources(lesson) or reproduces(lesson, frames)


def reproduces(lesson: Lesson, frames: Mapping[str, Any]) -> bool:
    """Say whether the first data sets of every setting give the stored answers again."""
    from cibench.runs import run

    rows = made.rows_of(lesson, run(lesson.suite(AGAIN)))
    return all(
        _same(one, here[here["replicate"] == one["replicate"]].set_index("estimator"), lesson)
        for frame in frames["frames"]
        for here in [rows[made.at_setting(lesson, rows, frame["setting"])]]
        for one in frame["shown"]
        if one["replicate"] < AGAIN
    )


def _same(old: Mapping[str, Any], new: pd.DataFrame, lesson: Lesson) -> bool:
    """Compare data, numbers and alarm of one data set."""
    for name, before in zip(lesson.estimators, old["answers"], strict=True):
        now = made.answer(new.loc[name])
        if str(new.loc[name, "data_hash"]) != old["hash"]:
            return False
        if not all(_near(a, b) for a, b in zip(before[:3], now[:3], strict=True)):
            return False
    if "diagnostic" not in old or old["diagnostic"][1] is None:
        return True
    return bool(new.loc[lesson.diagnostic, "passed"] != old["diagnostic"][1])


def _near(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    a, b = float(a), float(b)
    return a == b or isclose(a, b, rel_tol=NEAR)
