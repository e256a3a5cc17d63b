"""The list of tables: what a run offers, writes, documents and tells comes from it, in one pass."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from replicates import put_apart

import cibench
from cibench.report import page
from cibench.results import TABLES, Run
from cibench.storage import shards

HERE = Path(__file__).parents[2]
PLUGIN = '''
"""A method with a seed of its own, which fails at times."""
from cibench import Estimand, Estimate, estimator

@estimator("tables/noisy", targets=(Estimand.ATT,))
def noisy(problem, rng):
    if problem.outcome[0] > 1.5:
        raise ValueError("too large")
    return Estimate.wald(0.5 + 0.1 * rng.normal(), 0.1, problem.level)
'''
SPEC = {
    "name": "tables", "seed": 4, "replicates": 12,
    "refits": {"replicates": 4, "times": 2},
    "cells": [
        {"scenario": "did/two-group", "n": [12, 16], "dials": {"trend": [0.2, 0.4]},
         "estimators": ["panel/twfe", "oracle/experiment", "panel/pre-trends", "tables/noisy"],
         "equal": ["panel/twfe", "oracle/experiment"]},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Return a run folder of six cells with three shards each."""
    folder = tmp_path_factory.mktemp("tables") / "run"
    plugin = folder.with_name("noisy.py")
    plugin.write_text(PLUGIN)
    cibench.run({**SPEC, "plugins": [str(plugin)]}, folder)
    put_apart(folder, 3)
    return folder


@pytest.fixture
def opened(monkeypatch):
    """Count how often the rows of each shard are read, by whatever way; its footer is no row."""
    import pyarrow.parquet as pq

    counts, real, places = Counter(), pq.ParquetFile.__init__, {}

    def opening(self, source, *args, **kwargs):
        places[id(self)] = Path(str(source)).name
        real(self, source, *args, **kwargs)

    def reading(name):
        method = getattr(pq.ParquetFile, name)

        def counted(self, *args, **kwargs):
            if places.get(id(self), "").startswith("cell-"):
                counts[places[id(self)]] += 1
            return method(self, *args, **kwargs)

        monkeypatch.setattr(pq.ParquetFile, name, counted)

    monkeypatch.setattr(pq.ParquetFile, "__init__", opening)
    for name in ("read", "read_row_group", "read_row_groups", "iter_batches"):
        reading(name)
    return counts


def test_scores_and_report_read_each_shard_once(stored, opened):
    run = cibench.load(stored)
    run.write_scores()
    run.write_report()
    names = [path.name for path in shards.paths(stored)]
    assert len(names) == 18 and opened == Counter(names)


def test_a_report_alone_reads_each_shard_once_and_so_does_any_table(stored, opened):
    cibench.load(stored).write_report()
    assert set(opened.values()) == {1} and len(opened) == 18
    for table in TABLES:
        opened.clear()
        run = cibench.load(stored)
        getattr(run, table.name)
        getattr(run, table.name)
        assert set(opened.values()) == (set() if table.name == "comparison" else {1}), table.name


def test_a_table_is_the_same_alone_and_in_the_pass_of_all(stored):
    whole = cibench.load(stored)
    whole.tables.prepare_scores()
    for table in TABLES:
        alone, found = getattr(cibench.load(stored), table.name), getattr(whole, table.name)
        if table.name == "comparison":
            assert alone is found is None
            continue
        pd.testing.assert_frame_equal(alone, found, check_exact=True)
        assert table.name in ("calibration", "process_changes", "repeated") or len(found), (
            table.name
        )


def test_the_comparisons_that_a_report_shows_are_some_of_all(stored):
    few, every = cibench.load(stored), cibench.load(stored)
    every.tables.prepare_scores()
    pd.testing.assert_frame_equal(few.tables.shown_pairs, every.tables.shown_pairs)
    assert 0 < len(few.tables.shown_pairs) < len(every.pairs) / 2


def test_the_attributes_of_a_run_are_the_tables_of_the_list():
    names = {table.name for table in TABLES}
    assert len(names) == len({table.file for table in TABLES}) == len(TABLES)
    assert names <= set(dir(Run))
    described = [n for n, value in vars(Run).items() if type(value).__name__ == "_TableOf"]
    assert {*described, "comparison"} == names
    assert Run.scores.__doc__ == f"scores.csv: {TABLES[0].meaning}."


def test_a_folder_gets_the_files_of_the_list(stored):
    run = cibench.load(stored)
    for path in (*stored.glob("*.csv"), *stored.glob("*.parquet")):
        path.unlink()
    assert run.write_scores() == stored / "scores.csv"
    written = {path.name for path in (*stored.glob("*.csv"), *stored.glob("*.parquet"))}
    assert {t.file for t in TABLES} - written == {
        "calibration.csv",
        "comparison.csv",
        "process_changes.csv",
        "repeated.csv",
    }
    for table in TABLES:
        if table.file in written and table.file.endswith(".csv"):
            assert len(pd.read_csv(stored / table.file)) == len(getattr(run, table.name))
    assert len(pd.read_parquet(stored / "pairs.parquet")) == len(run.pairs)


def test_readme_lists_every_file_as_the_list_describes_it():
    readme = (HERE / "README.md").read_text(encoding="utf-8")
    part = readme.split("## A run folder")[1].split("\n## ")[0]
    listed = dict(re.findall(r"^\| `([^`]*)` \| (.*) \|$", part, flags=re.M))
    assert {t.file: listed.get(t.file) for t in TABLES} == {t.file: t.meaning for t in TABLES}


def test_the_sections_of_a_report_tell_every_table_and_name_no_other_file():
    sections = (*page.OPENING, *page.CLOSING)
    told = {*page.OF_SCENARIO, *(name for section in sections for name in section.tables)}
    assert told == {table.name for table in TABLES}
    sources = Path(page.__file__).parent.rglob("*.py")
    named = {
        name for path in sources
        for name in re.findall(r"\b\w+\.(?:csv|parquet)\b", path.read_text(encoding="utf-8"))
    }  # fmt: skip
    assert named and named <= {table.file for table in TABLES}


def test_a_type_checker_sees_what_the_attributes_hold(tmp_path):
    (tmp_path / "user.py").write_text(
        "import cibench\n"
        "run = cibench.load('x')\n"
        "reveal_type(run.scores)\nreveal_type(run.pairs)\nreveal_type(run.comparison)\n"
    )
    pytest.importorskip("mypy")
    call = [sys.executable, "-m", "mypy", "--follow-imports=silent", "user.py"]
    told = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=False).stdout
    frame = "pandas.core.frame.DataFrame"
    assert re.findall(r'type is "([^"]*)"', told) == [frame, frame, f"{frame} | None"], told
