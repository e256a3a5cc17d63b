"""A lesson's file as strangers hand it in: a lesson, or lines that refuse it."""

from pathlib import Path

import pytest
from hostile import EDIT, SAME_FOLDER, edited_bytes, edited_json, pipe, refusal
from hypothesis import given
from hypothesis import strategies as st

from cibench.lessons import find
from cibench.lessons.frames import shipped, stored_at
from cibench.utils.files import json_text

TOY = Path(__file__).with_name("toy.toml").read_text(encoding="utf-8")
HOSTILE = (
    "inf", "nan", "-1", "0", "1e308", "10000000000000000", "true", '""', "[]", "{}", "[[]]",
    '"\\u0000"', '"\\u001b[2J"', "1979-05-27", "'*'", "{ a = {} }", "[1, 'a']", '"../x"',
    "'" + "x" * 9999 + "'", "[nan, inf]", "{ method = [] }",
)  # fmt: skip


@SAME_FOLDER
@given(edit=EDIT, value=st.sampled_from(HOSTILE) | st.text(max_size=20))
def test_an_edited_lesson_is_one_or_is_refused(tmp_path, edit, value):
    kind, place, _ = edit
    text = TOY.encode()
    if kind == "value":
        lines = TOY.splitlines()
        places = [i for i, line in enumerate(lines) if " = " in line]
        at = places[place % len(places)]
        lines[at] = f"{lines[at].partition(' = ')[0]} = {value}"
        text = "\n".join(lines).encode("utf-8", "surrogatepass")
    else:
        text = edited_bytes(text, edit)
    path = tmp_path / "toy.toml"
    path.write_bytes(text)
    refusal(lambda: find(path), path)


STORED = {
    "format": 1, "digest": "x", "replicates": 2, "level": 0.95, "versions": {"numpy": "2"},
    "made": "2026-01-01", "sources": {"rd/cct-1": None}, "edges": [0.0, 1.0], "frames": [{}],
}  # fmt: skip


@SAME_FOLDER
@given(edit=EDIT)
def test_edited_frames_beside_a_lesson_are_read_or_refused(tmp_path, edit):
    path = tmp_path / "toy.toml"
    path.write_text(TOY, encoding="utf-8")
    lesson = find(path)
    stored_at(lesson).parent.mkdir(exist_ok=True)
    stored_at(lesson).write_bytes(edited_json(json_text(STORED).encode(), edit))
    refusal(lambda: shipped(lesson), stored_at(lesson))


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_another_character_set_is_named(tmp_path, encoding):
    path = tmp_path / "toy.toml"
    path.write_bytes(TOY.replace("Toy", "Ñandú").encode(encoding))
    (line,) = refusal(lambda: find(path))
    assert "save it in UTF-8" in line


def test_a_pipe_is_no_lesson(tmp_path):
    (line,) = refusal(lambda: find(pipe(tmp_path / "toy.toml")))
    assert "no file" in line
