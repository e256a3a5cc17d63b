"""Whichever file operation is the last of a process, the same command goes on and loses nothing."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kills import Story, tell
from replicates import assert_same_rows, mark_stored
from toys import plugin

import cibench
from cibench.challenge.sealed_truths import Owner
from cibench.cli import main
from cibench.execution import RunSettings, Tuning, execute
from cibench.gate import baseline
from cibench.gate.check import clear
from cibench.storage import cells, read_manifest, shards
from cibench.storage.object_store import fetch
from cibench.storage.schema import ADDRESS, schema
from cibench.suite.parse import parse_suite
from cibench.suite.suite import Suite
from cibench.twins import fit_twin, read_seed
from cibench.twins.design import Design
from cibench.twins.file import save_twin

POINTS = 12
"""Operations of each story at which its process ends here; `-m exhaustive` has all of them."""
LONG = {"scores and report": 4}
"""Stories that have fewer, since a page takes seconds."""
LONGER = {"replay"}
"""Stories that wait for `-m exhaustive`: each runs a script of its own."""

ORDER = ["n", "replicate", "estimator"]
CELL = {
    "scenario": "did/two-group", "n": [20, 30],
    "estimators": ["naive/difference-in-means", "did/collapsed"],
}  # fmt: skip


def suite(*, replicates: int | None = 6, seed: int = 1, more: Any = None, **cell: Any) -> Suite:
    counts = {} if replicates is None else {"replicates": replicates}
    about = {"name": "t", "seed": seed, **counts, **(more or {})}
    return parse_suite({**about, "cells": [{**CELL, **cell}]})


def precise(**more: Any) -> Suite:
    """Return a suite whose cells take more than one look, or more than their pilot."""
    asked = {"precision": {"bias": 0.08}, "max_replicates": 24, **more}
    return suite(replicates=None, more=asked)


def settings(*, shard_rows: int = 2**16, flush: float = 5.0, **more: Any) -> RunSettings:
    tuning = Tuning(shard_rows=shard_rows, flush_seconds=flush, block_seconds=1e-9, first_look=8)
    return RunSettings(checks=False, tuning=tuning, **more)


def nothing(folder: Path) -> None:
    """Leave the folder empty."""


SMALL = settings(shard_rows=4)
BOTH = settings()
"""Both cells in one shard."""
UPDATE, REPAIR = settings(shard_rows=4, update=True), settings(shard_rows=4, repair=True)


def runs(of: Suite, how: RunSettings = SMALL) -> Any:
    """Return a step that runs a suite in the folder `run`."""
    return lambda folder: execute(of, folder / "run", how)


def rows_in(*folders: Path) -> pd.DataFrame:
    tables = [shards.read(path).to_pandas() for f in folders for path in shards.paths(f)]
    return pd.concat(tables or [schema().empty_table().to_pandas()], ignore_index=True)


# Rows that were stored before say so in a column that may differ: who lost them and ran them again
# is found out.


def marked(*steps: Any) -> Any:
    """Return a step that takes others, and marks the rows that are stored then."""

    def prepare(folder: Path) -> None:
        for step in steps:
            step(folder)
        mark_stored(folder / "run")

    return prepare


def is_whole(folder: Path) -> None:
    """Assert that rows are read as they should be, wherever the run was ended."""
    run = folder / "run"
    if not shards.paths(run):
        return
    rows = rows_in(run)
    assert not rows.duplicated(list(ADDRESS)).any()
    assert sum(cell.table.num_rows for cell in cells(run)) == len(rows)


def keeps(count: int) -> Any:
    """Return what asserts that so many marked rows are in their place or aside."""

    def left(folder: Path) -> None:
        is_whole(folder)
        run = folder / "run"
        rows = rows_in(run, *(run / "superseded").glob("[!.]*"))
        assert len(rows[rows["seconds"] == -1].drop_duplicates(list(ADDRESS))) == count

    return left


def same_rows(folder: Path, whole: Path) -> None:
    """Assert that a run has the rows, and those that were stored before, of a whole one."""
    run, other = folder / "run", whole / "run"
    rows, others = rows_in(run), rows_in(other)
    assert_same_rows(rows, others, order=ORDER)
    assert (rows["seconds"] == -1).sum() == (others["seconds"] == -1).sum()
    assert Counter(p.name for p in shards.paths(run)) == Counter(
        p.name for p in shards.paths(other)
    )
    staying = (".lock", ".status.json", ".origins.json")
    left = [path for path in run.rglob(".*") if path.name not in staying]
    assert not left
    assert plugins_in(run) == plugins_in(other)
    assert not list(run.rglob("moving-*"))
    noted, of_other = read_manifest(run), read_manifest(other)
    assert noted["finished"] and noted["stored_rows"] == noted["expected_rows"]
    assert {k: v for k, v in noted.items() if k not in ("created", "finished")} == {
        k: v for k, v in of_other.items() if k not in ("created", "finished")
    }
    assert (run / "suite.toml").read_text() == (other / "suite.toml").read_text()


def plugins_in(run: Path) -> dict[str, str]:
    return {
        path.relative_to(run).as_posix(): path.read_text()
        for path in (run / "plugins").rglob("*") if path.is_file()
    }  # fmt: skip


def damaged(folder: Path) -> None:
    path = shards.paths(folder / "run")[1]
    path.write_bytes(path.read_bytes()[:-100])


# A run at a URL: a folder by URL, whose every operation is counted; the folder in which the run
# works is gone with the process.

OWN = """
@estimator("own/contrast", targets=ATE)
def contrast_of_means(problem, rng):
    \"\"\"The difference in means, and what a file beside says.\"\"\"
    margin = float(open(os.path.join(os.path.dirname(__file__), "margin.txt")).read())
    return Estimate.wald(contrast(problem) + EDITION, margin, problem.level)
