"""Lessons in a notebook: a setting run anew, with a student's own estimator if there is one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cibench.errors import BadInput
from cibench.lessons import frames as made
from cibench.lessons.interface import Interface
from cibench.lessons.lesson import Lesson
from cibench.lessons.page import COLOURS
from cibench.lessons.svg import distributions
from cibench.lessons.tables import numbers_table
from cibench.report.markup import Html, h, join

if TYPE_CHECKING:
    from cibench.run_folder import Run


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
    lesson: Lesson, setting: float, replicates: int = 100, estimators: Sequence[str] = ()
) -> Frame:
    """Run one setting of a lesson, any within the range, with further estimators beside its own.

    Raises BadInput for a setting out of range or an estimator that does not fit.
    """
    from cibench.runs import run

    if len(lesson.estimators) + len(estimators) > len(COLOURS):
        raise BadInput(f"there is room for {len(COLOURS)} methods")
    slider = dataclasses.replace(lesson.slider, settings=(float(setting),))
    names = tuple(dict.fromkeys((*lesson.estimators, *estimators)))
    one = dataclasses.replace(lesson, slider=slider, estimators=names)
    done = run(one.suite(replicates))
    return Frame(one, done, made.frames(one, done))


def as_html(lesson: Lesson) -> Html:
    """Write a lesson's title, assumption and settings for a notebook."""
    from cibench.lessons.prose import inline

    words = lesson.words["en"]
    settings = ", ".join(f"{s:g}" for s in lesson.slider.settings)
    return join(h("p", h("b", words.title)), h("p", "Assumption: ", inline(words.assumption)),
                h("p", f"{words.slider}: {settings}"))  # fmt: skip
