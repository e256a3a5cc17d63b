"""A lesson as a short Jupyter notebook: students move the dial and write an estimator of their own.

A notebook is plain JSON (nbformat 4.5), so that writing one needs no Jupyter.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cibench.lessons import frames as lesson_frames
from cibench.lessons import parse
from cibench.lessons.lesson import Lesson
from cibench.lessons.page import COLOURS
from cibench.lessons.parse import built_in_lessons
from cibench.lessons.svg import distributions
from cibench.lessons.tables import numbers_table
from cibench.lessons.translations import Interface
from cibench.render.html import Html, h, join
from cibench.utils.errors import BadInput
from cibench.utils.files import make_folder, write_json

if TYPE_CHECKING:
    from cibench.results.run_folder import Run

OWN = '''import numpy as np
from cibench import Declined, Estimand, Estimate, Problem, estimator


@estimator("mine/first-try", targets=(Estimand.{estimand},), uses=())
def first_try(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Compare the treated rows with the others: change this."""
    y, treated = problem.outcome, problem.treatment > problem.treatment.mean()
    value = y[treated].mean() - y[~treated].mean()
    se = np.sqrt(y[treated].var() / treated.sum() + y[~treated].var() / (~treated).sum())
    return Estimate.wald(value, se, problem.level)


lesson.frame({first:g}, replicates={replicates}, estimators=["mine/first-try"])'''


def write_notebook(lesson: Lesson, path: Path, replicates: int = 40) -> Path:
    """Write the notebook of a lesson; raises BadInput where the file cannot be written."""
    make_folder(path.parent)
    write_json(path, notebook(lesson, replicates))
    return path


def notebook(lesson: Lesson, replicates: int = 40) -> dict[str, Any]:
    """Return the notebook's content: prose, the dial, an own estimator, questions."""
    words, first, last = lesson.words["en"], lesson.slider.settings[0], lesson.slider.settings[-1]
    built_in = built_in_lessons().get(lesson.name) == lesson.path
    name = lesson.name if built_in else str(lesson.path)
    columns = ", ".join(f"`{c}`" for c in lesson.scenario_at(first).assigned_roles().columns)
    run = f"lesson.frame({{:g}}, replicates={replicates})"
    own = OWN.format(estimand=lesson.estimand, first=first, replicates=replicates)
    draw = (
        f"drawn = cibench.lessons.draw({lesson.scenario!r}, {lesson.fields(last)!r}, "
        f"n={lesson.size(last)}, seed={lesson.seed}, replicate=0)\n"
        "pd.DataFrame(drawn.columns).head()"
    )
    questions = "\n\n".join(
        f"**{q.ask}**\n\n<details><summary>Answer</summary>\n\n{q.answer}\n\n</details>"
        for q in words.questions
    )
    settings = ", ".join(f"{s:g}" for s in lesson.slider.settings)
    cells = [
        _text(f"# {words.title}\n\nAssumption: {words.assumption}."), _text(words.prose.strip()),
        _code("import cibench.lessons\nimport pandas as pd\n\n"
              f"lesson = cibench.lessons.find({name!r})\nlesson"),
        _text(f"## Where the assumption holds\n\n{words.slider}: {first:g}."),
        _code(run.format(first)),
        _text(f"## Where it does not\n\nChange the setting ({settings}, or any in between)."),
        _code(run.format(last)), _text("One data set, as an analyst would get it:"), _code(draw),
        _text(f"## Your own estimator\n\nIt sees the columns {columns} and not the truth."),
        _code(own), _text(f"## Questions\n\n{questions}") if questions else _text("## Questions"),
    ]  # fmt: skip
    for number, cell in enumerate(cells):
        cell["id"] = blake2b(f"{number} {cell['source']}".encode(), digest_size=4).hexdigest()
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "cells": cells, "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4, "nbformat_minor": 5,
    }  # fmt: skip


def _text(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def _code(source: str) -> dict[str, Any]:
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [],
            "source": source}  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """Hold one setting of a lesson as it was run; a notebook shows its picture and its numbers."""

    lesson: Lesson
    run: Run
    frames: dict[str, Any]

    def _repr_html_(self) -> str:
        ui, frame = Interface("en"), self.frames["frames"][0]
        labels = [ui.label(self.lesson, series) for series in self.lesson.series]
        slider, at = self.lesson.words["en"].slider, ui.setting(self.lesson, 0)
        keys = [h("li", h("b", "■ ", style=f"color:{COLOURS[i % len(COLOURS)]}"), label)
                for i, label in enumerate(labels)]  # fmt: skip
        picture = distributions(frame["series"], self.frames["edges"], COLOURS, ", ".join(labels))
        return join(
            h("p", h("b", self.lesson.words["en"].title), f", {slider}: {at}"),
            h("ul", keys, style="list-style:none;padding:0"), picture,
            h("p", "The line is the truth, the bars are the estimates."),
            numbers_table(self.lesson, self.frames, ui),
        )  # fmt: skip


def run_at(
    lesson: Lesson, setting: float, replicates: int = 100, estimators: Sequence[str] = (), *,
    checks: bool = True,
) -> Frame:  # fmt: skip
    """Run one setting of a lesson, any within the range, with further estimators beside its own.

    Raises BadInput for a setting out of range, an estimator that does not fit and, unless without
    `checks`, a plug-in that breaks its contract.
    """
    from cibench.results.api import run

    if len(lesson.estimators) + len(estimators) > len(COLOURS):
        raise BadInput(f"there is room for {len(COLOURS)} methods")
    slider = dataclasses.replace(lesson.slider, settings=(float(setting),))
    names = tuple(dict.fromkeys((*lesson.estimators, *estimators)))
    changed = dataclasses.replace(lesson, slider=slider, estimators=names)
    done = run(changed.suite(replicates), checks=checks)
    return Frame(changed, done, lesson_frames.frames(changed, done))


def as_html(lesson: Lesson) -> Html:
    """Write a lesson's title, assumption and settings for a notebook."""
    from cibench.render.markdown import inline

    words = lesson.words["en"]
    settings = ", ".join(f"{s:g}" for s in lesson.slider.settings)
    return join(h("p", h("b", words.title)), h("p", "Assumption: ", inline(words.assumption)),
                h("p", f"{words.slider}: {settings}"))  # fmt: skip


class NotebookLesson(Lesson):
    """A lesson that a notebook shows, and runs anew at any setting."""

    def frame(
        self, setting: float, replicates: int = 100, estimators: Sequence[str] = (), *,
        checks: bool = True,
    ) -> Frame:  # fmt: skip
        """Run one setting anew, with further estimators if wanted; see `run_at`."""
        return run_at(self, setting, replicates, estimators, checks=checks)

    def _repr_html_(self) -> str:
        return as_html(self)


def find(name: str | Path) -> NotebookLesson:
    """Read a lesson by path or by the name of a built-in one.

    Its `frame` runs a setting of the slider anew. Raises BadInput with the near miss, and a line
    for each mistake in a file.

    >>> from cibench.lessons import built_in_lessons, find
    >>> "parallel-trends" in built_in_lessons()
    True
    >>> lesson = find("parallel-trends")
    >>> lesson.words["en"].title, lesson.scenario, lesson.slider.name
    ('Parallel trends', 'did/two-group', 'trend')
    """
    lesson = parse.find(name)
    return NotebookLesson(**{f.name: getattr(lesson, f.name) for f in dataclasses.fields(lesson)})
