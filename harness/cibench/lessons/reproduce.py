"""The lines of Python that a page shows: they make its numbers again from their addresses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cibench.lessons.lesson import Lesson

COLUMNS = '[["estimator", "bias", "bias_mcse", "coverage", "coverage_mcse"]]'


def frame_code(lesson: Lesson, setting: float, replicates: int) -> str:
    """Return three lines that run one setting again and show its scores."""
    suite = lesson.suite(replicates, (setting,))
    if lesson.plugins:  # the file's own folder is not the student's
        suite["plugins"] = [plugin.rsplit("/", 1)[-1] for plugin in lesson.plugins]
    shown = _shown(lesson, setting)
    needed = "import cibench.lessons" if "lessons." in shown else "import cibench"
    return "\n".join((needed, f"run = cibench.run({_python(suite)})", shown))


def _shown(lesson: Lesson, setting: float) -> str:
    """Return the line that looks at the run as the lesson does."""
    views = {series.view for series in lesson.views}
    if lesson.slider.moves == "best_of":
        return f"cibench.lessons.best_of(run, {int(setting)}){COLUMNS}"
    looks = [f"run.scores{COLUMNS}"]
    if "passed" in views:
        looks.append(f"cibench.lessons.passed(run, {_python(lesson.diagnostic)}){COLUMNS}")
    if "asked" in views:
        away = f", {setting:g}" if lesson.asked == "distance" else ""
        looks.append(f"cibench.lessons.asked(run, {_python(lesson.asked)}{away}){COLUMNS}")
    return ", ".join(looks)


def data_code(lesson: Lesson, setting: float) -> str:
    """Return three lines that draw a data set; `@` stands for its number."""
    fields = _python(lesson.fields(setting))
    address = f"n={lesson.size(setting)}, seed={lesson.seed}, replicate=@"
    return "\n".join((
        "import cibench.lessons",
        f"drawn = cibench.lessons.draw({_python(lesson.scenario)}, {fields}, {address})",
        "drawn.columns",
    ))  # fmt: skip


def _python(value: Any) -> str:
    """Write plain data as Python, with double quotes and whole numbers without a point."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_python(k)}: {_python(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_python, value)) + "]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