"""


def own_plugin(edition: float = 0.0) -> Any:
    """Return a step that writes a plug-in and the file that it reads, or another edition."""

    def step(folder: Path) -> None:
        methods = f"EDITION = {edition}\n{OWN}"
        (folder / "own.py").write_text(plugin("own", methods))
        (folder / "margin.txt").write_text("0.2")

    return step


def own_runs(how: RunSettings = SMALL, url: bool = False) -> Any:
    """Return a step that runs a suite of the plug-in, in the folder `run` or by its URL."""

    def step(folder: Path) -> None:
        cell = {"scenario": "own/randomised", "n": [20, 30], "estimators": "own/contrast"}
        of = {"name": "t", "seed": 1, "replicates": 12, "plugins": ["own.py"], "cells": [cell]}
        if url:
            far_runs(parse_suite(of))(folder)
        else:
            execute(parse_suite(of), folder / "run", how)

    return step


def without_originals(folder: Path) -> None:
    """Assert that what the suite file names is whole, wherever the run was ended."""
    run = folder / "run"
    if (run / "suite.toml").exists():
        for name in tomllib.loads((run / "suite.toml").read_text())["plugins"]:
            assert "own/contrast" in (run / name).read_text()
            assert (run / name).with_name("margin.txt").read_text() == "0.2"
    is_whole(folder)


FAR = Tuning(block_seconds=1e-9, flush_seconds=0, shard_rows=4, copy_seconds=60, lease_seconds=0)
OFTEN = Tuning(block_seconds=1e-9, flush_seconds=0, shard_rows=4, copy_seconds=0.01,
               lease_seconds=0)  # fmt: skip


def far_runs(of: Suite, tuning: Tuning = FAR, **more: Any) -> Any:
    """Return a step that runs a suite at the URL of the folder `run`."""

    def step(folder: Path) -> None:
        how = RunSettings(checks=False, tuning=tuning, **more)
        cibench.run(of, f"file://{folder}/run", settings=how)

    return step


def far_keeps(count: int) -> Any:
    """Return what asserts that so many marked rows are at the URL, in their place or aside."""

    def left(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as name:
            copy = Path(name) / "run"
            copy.mkdir()
            fetch(f"file://{folder}/run", copy)
            keeps(count)(Path(name))

    return left


def far_begun(folder: Path) -> None:
    """Assert that what is at the URL, if anything, can be read."""
    if (folder / "run" / "manifest.json").exists():
        far_keeps(0)(folder)


def same_far_rows(folder: Path, whole: Path) -> None:
    same_rows(folder, whole)
    assert not list((folder / "run").rglob(".staged"))


# What else is written: baselines, bundles, assignments, tables and pages.


def command(*words: str, new: str = "") -> Any:
    """Return a step that gives a command in the folder.

    Where what it makes `new` is whole already, it refuses to make it again.
    """

    def step(folder: Path) -> None:
        code = 2 if new and (folder / new).exists() else 0
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            try:
                main(list(words))
            except SystemExit as end:
                assert end.code == code, end.code

    return step


def steps(*each: Any) -> Any:
    """Return a step that takes several, one after the other."""

    def step(folder: Path) -> None:
        for one in each:
            one(folder)

    return step


def names_in(folder: Path) -> set[str]:
    here = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    return {name for name in here if not name.endswith((".lock", ".status.json"))}


def same_names(folder: Path, whole: Path) -> None:
    here, there = names_in(folder), names_in(whole)
    assert here == there, (here - there, there - here)


def older_check(folder: Path) -> None:
    for name in ("verdict.json", "report.html", "run/manifest.json", "run/replicates/cell"):
        path = folder / "gate" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("old")


BASELINES = {"main": 36, "main/within": 24}


def baselines_hold(folder: Path) -> None:
    """Assert that each baseline that there is can be loaded, and is an old one or a new one."""
    for saved in baseline.saved_baselines():
        assert baseline.load(saved.name).rows.num_rows in (24, BASELINES[saved.name])
    if (folder / "later").exists():
        assert {saved.name for saved in baseline.saved_baselines()} == set(BASELINES)


def same_baselines(folder: Path, whole: Path) -> None:
    same_names(folder, whole)
    for saved in baseline.saved_baselines():
        assert saved.rows.num_rows == BASELINES[saved.name]


ASSIGN = ("assignment", "bandwidth", "--students", "students.csv", "--out", "a")
BUNDLE = ("twin", "bundle", "t.twin", "--out", "out", "--rows", "60")
REPLAY = (
    "replay", "run", "--scenario", "did/two-group", "--n", "20", "--replicate", "3",
    "--estimator", "did/collapsed", "--out", "again",
)  # fmt: skip
SAVE = ("baseline", "save")
WHOLE = "baselines/main/suite.toml"  # the last one in its place
TWO_BASELINES = steps(
    runs(suite()), command(*SAVE, "run", "main"), command(*SAVE, "run", "main/within"),
    lambda folder: (folder / "run").rename(folder / "later"),
    lambda folder: execute(suite(replicates=9), folder / "later", SMALL),
)  # fmt: skip


def seed_twin(folder: Path) -> None:
    """Fit a small twin and write its file."""
    rng = np.random.default_rng(1)
    x, age = rng.normal(size=400), rng.normal(40, 9, 400)
    y = 1 + x + 0.1 * age + rng.normal(size=400)
    table = pd.DataFrame({"x": x, "d": (x >= 0).astype(int), "age": age, "y": y})
    table.to_csv(folder / "seed.csv", index=False)
    design = Design("rd", "y", treatment="d", running="x", cutoff=0.0)
    save_twin(fit_twin(read_seed(folder / "seed.csv", design), "gaussian"), folder / "t.twin")


def same_bundle(folder: Path, whole: Path) -> None:
    """Assert that the bundle is there, and that the owner's file has the truths of its data."""
    same_names(folder, whole)
    Owner.read(folder / "out.owner.json").check_bundle(folder / "out")


