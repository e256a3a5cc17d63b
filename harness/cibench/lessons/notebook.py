"""A lesson as a short Jupyter notebook: students move the dial and write an estimator of their own.

A notebook is plain JSON (nbformat 4.5), so that writing one needs no Jupyter.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from pathlib import Path
from typing import Any

from cibench.lessons.build import write_text
from cibench.lessons.lesson import Lesson
from cibench.lessons.lesson_file import built_in_lessons

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
    write_text(path, json.dumps(notebook(lesson, replicates), indent=1, ensure_ascii=False) + "\n")
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
    asked = "\n\n".join(
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
        _code(own), _text(f"## Questions\n\n{asked}") if asked else _text("## Questions"),
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
