"""Read what a lesson says: title, prose and questions, and the same in other languages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cibench.lessons.lesson import Question, Words
from cibench.utils.errors import unknown
from cibench.utils.toml import Table, open_table

LANGUAGES = ("tr", "es")
ENTRY = ("ask", "answer")


def words(table: Table, language: str, slider: str, test: str, labels: Mapping[str, str]) -> Words:
    """Return what the lesson says in one language; `slider` and `test` where the file does not."""
    text = "Markdown text"
    questions = []
    for part in table.tables("questions", []):
        part.check_keys(ENTRY)
        questions.append(Question(*(part.take(k, str, ..., bool, text) for k in ENTRY)))
    return Words(
        language, table.take("title", str, ..., bool, "the lesson's title"),
        table.take("assumption", str, ..., bool, text), table.take("prose", str, ..., bool, text),
        table.take("slider", str, slider, bool, "what the slider moves"),
        table.take("test", str, test, bool, "the diagnostic's name"), dict(labels),
        tuple(questions),
    )  # fmt: skip


def translations(
    path: Path, english: Words, labels: Mapping[str, str] | None
) -> list[tuple[Table, Words]]:
    """Return the lesson's words in the other languages that have a file beside it, with the file.

    Methods are looked up among `labels`, unless those are wrong themselves.
    """
    translated = []
    for language in LANGUAGES:
        other = path.parent / language / path.name
        if other.is_file():
            table = open_table(other)
            table.check_keys(
                ("title", "assumption", "prose", "slider", "test", "estimators", "questions")
            )
            labelled = table.table("estimators").content
            for name in labelled:
                if labels is not None and name not in labels:
                    table.fault("estimators", unknown("method of this lesson", name, labels), name)
            every = {**english.labels, **labelled}
            translated.append((table, words(table, language, english.slider, english.test, every)))
    return translated
