"""Run folders as strangers hand them in: status, scores and report, or lines that refuse them."""

import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile import (
    EDIT,
    SAME_FOLDER,
    VALUES,
    edited_bytes,
    edited_csv,
    edited_json,
    nothing_changes,
    pipe,
    refusal,
)
from hypothesis import given
from hypothesis import strategies as st

import cibench
from cibench.execution.progress import look
from cibench.storage import shard_checks, shards
from cibench.storage.manifest import CATALOGUE, MANIFEST, PUBLISHED, SUITE, read_manifest
from cibench.storage.schema import TYPES
from cibench.utils.files import json_text

SPEC = {
    "name": "small", "seed": 1, "replicates": 6, "compare": "rd/global-polynomial",
    "cells": [{
        "scenario": "rd/cct-1", "n": 60, "dials": {"sorting": [0.0, 0.4]},
        "estimators": ["rd/global-polynomial", "rd/local-linear"],
        "expect": {"floor": 0.8},
    }],
}  # fmt: skip
FIGURES = """scenario,n,estimator,measure,value,replicates,source
rd/cct-1,60,rd/local-linear,rmse,0.25,100,T1
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run a small suite with published figures."""
    folder = tmp_path_factory.mktemp("foreign")
    (folder / "figures.csv").write_text(FIGURES)
    spec = {**SPEC, "published": str(folder / "figures.csv")}
    return cibench.run(spec, out=folder / "run").folder


@pytest.fixture
def stranger(run, tmp_path):
    """Copy the run to where a test may do to it what it likes."""
    shutil.copytree(run, tmp_path / "run")
    return tmp_path / "run"


def read(folder: Path, *, whole: bool = True) -> None:
    """Read a run folder as `status` and `score` do, or the tables of `score` that cost little."""
    look(folder)
    run = cibench.load(folder)
    if whole:
        run.write_scores()
    else:
        assert all(len(run.tables[name]) >= 0 for name in ("scores", "expectations", "failures"))


def refused(folder: Path, *, whole: bool = True) -> list[str]:
    with nothing_changes(folder.parent, but=folder.name):
        return refusal(lambda: read(folder, whole=whole), folder)


def damaged(
    folder: Path, whole: Path, name: str, content: bytes, *, every_table: bool = False
) -> list[str]:  # fmt: skip
    """Read a folder in which one file holds something else, and put that right again."""
    (folder / name).write_bytes(content)
    try:
        return refused(folder, whole=every_table)
    finally:
        shutil.copy(whole / name, folder / name)


FILES = (MANIFEST, CATALOGUE, SUITE, PUBLISHED, "replicates/cells-00000-00001-00000.parquet")
NOTES = (MANIFEST, CATALOGUE, ".status.json")


@pytest.fixture(scope="module")
def copies(run, tmp_path_factory):
    """Copy the run to where every example does one thing to one file."""
    folder = tmp_path_factory.mktemp("edited") / "run"
    shutil.copytree(run, folder)
    return folder


@SAME_FOLDER
@given(edit=EDIT, name=st.sampled_from([*NOTES, SUITE, PUBLISHED]))
def test_an_edited_note_is_read_or_refused(run, copies, edit, name):
    content = (run / name).read_bytes()
    if name.endswith(".json"):
        content = edited_json(content, edit)
    else:
        content = (edited_csv if name == PUBLISHED else edited_bytes)(content, edit)
    damaged(copies, run, name, content, every_table=edit[2] % 12 == 0)


@SAME_FOLDER
@given(edit=EDIT)
def test_an_edited_shard_is_read_or_refused(run, copies, edit):
    name = f"replicates/{shards.paths(run)[0].name}"
    damaged(copies, run, name, edited_bytes((run / name).read_bytes(), edit))


CELLS = st.sampled_from([v for v in VALUES if isinstance(v, str)][:12]) | st.sampled_from(
    [None, -1, 0, 2**62, -(2**62), 1e308, -1e308, float("inf"), float("nan"), True, 0.5, 3,
     "{}", "[]", '{"sorting": "x"}', '{"sorting": {"a": []}}', '{"sorting": 1e999}', '{"a": 0.4}',
     b"\xff\xfe", [1, 2], {"a": 1}, "declined", "ok", "rd/none"]
)  # fmt: skip


@SAME_FOLDER
@given(column=st.sampled_from(list(TYPES)), value=CELLS, row=st.none() | st.integers(0, 11))
def test_a_shard_with_any_value_in_any_column_is_read_or_refused(run, copies, column, value, row):
    """In one row, or in all of them."""
    path = shards.paths(run)[0]
    table = pq.read_table(path)
    cells = table[column].to_pylist()
    cells = [value if row in (None, at) else cell for at, cell in enumerate(cells)]
    try:
        changed = (
            pa.array(cells) if row is None else pa.array(cells, table.schema.field(column).type)
        )
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return
    place = table.column_names.index(column)
    to = io.BytesIO()
    pq.write_table(table.set_column(place, column, changed), to)
    damaged(copies, run, f"replicates/{path.name}", to.getvalue())


