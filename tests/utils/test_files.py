"""The one writer of files: whole or not at all, UTF-8, one line where it cannot be."""

from __future__ import annotations

import ast
import csv
import errno
import io
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import python
from hypothesis import given
from hypothesis import strategies as st

import cibench
from cibench.utils import files
from cibench.utils.errors import BadInput, Unwritable
from cibench.utils.files import (
    as_cell,
    csv_text,
    from_cell,
    json_text,
    make_folder,
    write_bytes,
    write_csv,
    write_folder,
    write_json,
    write_private,
    write_text,
)
from cibench.utils.foreign import read_csv, read_frame
from cibench.utils.leftovers import temporary

TEXT = "Şükrü 中文\r\nsecond\n"
TABLE = pd.DataFrame({"a": [1.0, np.nan], "b": ["x,y", "é"]})
WRITERS = {
    "text": lambda path: write_text(path, TEXT), "bytes": lambda path: write_bytes(path, b"\0\r\n"),
    "json": lambda path: write_json(path, {"é": 1}), "csv": lambda path: write_csv(path, TABLE),
    "private": lambda path: write_private(path, TEXT),
    "folder": lambda path: write_folder(path, {"a/b": TEXT}),
}  # fmt: skip


def test_texts_are_utf8_with_the_line_ends_that_they_have(tmp_path):
    write_text(tmp_path / "t", TEXT)
    write_private(tmp_path / "p", TEXT)
    write_folder(tmp_path / "f", {"a/b": TEXT})
    for name in ("t", "p", "f/a/b"):
        assert (tmp_path / name).read_bytes() == TEXT.encode()
    write_json(tmp_path / "j", {"b": ["é"]})
    assert (tmp_path / "j").read_bytes() == '{\n "b": [\n  "é"\n ]\n}\n'.encode()
    assert json_text({"b": ["é"]}) == (tmp_path / "j").read_text(encoding="utf-8")


def test_a_text_may_come_in_pieces_and_is_whole_or_not_at_all(tmp_path):
    path = tmp_path / "x"
    write_text(path, (f"{letter}\n" for letter in "äbc"))
    assert path.read_bytes() == "ä\nb\nc\n".encode()

    def broken():
        yield "new"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_text(path, broken())
    with pytest.raises(Unwritable, match="x: its text holds what is no character"):
        write_text(path, ["new", "\ud800"])
    assert path.read_bytes() == "ä\nb\nc\n".encode() and list(tmp_path.iterdir()) == [path]


def test_tables_are_csv_with_line_feeds(tmp_path):
    write_csv(tmp_path / "t.csv", TABLE)
    assert (tmp_path / "t.csv").read_bytes() == 'a,b\n1.0,"x,y"\n,é\n'.encode()
    assert csv_text(TABLE) == csv_text([["a", "b"], [1.0, "x,y"], ["", "é"]])
    write_csv(tmp_path / "t.csv", TABLE, blank="nan")
    assert (tmp_path / "t.csv").read_text(encoding="utf-8").endswith("\nnan,é\n")


RUNS = ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3+cmd|' /C calc'!A0", "\t=1", "\r=1", "-x"]
DATA = ["-1 to 0", "-0.5", "+1.5e3", "-,5", "a=b", "x@y", "'twas", "", "-", "North", "- 3"]


def test_no_cell_of_a_table_is_a_formula_and_reading_undoes_that(tmp_path):
    for text in RUNS:
        assert as_cell(text) == f"'{text}" and from_cell(as_cell(text)) == text
    for text in DATA:
        assert as_cell(text) == text and from_cell(text) == text
    table = pd.DataFrame({"=head": [*RUNS, *DATA], "x": -1.5})
    write_csv(tmp_path / "t.csv", table)
    assert (tmp_path / "t.csv").read_bytes() == csv_text(table).encode()
    content = csv_text([table.columns, *table.itertuples(index=False)])
    for text in (content, csv_text(table)):
        rows = list(csv.reader(io.StringIO(text, newline="")))
        assert not [cell for row in rows for cell in row if cell[:1] in set("=@\t\r")]
        assert rows[0][0] == "'=head" and {row[1] for row in rows[1:]} == {"-1.5"}
    read = read_csv(tmp_path / "t.csv")
    assert [row["=head"] for row in read] == [*RUNS, *DATA]
    assert read_frame(tmp_path / "t.csv")["=head"].tolist()[:3] == RUNS[:3]


@given(st.text(alphabet="'=+-@\t1a|(", max_size=6) | st.text())
def test_every_text_comes_back_as_it_was(text):
    cell = as_cell(text)
    assert from_cell(cell) == text
    assert cell[:1] not in set("=@\t\r")


def test_a_private_table_is_for_its_owner_alone(tmp_path):
    write_csv(tmp_path / "t.csv", TABLE, private=True)
    write_csv(tmp_path / "u.csv", TABLE)
    assert (tmp_path / "t.csv").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "u.csv").stat().st_mode & 0o044


def test_the_locale_does_not_matter(tmp_path):
    code = (
        "import locale, sys\nfrom pathlib import Path\nfrom cibench.utils import files\n"
        "assert locale.getencoding() not in ('UTF-8', 'utf-8'), locale.getencoding()\n"
        f"text, here = {TEXT!a}, Path(sys.argv[1])\n"
        "files.write_text(here / 't', text)\nfiles.write_private(here / 'p', text)\n"
        "files.write_folder(here / 'f', {'x': text})\n"
    )
    places = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = python("-c", code, tmp_path, env=places)
    assert done.returncode == 0, done.stderr
    for name in ("t", "p", "f/x"):
        assert (tmp_path / name).read_bytes() == TEXT.encode()


