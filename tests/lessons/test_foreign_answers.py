"""Class lists, students' answers and a teacher's key as people hand them in: read, or refused."""

import json
from pathlib import Path

import pytest
from hostile import EDIT, SAME_FOLDER, edited_csv, edited_json, nothing_changes, refusal
from hypothesis import given
from hypothesis import strategies as st

from cibench.lessons import find
from cibench.lessons.classroom.assignment import (
    LONGEST_NAME,
    MOST_STUDENTS,
    read_students,
    write_assignment,
)
from cibench.lessons.classroom.grading import read_class
from cibench.lessons.classroom.report import write_report
from cibench.utils.files import json_text
from cibench.utils.sealing import Seal

TOY = Path(__file__).with_name("toy.toml").read_text(encoding="utf-8")
LIST = 'student,group\nAda,1\n"Núñez, Ana",2\nŞükrü,1\n'.encode()


@pytest.fixture(scope="module")
def classroom(tmp_path_factory):
    """Write an assignment to three students, and their answers."""
    folder = tmp_path_factory.mktemp("class")
    (folder / "toy.toml").write_text(TOY, encoding="utf-8")
    (folder / "list.csv").write_bytes(LIST)
    write_assignment(find(folder / "toy.toml"), folder / "list.csv", folder / "task")
    rows = ["Ada,0.1,-1,1,effect", '"Núñez, Ana",0.2,0,1,no effect', "Şükrü,0,-1,1,cannot tell"]
    text = "\n".join(["student,estimate,low,high,decision", *rows]) + "\n"
    (folder / "answers.csv").write_text(text, encoding="utf-8")
    return folder


@SAME_FOLDER
@given(edit=EDIT)
def test_an_edited_class_list_is_read_or_refused(tmp_path, edit):
    path = tmp_path / "list.csv"
    path.write_bytes(edited_csv(LIST, edit))
    refusal(lambda: read_students(path), path)


@SAME_FOLDER
@given(edit=EDIT)
def test_edited_answers_are_graded_or_refused(classroom, edit):
    path = classroom / "edited.csv"
    path.write_bytes(edited_csv((classroom / "answers.csv").read_bytes(), edit))
    with nothing_changes(classroom, but="report"):
        refusal(
            lambda: write_report(read_class(classroom / "task", path), classroom / "report"), path
        )


@SAME_FOLDER
@given(edit=EDIT, sealed=st.booleans())
def test_an_edited_key_is_read_or_refused(classroom, edit, sealed):
    path = classroom / "task" / "teacher" / "key.json"
    before = path.read_bytes()
    content = edited_json(before, edit)
    path.write_bytes(resealed(content) if sealed else content)
    answers = classroom / "answers.csv"
    try:
        with nothing_changes(classroom, but="report"):
            refusal(
                lambda: write_report(
                    read_class(classroom / "task", answers), classroom / "report"
                ),
                path, answers,
            )  # fmt: skip
    finally:
        path.write_bytes(before)


def resealed(content: bytes) -> bytes:
    """Return a key whose seals hold, if it is one at all."""
    try:
        key = json.loads(content)
        for name, entry in key["students"].items():
            what = {"student": name, "truth": entry["truth"], "salt": entry["salt"]}
            entry["commitment"] = Seal.of(what).commitment
        return json_text(key).encode()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return content


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("student\n" + "x" * (LONGEST_NAME + 1), ":2: 'xxxx"),
        ("student\n\x1b[2J\n", "is no name: too long, or not printable"),
        ("student\n" + "x" * 140_000, "a cell of more than 131,072 letters"),
        ("student\n" + "\n".join(map(str, range(MOST_STUDENTS + 1))), "more than 10,000 students"),
    ],
    ids=range(4),
)
def test_a_list_beyond_bounds_is_one_line(tmp_path, text, words):
    (tmp_path / "list.csv").write_text(text)
    (line,) = refusal(lambda: read_students(tmp_path / "list.csv"))
    assert words in line


def test_a_missing_column_of_answers_is_named(classroom):
    path = classroom / "edited.csv"
    path.write_text("student;estimate;low;hi;decision\nAda;1;0;2;effect\n")
    (line,) = refusal(lambda: read_class(classroom / "task", path))
    assert "edited.csv:1: no column 'high' among student, estimate, low, hi, decision" in line
