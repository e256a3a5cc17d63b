"""From lesson files to pages: one page, or a folder of pages with an index for a course."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cibench.lessons import frames as lesson_frames
from cibench.lessons.lesson import Lesson
from cibench.lessons.page import COLOURS, STYLE, page
from cibench.lessons.svg import distributions
from cibench.lessons.translations import Interface
from cibench.render.html import Html, document, h
from cibench.render.markdown import inline
from cibench.utils.errors import BadInput
from cibench.utils.files import make_folder, write_text
from cibench.utils.version import __version__

if TYPE_CHECKING:
    from cibench.execution.settings import RunSettings

INDEX = "index.html"


@dataclass(frozen=True)
class Built:
    """Hold a lesson with its frames, and whether they came with it or from a run."""

    lesson: Lesson
    frames: dict[str, Any]
    ran: bool


def build(
    lesson: Lesson, replicates: int | None = None, settings: RunSettings | None = None
) -> Built:
    """Return a lesson with its frames: those stored beside it, else those of a run.

    Another number of replicates than the lesson's own always runs. Raises BadInput where it is
    below 2 or a method cannot be run.
    """
    if replicates is not None and replicates < 2:
        raise BadInput(f"--replicates: {replicates} is not a number of 2 or more")
    stored = lesson_frames.shipped(lesson) if replicates in (None, lesson.replicates) else None
    if stored is not None:
        return Built(lesson, stored, ran=False)
    return Built(lesson, lesson_frames.make(lesson, replicates or 0, settings), ran=True)


def write_page(built: Built, path: Path, language: str = "en", home: str = "") -> Path:
    """Write a lesson's page; raises BadInput where the file cannot be written."""
    make_folder(path.parent)
    write_text(path, page(built.lesson, built.frames, language, home))
    return path


def write_course(built: Sequence[Built], folder: Path, language: str = "en") -> Path:
    """Write the pages of some lessons and the index that leads to them; return the index."""
    make_folder(folder)
    for entry in built:
        write_page(entry, folder / f"{entry.lesson.name}.html", language, INDEX)
    write_text(folder / INDEX, index(built, language))
    return folder / INDEX


def index(built: Sequence[Built], language: str = "en") -> str:
    """Return the page that lists lessons: their title, assumption and failure as a picture."""
    ui = Interface(language)
    cards = [_card(one, ui) for one in built]
    title = ui.say("course")
    return document(
        f"{title} · cibench", h("header", h("h1", title)),
        h("main", h("p", ui.say("course_note")), h("ol", cards, cls="cards")),
        h("footer", h("p", ui.say("by", version=__version__))),
        style=STYLE, scripts=(), language=language,
    )  # fmt: skip


def _card(built: Built, ui: Interface) -> Html:
    lesson = built.lesson
    words = lesson.words_in(ui.language)
    foreign = words.language if words.language != ui.language else None
    place, frames = lesson.series.index(lesson.failure.series), built.frames["frames"]
    at = lesson.slider.settings.index(lesson.failure.at)
    apart = 0 if at else len(frames) - 1
    label = ui.label(lesson, lesson.failure.series)
    own, other = frames[at]["series"][place], frames[apart]["series"][place]
    picture = distributions([own], built.frames["edges"], COLOURS, label, [other])
    words_of_picture = ui.say("card", first=ui.setting(lesson, apart), last=ui.setting(lesson, at))
    return h(
        "li", h("a", h("h2", words.title, lang=foreign), href=f"{lesson.name}.html"),
        h("p", inline(words.assumption), lang=foreign), picture,
        h("p", label, ": ", words_of_picture, cls="note"), cls="panel",
    )  # fmt: skip