@pytest.mark.parametrize("name", WRITERS)
def test_what_cannot_be_written_is_one_line_that_names_the_file(tmp_path, name):
    path = tmp_path / "none" / "x" if name != "folder" else tmp_path / "taken"
    if name == "folder":
        path.mkdir()
        (path / "other").touch()
    with pytest.raises(BadInput) as error:
        WRITERS[name](path)
    assert isinstance(error.value, Unwritable)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)
    assert isinstance(error.value.__cause__, OSError)


@pytest.mark.parametrize("name", [*WRITERS])
def test_a_disk_that_is_full_half_way_leaves_what_was_there(tmp_path, monkeypatch, name):
    path = tmp_path / "x"
    before = {"x": b"before"} if name not in ("private", "folder") else {}
    for old, content in before.items():
        (tmp_path / old).write_bytes(content)

    class Full:
        def __init__(self, descriptor, *_, **__):
            self.file = io.FileIO(descriptor, "wb")

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, content):
            self.file.write(content[:3])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def full_table(self, to, **_):
        to.write(b"a,b")

    monkeypatch.setattr(files.os, "fdopen", Full)
    monkeypatch.setattr(pd.DataFrame, "to_csv", full_table)
    with pytest.raises(Unwritable, match="x: No space left on device"):
        WRITERS[name](path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_text_that_no_file_can_hold_is_one_line_and_changes_nothing(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"before")
    for write in (write_text, write_json):
        with pytest.raises(Unwritable, match="x: its text holds what is no character"):
            write(path, "a\ud800")
    assert path.read_bytes() == b"before" and len(list(tmp_path.iterdir())) == 1


def test_private_files_are_for_their_owner_and_never_over_another(tmp_path):
    old = os.umask(0)
    try:
        write_private(tmp_path / "p", "1")
        write_text(tmp_path / "t", "1", private=True)
        write_text(tmp_path / "public", "1")
        write_folder(tmp_path / "f", {"key": "1", "data": "1"}, private=("key",))
    finally:
        os.umask(old)
    modes = {p.name: p.stat().st_mode & 0o777 for p in tmp_path.rglob("*") if p.is_file()}
    assert modes == {"p": 0o600, "t": 0o600, "key": 0o600, "public": 0o666, "data": 0o666}
    with pytest.raises(Unwritable, match="p: File exists"):
        write_private(tmp_path / "p", "2")
    assert (tmp_path / "p").read_text() == "1"


def test_what_a_killed_process_left_does_not_matter(tmp_path):
    temporary(tmp_path / "x").write_text("half")
    left = temporary(tmp_path / "f")
    left.mkdir()
    (left / "old").touch()
    write_text(tmp_path / "x", "whole")
    write_folder(tmp_path / "f", {"new": "1"})
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["f", "new", "x"]


def test_folders_are_made_with_those_above_them(tmp_path):
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "c").touch()
    with pytest.raises(Unwritable, match="c: File exists"):
        make_folder(tmp_path / "c")


# Nobody writes past it

ENGINE = Path(cibench.__file__).parent
ALLOWED = {
    "analysis/comparisons.py": "open",  # a Parquet file, put in place by write_atomically
    "external/helpers/cibench.py": "fdopen",  # its standard output
    "external/wire.py": "write_bytes",  # the data of one request, in a temporary folder
    "results/replication_package.py": "ZipFile",  # put in place by write_atomically
    "storage/claim.py": "write",  # a claim is linked to its name, never put over another
    "storage/lock.py": "write",  # the lock's own file, by its descriptor
    "twins/file.py": "ZipFile",  # a zip, put in place by write_atomically
}
METHODS = {"write_text", "write_bytes", "to_csv", "savetxt"}
FUNCTIONS = {("os", "write"), ("csv", "writer"), ("csv", "DictWriter"), ("json", "dump")}


def opens_to_write(call: ast.Call) -> bool:
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    modes = [a.value for a in arguments if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    return any(set(mode) <= set("rwaxbt+") and set(mode) & set("wax+") for mode in modes)


def written_past(path: Path) -> set[str]:
    """Return the calls by which a module writes text to a file itself."""
    found = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Call):
            *of, name = ast.unparse(node.func).split(".")
            method = name in METHODS and bool(of)
            opened = name in {"open", "fdopen", "ZipFile"} and opens_to_write(node)
            if method or opened or (of[-1:] and (of[-1], name) in FUNCTIONS):
                found.add(name)
    return found


def test_all_text_of_the_engine_goes_through_one_writer():
    past = {
        str(path.relative_to(ENGINE)): written_past(path)
        for path in ENGINE.rglob("*.py") if path != ENGINE / "utils" / "files.py"
    }  # fmt: skip
    assert {name: calls for name, calls in past.items() if calls} == {
        name: {call} for name, call in ALLOWED.items()
    }


@pytest.mark.parametrize("code", [
    "p.write_text('x')", "open(p, 'w')", "open(p, mode='ab')", "p.open('x')", "t.to_csv(p)",
    "os.fdopen(d, 'w')", "csv.writer(f)", "json.dump(x, f)",
])  # fmt: skip
def test_a_module_that_writes_itself_would_be_seen(tmp_path, code):
    (tmp_path / "m.py").write_text(code)
    assert written_past(tmp_path / "m.py")
    (tmp_path / "m.py").write_text("open(p)\nopen(p, 'rb')\nwrite_text(p, x)\np.read_text()\n")
    assert not written_past(tmp_path / "m.py")
