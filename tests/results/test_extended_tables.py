"""A run that has grown gives the tables of one that was of its size from the beginning."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

import cibench
from cibench.execution import RunSettings, Tuning, execute
from cibench.storage import cells, manifest, shards
from cibench.suite.parse import parse_suite

METHODS = ("naive/difference-in-means", "did/collapsed", "panel/twfe")


def suite(n=(20, 30), methods=METHODS, replicates=6, entries=None):
    one = {"scenario": "did/two-group", "n": list(n), "estimators": list(methods)}
    about = {"name": "t", "seed": 1, "replicates": replicates}
    return parse_suite({**about, "cells": entries or [one]})


def written(run: Path, suites, rows: int) -> dict[str, bytes]:
    """Run suites one after the other, with shards of so many rows; return the tables' files.

    How long fits took is made equal, the one thing in which rows of two runs differ.
    """
    for each in suites:
        settings = RunSettings(checks=False, tuning=Tuning(shard_rows=rows, block_seconds=1e-9))
        execute(each, run, settings)
    for path in shards.paths(run):
        table = shards.read(path)
        place = table.schema.get_field_index("seconds")
        seconds = pa.array([0.5] * table.num_rows)
        shards.write(path, table.set_column(place, table.schema.field(place), seconds))
    cibench.load(run).write_scores()
    return {path.name: path.read_bytes() for path in run.iterdir() if path.suffix in ENDINGS}


ENDINGS = (".csv", ".parquet")
SMALLER = {
    "replicates": suite(replicates=3),
    "a method at the end": suite(methods=METHODS[:2]),
    "a method before others": suite(methods=METHODS[1:]),
    "a method between others, and replicates": suite(methods=METHODS[::2], replicates=3),
    "methods in another order": suite(methods=METHODS[::-1]),
    "a cell before others": suite(n=[30]),
    "a cell after others": suite(n=[20]),
    "cells in another order": suite(n=[30, 20]),
    "all of it": suite(n=[30], methods=METHODS[2:], replicates=2),
}


@pytest.fixture(scope="module", params=[4, 2**16])
def whole(request, tmp_path_factory):
    return request.param, written(tmp_path_factory.mktemp("whole") / "r", [suite()], request.param)


@pytest.mark.parametrize("name", SMALLER)
def test_an_extended_run_has_the_tables_of_a_fresh_one(tmp_path, whole, name):
    rows, tables = whole
    again = written(tmp_path / "r", [SMALLER[name], suite()], rows)
    assert {"scores.csv", "failures.csv", "expectations.csv", "pairs.parquet"} <= set(tables)
    assert set(again) == set(tables)
    assert [name for name, content in tables.items() if again[name] != content] == []


def test_so_it_is_after_two_extensions_and_in_the_rows(tmp_path, whole):
    rows, tables = whole
    steps = [suite(n=[30], methods=METHODS[2:], replicates=2), suite(methods=METHODS[1:]), suite()]
    assert written(tmp_path / "r", steps, rows) == tables
    again = cibench.load(tmp_path / "r").replicates
    execute(suite(), tmp_path / "s", RunSettings(checks=False))
    fresh = cibench.load(tmp_path / "s").replicates
    names = ["n", "replicate", "estimator", "estimate"]
    assert again[names].equals(fresh[names])


def test_cells_that_contradict_each_other_have_each_their_own_order(tmp_path):
    cell = {"scenario": "did/two-group"}
    entries = [
        {**cell, "n": 20, "estimators": list(METHODS[:2])},
        {**cell, "n": 30, "estimators": list(METHODS[1::-1])},
    ]
    both = suite(entries=entries)
    assert manifest.entrants(both) == []
    execute(both, tmp_path / "r", RunSettings(checks=False))
    run = cibench.load(tmp_path / "r")
    order = [list(dict.fromkeys(c.table["estimator"].to_pylist())) for c in cells(run.folder)]
    assert order == [list(METHODS[:2]), list(METHODS[1::-1])]
    names = run.scores[["n", "estimator"]].to_numpy().tolist()
    assert [name for n, name in names if n == 30] == list(METHODS[1::-1])


def test_a_manifest_without_an_order_is_read_as_rows_were_stored(tmp_path):
    run = tmp_path / "r"
    execute(suite(methods=METHODS[1:]), run, RunSettings(checks=False))
    execute(suite(), run, RunSettings(checks=False, tuning=Tuning(shard_rows=4)))
    about = manifest.read_manifest(run)
    assert [name for name, _ in about.pop("entrants")] == list(METHODS)
    manifest.write_json(run / manifest.MANIFEST, about)
    assert set(cibench.load(run).scores["estimator"]) == set(METHODS)
    execute(suite(), run, RunSettings(checks=False))  # nothing to run: it is noted now
    assert manifest.read_manifest(run)["entrants"] == manifest.entrants(suite())
