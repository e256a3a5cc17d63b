"""Strangers' files: within bounds they are read, beyond them refused in a line that says where."""

import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile import CELLS, EDIT, SAME_FOLDER, VALUES, deep, edited_csv, edited_json, pipe, refusal
from hypothesis import given
from hypothesis import strategies as st

from cibench.utils.errors import BadInput, unknown
from cibench.utils.foreign import (
    DEEPEST,
    LONGEST_CELL,
    WIDEST,
    as_json,
    own_file,
    read_bytes,
    read_csv,
    read_frame,
    read_json,
    read_table,
    read_text,
)
from cibench.utils.shapes import COUNT, MOST_COMPLAINTS, TEXT

WHOLE = {"name": "x", "n": 3, "share": 0.5, "cells": [{"at": 1.0, "why": None}], "of": {"a": "b"}}
SHAPE = {
    "name": TEXT, "n": COUNT, "share": float, "cells": [{"at": float, "why": (TEXT, None)}],
    "of": {str: TEXT}, "more?": bool,
}  # fmt: skip


def complaint(call, *words):
    with pytest.raises(BadInput) as error:
        call(*words)
    (line,) = error.value.args
    assert "\n" not in line and len(line) < 1000
    return line


# ---- bytes and names -------------------------------------------------------------------------


def test_what_is_no_file_or_too_large_is_refused_and_nothing_waits(tmp_path):
    path = tmp_path / "x"
    assert complaint(read_bytes, path) == f"{path}: No such file or directory"
    path.mkdir()
    assert complaint(read_bytes, path) == f"{path}: no file, but a folder"
    assert complaint(read_bytes, pipe(tmp_path / "p")).endswith("no file, but a pipe")
    assert complaint(read_bytes, tmp_path / "a\0b").startswith(f"{tmp_path}")
    assert re.search("no file, but a device", complaint(read_bytes, type(path)("/dev/zero")))
    (tmp_path / "y").write_bytes(b"12345")
    assert read_bytes(tmp_path / "y", 5) == b"12345"
    assert complaint(read_bytes, tmp_path / "y", 4).endswith("over 4 bytes, more than any of ours")


@pytest.mark.parametrize("name", ["a/b.csv", "a", "b.csv"])
def test_a_link_in_a_strangers_folder_is_not_followed(tmp_path, name):
    run, real = tmp_path / "run", tmp_path / "elsewhere"
    (real / "a").mkdir(parents=True)
    (real / "a/b.csv").write_text("secret")
    (real / "b.csv").write_text("secret")
    run.mkdir()
    (run / name.split("/")[0]).symlink_to(real / name.split("/")[0])
    assert "is a link, which is not followed" in complaint(own_file, run, name)
    assert complaint(own_file, run, "../elsewhere/b.csv")
    linked = tmp_path / "linked"  # the user's own: a run on a larger disk
    linked.symlink_to(real)
    assert own_file(linked, "b.csv").read_text() == "secret"


# ---- texts -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("utf-16", "it is in UTF-16; save it in UTF-8"),
        ("utf-16-be", ":1: not a text file in UTF-8: it holds a zero byte"),
        ("utf-32", "it is in UTF-32; save it in UTF-8"),
        (
            "cp1252",
            ":2: not a text file in UTF-8: 'Núñez' is in cp1252, it seems",
        ),
    ],
)
def test_another_character_set_is_named_with_the_line_and_what_it_says(tmp_path, encoding, words):
    path = tmp_path / "t.csv"
    text = "student,estimate\nNúñez,1\n"
    path.write_bytes(text.encode(encoding))
    assert words in complaint(read_text, path) and words in complaint(read_csv, path)
    path.write_bytes(text.encode("utf-8-sig"))
    assert read_csv(path) == [{"student": "Núñez", "estimate": "1"}]


# ---- JSON ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "nested too deeply"),
        ("[" * (DEEPEST + 2) + "]" * (DEEPEST + 2), f"more than {DEEPEST} lists and tables within"),
        ('{"n": ' + "9" * 5000 + "}", "a whole number of 5,000 digits"),
        ('{"n": 1, "n": 2}', "the key 'n' stands twice"),
        ('{\n"name": "\\ud800"}', "half a character"),
        ('{\n"name": }', ":2: not a file of ours: no JSON: Expecting value"),
        ("", "no JSON"),
        ("null", "None is not a table"),
    ],
    ids=range(8),
)
def test_what_is_no_json_of_ours_is_one_line_at_once(tmp_path, text, words):
    path = tmp_path / "t.json"
    path.write_text(text)
    assert words in complaint(read_json, path, SHAPE)