def bundle_is_sealed(folder: Path) -> None:
    """Assert that no bundle is in its place without the truths of its data."""
    if (folder / "out").exists():
        Owner.read(folder / "out.owner.json").check_bundle(folder / "out")


def class_list(folder: Path) -> None:
    (folder / "students.csv").write_text("student\nAda\nBlaise\nCarl\n")


def same_assignment(folder: Path, whole: Path) -> None:
    same_names(folder, whole)
    key = json.loads((folder / "a" / "teacher" / "key.json").read_text())
    assert set(key["students"]) == {"Ada", "Blaise", "Carl"}
    assert (folder / "a" / "teacher" / "key.json").stat().st_mode & 0o077 == 0


def same_tables(folder: Path, whole: Path) -> None:
    same_names(folder, whole)
    for path in [*(whole / "run").glob("*.csv"), *(whole / "run" / "tables").glob("*.csv")]:
        assert (folder / path.relative_to(whole)).read_bytes() == path.read_bytes()
    same_rows(folder, whole)


REORDERED = suite(n=[30, 20], replicates=8)
STORIES = {
    "first run": Story(
        nothing, [runs(suite(), settings(flush=0.0))], same_rows, is_whole
    ),
    "extension": Story(
        marked(runs(suite())), [runs(suite(replicates=9, n=[20, 30, 40]))], same_rows, keeps(24)
    ),
    "reordering": Story(marked(runs(suite())), [runs(REORDERED)], same_rows, keeps(24)),
    "reordering, ended twice": Story(
        marked(runs(suite())), [runs(REORDERED), runs(REORDERED)], same_rows, keeps(24)
    ),
    "another edit before going on": Story(
        marked(runs(suite(n=[20, 30, 40], replicates=4))),
        [runs(suite(n=[40, 20, 30], replicates=6)), runs(suite(n=[30, 40, 20], replicates=6))],
        same_rows, keeps(24),
    ),
    "extension of a shard of two cells": Story(
        marked(runs(suite(), BOTH)), [runs(suite(replicates=9, n=[20, 30, 40]), BOTH)], same_rows,
        keeps(24),
    ),
    "reordering within a shard": Story(
        marked(runs(suite(), BOTH)), [runs(REORDERED, BOTH)], same_rows, keeps(24)
    ),
    "from a shard of two cells to their own, ended twice": Story(
        marked(runs(suite(n=[20, 30, 40], replicates=4), BOTH)),
        [runs(suite(n=[40, 25, 20, 30], replicates=6)),
         runs(suite(n=[30, 40, 25, 20], replicates=6))],
        same_rows, keeps(24),
    ),
    "update within a shard": Story(
        marked(runs(suite(), BOTH)),
        [runs(suite(n=[30, 20], estimators="did/collapsed", replicates=4), settings(update=True))],
        same_rows, keeps(24),
    ),
    "update": Story(
        marked(runs(suite())),
        [runs(suite(n=[30, 20], estimators="did/collapsed", replicates=4), UPDATE)],
        same_rows, keeps(24),
    ),
    "update of all rows": Story(
        marked(runs(suite())), [runs(suite(seed=2), UPDATE)], same_rows, keeps(24)
    ),
    "repair": Story(
        lambda folder: damaged(marked(runs(suite()))(folder) or folder),
        [runs(suite(n=[30, 20]), REPAIR)], same_rows,
    ),
    "first run with a plug-in": Story(
        own_plugin(), [own_runs(settings(flush=0.0))], same_rows, without_originals
    ),
    "update of a plug-in": Story(
        marked(own_plugin(), own_runs(), own_plugin(0.5)), [own_runs(UPDATE)], same_rows,
        steps(without_originals, keeps(24)),
    ),
    "first run with a plug-in at a URL": Story(
        own_plugin(), [own_runs(url=True)], same_far_rows, steps(without_originals, far_begun)
    ),
    "limits that moved": Story(
        marked(runs(suite(more={"refits": {"replicates": 2, "times": 2}}))),
        [runs(suite(more={"refits": {"replicates": 3, "times": 3}}))], same_rows, is_whole,
    ),
    "adaptive rounds": Story(
        nothing, [runs(precise(), settings(shard_rows=16))], same_rows, is_whole
    ),
    "pilot": Story(
        nothing, [runs(precise(pilot=5), settings(shard_rows=16))], same_rows, is_whole
    ),
    "run at a URL": Story(nothing, [far_runs(suite())], same_far_rows, far_begun),
    "run at a URL, copied all the time": Story(
        nothing, [far_runs(suite(), OFTEN)], same_far_rows, far_begun
    ),
    "reordering at a URL": Story(
        marked(far_runs(suite())), [far_runs(REORDERED)], same_far_rows, far_keeps(24)
    ),
    "reordering at a URL, copied all the time, ended twice": Story(
        marked(far_runs(suite())), [far_runs(REORDERED, OFTEN), far_runs(REORDERED, OFTEN)],
        same_far_rows, far_keeps(24),
    ),
    "update at a URL": Story(
        marked(far_runs(suite())),
        [far_runs(suite(n=[30, 20], estimators="did/collapsed", replicates=4), update=True)],
        same_far_rows, far_keeps(24),
    ),
    "baseline": Story(
        runs(suite(replicates=9)), [command(*SAVE, "run", "main", new=WHOLE)], same_baselines,
        baselines_hold,
    ),
    "update of a baseline": Story(
        TWO_BASELINES, [command(*SAVE, "later", "main", "--replace")], same_baselines,
        baselines_hold,
    ),
    "bundle": Story(
        seed_twin, [command(*BUNDLE, new="out")],
        same_bundle, bundle_is_sealed,
    ),
    "assignment": Story(
        class_list,
        [command(*ASSIGN, new="a")],
        same_assignment,
    ),
    "replay": Story(
        runs(suite()), [command(*REPLAY)], same_names
    ),
    "room for a check": Story(
        older_check, [lambda folder: clear(folder / "gate")], same_names
    ),
    "scores and report": Story(
        marked(runs(suite())), [steps(command("score", "run"), command("report", "run"))],
        same_tables,
    ),
}  # fmt: skip