# ---- the smallest cases ----------------------------------------------------------------------


def test_each_edit_of_a_manifest_is_one_line_or_none(stranger, run):
    """Of 78 such edits 17 were tracebacks."""
    manifest = json.loads((run / MANIFEST).read_text())
    for key in manifest:
        for value in (None, -1, 10**400, "x", [], {}, [{}]):
            (stranger / MANIFEST).write_text(json_text({**manifest, key: value}))
            assert len(refused(stranger, whole=False)) <= len(manifest)
        less = {k: v for k, v in manifest.items() if k != key}
        (stranger / MANIFEST).write_text(json_text({**less, f"{key}s": manifest[key]}))
        lines = refused(stranger, whole=False)
        assert len(lines) <= 1 and all(f"{key}: is missing; is it '{key}s'?" in x for x in lines)


@pytest.mark.parametrize("name", [*FILES, "replicates"])
def test_a_link_in_a_run_folder_is_not_followed(stranger, tmp_path, name):
    (stranger / name).rename(tmp_path / "elsewhere")
    (stranger / name).symlink_to(tmp_path / "elsewhere")
    (line,) = refused(stranger)
    assert f"{name} is a link, which is not followed" in line


@pytest.mark.parametrize("name", FILES)
def test_a_pipe_in_a_run_folder_is_not_waited_for(stranger, name):
    pipe(stranger / name)
    (line,) = refused(stranger)
    assert line.endswith(f"{name}: no file, but a pipe")


def test_a_pipe_for_a_status_is_no_status(stranger):
    pipe(stranger / ".status.json")
    assert look(stranger).state == "finished"


@pytest.mark.parametrize("name", ["replicates", "superseded", "damaged", "plots", "tables"])
def test_nothing_is_written_through_a_link(stranger, tmp_path, name):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine.txt").write_text("mine")
    shutil.rmtree(stranger / name, ignore_errors=True)
    (stranger / name).symlink_to(outside)
    changed = {**SPEC, "replicates": 3}

    def everything():
        cibench.load(stranger).write_report()
        cibench.run(changed, out=stranger, update=True)

    with nothing_changes(tmp_path, but="run"):
        lines = refusal(everything, stranger)
    assert any(f"{name} is a link, which is not followed" in line for line in lines)


def test_a_shard_that_declares_more_rows_than_a_shard_has_is_not_read(stranger, monkeypatch):
    """A few hundred bytes declare 10^12 of them."""
    path = shards.paths(stranger)[0]
    table = pq.read_table(path)
    monkeypatch.setattr(shard_checks, "MOST_ROWS", table.num_rows - 1)
    monkeypatch.setattr(pq.ParquetFile, "read", None)  # it never comes to that
    (line,) = refused(stranger)
    assert "it declares 24 rows; a shard has 23 at most" in line


def test_a_text_that_is_repeated_without_end_is_not_decoded(stranger):
    path = shards.paths(stranger)[0]
    table = pq.read_table(path)
    long = pa.array(["x" * 200_000] * table.num_rows)
    place = table.column_names.index("reason")
    pq.write_table(table.set_column(place, "reason", long), path)
    (line,) = refusal(lambda: cibench.load(stranger).replicates)
    assert "its column 'reason' holds a text of 200,000 letters" in line


def test_a_stranger_moves_no_cursor(stranger):
    """Names out of a shard or a manifest are printed."""
    path = shards.paths(stranger)[0]
    table = pq.read_table(path)
    names = pa.array(["\x1b]0;x\x07"] * table.num_rows)
    place = table.column_names.index("estimator")
    pq.write_table(table.set_column(place, "estimator", names), path)
    (line,) = refused(stranger)
    assert "its column 'estimator' holds" in line


def test_estimates_beyond_squares_are_scored_without_a_word(stranger):
    path = shards.paths(stranger)[0]
    table = pq.read_table(path)
    for column in ("estimate", "std_error", "ci_low", "ci_high"):
        place = table.column_names.index(column)
        huge = pa.array(np.where(np.arange(table.num_rows) % 2, 1e308, -1e308))
        pq.write_table(table.set_column(place, column, huge), path)
        assert not refused(stranger)


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_one_line(stranger):
    (stranger / MANIFEST).chmod(0)
    (line,) = refusal(lambda: read_manifest(stranger))
    assert line.endswith("manifest.json: Permission denied")