def test_every_place_that_is_wrong_is_named_with_its_near_miss():
    wrong = {
        "nam": "x", "n": -1, "share": float("inf"), "of": {"a": "\x1b[2J"}, "more": 0,
        "cells": [{"at": 1e308, "why": None}, {"at": True, "why": 3}, 7],
    }  # fmt: skip
    with pytest.raises(BadInput) as error:
        as_json(json.dumps(wrong), SHAPE, "f")
    assert [line.removeprefix("f: not a file of ours: ") for line in error.value.args] == [
        "name: is missing; is it 'nam'?",
        "n: -1 is not a whole number from 0 on",
        "share: inf is not a number of ordinary size",
        "cells[1].at: 1e+308 is not a number of ordinary size",
        "cells[2].at: True is not a number of ordinary size",
        "cells[2].why: 3 is not a text without control characters or null",
        "cells[3]: 7 is not a table",
        "of.a: '\\x1b[2J' is not a text without control characters",
        "more: 0 is not true or false",
    ]
    with pytest.raises(BadInput) as error:
        as_json(json.dumps({**WHOLE, "cells": [0] * 100_000}), SHAPE, "f")
    assert len(error.value.args) == MOST_COMPLAINTS + 1
    assert error.value.args[-1].endswith("and 99,980 more of the kind")


@SAME_FOLDER
@given(edit=EDIT)
def test_an_edited_json_file_has_its_shape_or_is_refused(tmp_path, edit):
    path = tmp_path / "t.json"
    path.write_bytes(edited_json(json.dumps(WHOLE).encode(), edit))
    refusal(lambda: read_json(path, SHAPE), path)


@given(st.sampled_from(VALUES) | st.recursive(st.sampled_from(VALUES), st.lists, max_leaves=5))
def test_any_value_has_a_shape_or_one_line_for_each_place(value):
    text = json.dumps(value).encode()
    for shape in (SHAPE, [SHAPE], {str: float}, (TEXT, None), COUNT, object):
        refusal(lambda shape=shape: as_json(text, shape, "f"), "f")
    assert not refusal(lambda: as_json(json.dumps(deep(20)), object, "f"))


# ---- CSV -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1," + "x" * (LONGEST_CELL + 1), ":2: not a CSV file: a cell of more than 131,072"),
        ("a,b\n\n1,2,3\n", ":3: 3 cells below 2 columns"),
        ("a,b,a\n1,2,3", ":1: two columns are called 'a'"),
        ("a,,b\n1,2,3", ":1: column 2 has no name"),
        (",".join(f"c{i}" for i in range(WIDEST + 1)), f":1: {WIDEST + 1:,} columns"),
    ],
    ids=range(5),
)
def test_what_is_no_table_is_one_line(tmp_path, text, words):
    path = tmp_path / "t.csv"
    path.write_text(text)
    assert words in complaint(read_csv, path)


def test_rows_know_their_lines_whatever_lies_between(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('\n\na,b,\n"1\n2",\'=x,\n\n  \n3\n', encoding="utf-8")
    rows = read_csv(path)
    assert rows == [{"a": "1\n2", "b": "=x"}, {"a": "3", "b": ""}]
    assert [row.line for row in rows] == [5, 8]


@SAME_FOLDER
@given(edit=EDIT)
def test_an_edited_csv_file_is_a_table_or_is_refused(tmp_path, edit):
    path = tmp_path / "t.csv"
    path.write_bytes(edited_csv("a,b,c\n1,x,é\n2,y,\n3,z,w\n".encode(), edit))
    refusal(lambda: read_csv(path), path)
    refusal(lambda: read_frame(path), path)


@pytest.mark.parametrize("cell", CELLS, ids=range(len(CELLS)))
def test_a_name_of_any_length_has_a_near_miss_at_once(cell):
    known = [f"student {i}" for i in range(2000)]
    assert len(unknown("student", cell, known)) < 500


# ---- what complaints repeat ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\x1b[2Jb", "a\\x1b[2Jb"), ("a\n  b", "a b"), ("\u202egnp", "\\u202egnp"),
        ("\ud800", "\\ud800"), ("Şükrü – 1\u00a0%", "Şükrü – 1\u00a0%"),
    ],
)  # fmt: skip
def test_a_complaint_is_one_line_that_any_terminal_may_print(text, line):
    assert BadInput(text).args == (line,)
    assert len(BadInput(text * 10_000).args[0]) < 2001


def test_a_parquet_file_of_texts_that_stand_there_often_is_counted_before_it_is_read(
    tmp_path, monkeypatch
):
    """A few thousand bytes may say that a long text stands in a million rows."""
    path = tmp_path / "t.parquet"
    texts = pa.DictionaryArray.from_arrays(pa.array([0, 0, 1] * 1000), ["x" * 5000, "y"])
    pq.write_table(pa.table({"a": texts.cast(pa.string()), "n": list(range(3000))}), path)
    assert path.stat().st_size < 50_000
    assert len(read_table(path)) == 3000
    monkeypatch.setattr("cibench.utils.foreign.LARGEST_TABLE", 10_001_000)
    assert len(read_table(path)) == 3000  # 2,000 * 5,000 + 1,000
    monkeypatch.setattr("cibench.utils.foreign.LARGEST_TABLE", 10_000_999)
    with pytest.raises(BadInput, match="over 10,000,999 bytes of texts"):
        read_table(path)


def test_a_parquet_file_of_lists_is_refused_by_column(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": [1.0], "b": [[1.0, 2.0]]}), path)
    with pytest.raises(BadInput, match=r"t.parquet: column 'b' holds lists or tables"):
        read_table(path)
