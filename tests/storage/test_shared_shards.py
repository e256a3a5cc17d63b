"""Neighbouring small cells share a shard: what is done to files grows with rows, not with cells."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from replicates import assert_same_rows, put_apart

from cibench.cli.display import show_status
from cibench.execution import RunSettings, Tuning, execute
from cibench.execution.progress import STATUS, CellProgress, Progress, Status, Watch, look
from cibench.storage import cells, shards
from cibench.storage.schema import ADDRESS
from cibench.storage.session import opened
from cibench.storage.shards import Span, place, span_of
from cibench.storage.writer import Writer, neighbours
from cibench.suite.parse import parse_suite

ORDER = ["n", "replicate"]


def suite_of(sizes, replicates=2, **more):
    cell = {"scenario": "did/two-group", "n": list(sizes), "estimators": "did/collapsed"}
    counts = {"replicates": replicates} if replicates else {}
    return parse_suite({"name": "t", "seed": 1, **counts, "cells": [cell], **more})


def run(suite, folder, **tuning):
    paces = {"flush_seconds": 1e9, "block_seconds": 1e-9, **tuning}
    execute(suite, folder, RunSettings(checks=False, tuning=Tuning(**paces)))
    rows = pd.read_parquet(folder / "replicates")
    assert not rows.duplicated(list(ADDRESS)).any()
    return rows


def names(folder):
    return [path.name for path in shards.paths(folder)]


@pytest.fixture
def operations(monkeypatch):
    """Count what is done to the files of a run."""
    counts = Counter()

    def counted(owner, name):
        real = getattr(owner, name)

        def call(*words, **more):
            counts[name] += 1
            return real(*words, **more)

        monkeypatch.setattr(owner, name, call)

    for owner, name in ((os, "fsync"), (shards, "read"), (shards, "write")):
        counted(owner, name)
    return counts


def test_ten_times_as_many_small_cells_take_as_many_file_operations(tmp_path, operations):
    run(suite_of(range(10, 16)), tmp_path / "few")
    few = +operations
    operations.clear()
    rows = run(suite_of(range(10, 70)), tmp_path / "many")
    assert operations == few and few["write"] == 1
    assert names(tmp_path / "many") == ["cells-00000-00059-00000.parquet"]
    operations.clear()
    assert run(suite_of(range(10, 70)), tmp_path / "many").equals(rows)
    assert operations["read"] == 1 and not operations["write"] + operations["fsync"]
    operations.clear()
    assert look(tmp_path / "many").state == "finished" and operations["read"] == 1


def test_cells_share_a_shard_as_long_as_all_their_rows_go_into_one():
    suite = suite_of(range(10, 20), 30)
    assert neighbours(suite, 29) == [Span(cell, cell) for cell in range(10)]
    assert neighbours(suite, 119)[:4] == [Span(0, 2)] * 3 + [Span(3, 5)]
    assert neighbours(suite, 120)[-3:] == [Span(4, 7), *[Span(8, 9)] * 2]
    repeated = suite_of(range(10, 20), 30, refits={"replicates": 10, "times": 3})
    assert neighbours(repeated, 120)[:3] == [*[Span(0, 1)] * 2, Span(2, 3)]  # 60 rows each
    precise = suite_of(range(10, 20), None, precision={"bias": 0.1}, max_replicates=40)
    assert neighbours(precise, 119)[:3] == [*[Span(0, 1)] * 2, Span(2, 3)]


@pytest.mark.parametrize("span", [Span(3, 3), Span(0, 99_999), Span(7, 123_456)])
def test_a_name_says_which_cells_a_shard_may_have(tmp_path, span):
    assert span_of(place(tmp_path, span, 12)) == span
    assert shards.part_of(place(tmp_path, span, 12)) == 12


def test_shards_come_by_their_cells_and_not_by_their_names_letters(tmp_path):
    spans = [Span(5, 5), Span(99_999, 99_999), Span(100_000, 100_001)]
    (tmp_path / "replicates").mkdir()
    for span in spans:
        place(tmp_path, span, 0).touch()
    assert [span_of(path) for path in shards.paths(tmp_path)] == spans
    for stranger in ("part-0.parquet", "cell-1-0.parquet", "cells-00000-00001.csv"):
        assert span_of(tmp_path / stranger) is None


EDITS = {
    "more replicates": ([20, 30, 40], 5),
    "cells between and after": ([20, 25, 30, 40, 50], 3),
    "another order": ([40, 20, 30], 3),
    "all of it": ([50, 40, 25, 20, 30], 7),
}


@pytest.mark.parametrize("rows", [1, 6, 7, 2**16])
@pytest.mark.parametrize("edit", EDITS.values(), ids=list(EDITS))
def test_a_run_goes_on_whatever_cells_its_shards_have(tmp_path, edit, rows):
    """From shards of one cell, of some and of all to those of the ordinary size, and back."""
    sizes, replicates = edit
    later = suite_of(sizes, replicates)
    fresh = run(later, tmp_path / "fresh").sort_values(ORDER)
    for name, first, then in (("there", rows, 2**16), ("back", 2**16, rows)):
        folder = tmp_path / name
        run(suite_of([20, 30, 40], 3), folder, shard_rows=first)
        assert_same_rows(run(later, folder, shard_rows=then).sort_values(ORDER), fresh)
        found = {cell.part.names[0]["n"]: cell.table for cell in cells(folder)}
        assert sorted(found) == sorted(sizes)
        for n, table in found.items():
            assert set(table["n"].to_pylist()) == {n}
            assert sorted(table["replicate"].to_pylist()) == list(range(replicates))
        with opened(folder, later) as session:
            assert session.complete
        for path in shards.paths(folder):
            own = shards.read(path)["n"].to_numpy()
            at = [sizes.index(n) for n in own]
            assert at == sorted(at), "cells come in the suite's order"
            assert span_of(path).covers(Span(min(at), max(at)))


def test_an_extension_is_read_without_holding_all_of_it(tmp_path, monkeypatch):
    """One shard has old rows of all cells, and each cell new ones in shards of its own."""
    sizes = list(range(10, 40))
    run(suite_of(sizes, 2), tmp_path / "r")
    run(suite_of(sizes, 12), tmp_path / "r", shard_rows=12)
    read, real = [], shards.read

    def reading(path, *more):
        read.append(path.name)
        return real(path, *more)

    monkeypatch.setattr(shards, "read", reading)
    found = []
    for cell in cells(tmp_path / "r"):
        found.append(cell.part.names[0]["n"])
        assert cell.table.num_rows == 12
        assert len(set(read)) <= 31 and len(read) <= 31 + 1 + len(found) + 3  # the plan, then these
    assert found == sizes
    assert max(Counter(read).values()) == 2


def test_only_shards_of_the_cells_that_are_asked_for_are_read(tmp_path, operations):
    run(suite_of(range(10, 40), 6), tmp_path / "r", shard_rows=18)
    operations.clear()
    found = [cell.part.names[0]["n"] for cell in cells(tmp_path / "r", only=[4, 5, 29])]
    assert found == [13, 14, 15, 37, 38, 39] and operations["read"] == 2


def test_a_run_of_the_older_format_goes_on_where_it_is(tmp_path):
    """It has a shard for each cell, which stays; what is missing of the cells comes beside it."""
    run(suite_of(range(10, 16), 3), tmp_path / "r")
    put_apart(tmp_path / "r")
    old = {path.name: path.read_bytes() for path in shards.paths(tmp_path / "r")}
    assert list(old) == [f"cell-{cell:05d}-00000.parquet" for cell in range(6)]
    rows = run(suite_of(range(10, 16), 5), tmp_path / "r")
    assert {name: (tmp_path / "r/replicates" / name).read_bytes() for name in old} == old
    fresh = run(suite_of(range(10, 16), 5), tmp_path / "fresh")
    assert_same_rows(rows.sort_values(ORDER), fresh.sort_values(ORDER))
    assert [cell.part.names[0]["n"] for cell in cells(tmp_path / "r")] == list(range(10, 16))


def test_status_of_very_many_cells_shows_those_of_which_there_is_most_to_say(tmp_path, capsys):
    done = {"total": 6, "done": 6, "failures": 0}
    every = [{"name": f"cell {i}", **done} for i in range(2_000)]
    every[1_500] |= {"failures": 1}
    every[1_900] |= {"done": 3}
    every[1_950] |= {"done": 0}
    show_status(Status(tmp_path, "interrupted", "", 1, 2, 1, 0.0, None, every), "r")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 300 + 4
    named = " ".join(lines)
    assert all(f"cell {i} " in named for i in (0, 296, 1_500, 1_900, 1_950))
    assert lines[-2] == "and 1,700 more cells: 1,700 done; 0 fits without an answer"


def test_sums_of_progress_are_those_of_its_cells():
    rng = np.random.default_rng(1)
    every = [CellProgress(str(i), ("s", "{}", i, "{}"), 20) for i in range(9)]
    progress = Progress(every)
    progress.started -= 100
    for _ in range(60):
        place, rows = int(rng.integers(7)), int(rng.integers(3))
        progress.add(place, rows, int(rng.integers(2)), rng.random(), 20, 0)
        if _ == 30:
            progress.lengthen([25] * 9)
        busy, done = sum(c.seconds for c in every), sum(c.rows for c in every)
        assert progress.total == sum(c.total for c in every)
        assert progress.done == sum(c.done for c in every)
        assert progress.failures == sum(c.failures for c in every)
        assert progress.rate == pytest.approx(done / progress.elapsed, rel=1e-3)
        if done:
            pace = [c.seconds / c.rows if c.rows else busy / done for c in every]
            work = sum((c.total - c.done) * p for c, p in zip(every, pace, strict=True))
            assert progress.left == pytest.approx(work / (busy / progress.elapsed), rel=1e-3)


def test_a_note_of_many_cells_is_never_whole_in_memory(tmp_path):
    """A run of 10^5 cells would hold 60 MB for it, on top of all else, every few minutes."""
    every = [CellProgress(f"cell {i}", ("s", '{"bend":0.5}', i, "{}"), 20) for i in range(20_000)]
    watch = Watch(tmp_path, Progress(every))
    watch.note("running", at_once=True)  # imports what it needs
    tracemalloc.start()
    watch.note("interrupted", at_once=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    note = json.loads((tmp_path / STATUS).read_text())
    assert [cell["identity"][2] for cell in note["cells"]] == list(range(20_000))
    assert note["cells"][3] == {
        "name": "cell 3", "identity": ["s", '{"bend":0.5}', 3, "{}"], "total": 20, "done": 0,
        "failures": 0, "rows": 0, "seconds": 0.0, "stopped": "", "undrawn": 0,
    }  # fmt: skip
    assert peak < (tmp_path / STATUS).stat().st_size / 10


@pytest.mark.parametrize("most", [2, 3, 10**9])
def test_blocks_that_wait_together_are_the_same_rows(tmp_path, monkeypatch, most):
    """Each small table takes 20 KB: of many blocks that wait the driver keeps few."""
    monkeypatch.setattr("cibench.storage.writer.MOST_TABLES", most)
    waiting = []
    add = Writer.add

    def noted(self, cell, table):
        add(self, cell, table)
        waiting.append(max(map(len, self._waiting.values()), default=0))

    monkeypatch.setattr(Writer, "add", noted)
    rows = run(suite_of(range(20, 60)), tmp_path / "run")
    assert max(waiting) == min(most - 1, 80)
    monkeypatch.setattr("cibench.storage.writer.MOST_TABLES", 10**9)
    apart = run(suite_of(range(20, 60)), tmp_path / "other")
    assert_same_rows(rows, apart, order=ORDER)