def given(words: Sequence[str]) -> tuple[int, list[str]]:
    """Give a command; return its code and what it complains of, without its progress."""
    complaints = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(complaints):
        try:
            main(list(words))
        except SystemExit as end:
            code = end.code
    assert isinstance(code, int)
    return code, [x for x in complaints.getvalue().splitlines() if x.startswith("cibench: ")]


def scored(folder: Path) -> None:
    marked(runs(suite()))(folder)
    command("score", "run")(folder)


FULL = {
    "score": Story(
        marked(runs(suite())), [command("score", "run"), command("report", "run")], same_tables,
        keeps(24), words=("score", "run"), kept="all rows are kept", commanded=given,
    ),
    "report": Story(
        scored, [command("report", "run")], same_tables, keeps(24), words=("report", "run"),
        kept="all rows and scores are kept", commanded=given,
    ),
    "run": Story(
        marked(runs(suite())), [command("run", "run", "--workers", "1", "--no-checks")],
        same_tables, keeps(24), words=("run", "run", "--workers", "1", "--no-checks"),
        kept="kept", commanded=given,
    ),
}  # fmt: skip
"""Commands on a disk that is full from one of their operations on, or cannot be written at all."""


@pytest.fixture
def check(record_property: Any, tmp_path: Path) -> Any:
    """Give a function that tells a story with ends at some points, or at all."""

    def checked(name: str, points: int | None, way: str = "end") -> None:
        outcome = tell(__file__, name, tmp_path, points, way)
        record_property("attacks", len(outcome.points))
        record_property("attacks that did not hold", len(outcome.faults))
        print(name, outcome.operations, "operations, ended at", len(outcome.points))
        assert not outcome.faults, outcome.faults[0]
        assert not outcome.unsynced
        assert outcome.operations > 5

    return checked


@pytest.mark.parametrize("name", [name for name in STORIES if name not in LONGER])
def test_the_same_command_goes_on_and_loses_nothing(name, check):
    check(name, LONG.get(name, POINTS))


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", STORIES)
def test_so_it_does_after_every_single_operation(name, check):
    check(name, None)


@pytest.mark.parametrize("name", FULL)
def test_a_full_disk_is_one_line_that_says_what_is_kept_and_what_goes_on(name, check):
    check(name, LONG["scores and report"], "full")


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", FULL)
def test_so_it_is_at_every_single_operation(name, check):
    check(name, None, "full")
