import json
import shutil

import pyarrow.parquet as pq
import pytest

import cibench
from cibench.gate import baseline
from cibench.suite import read_suite
from cibench.utils.errors import BadInput

CELL = {
    "scenario": "did/two-group", "n": 20, "dials": {"trend": 0.1},
    "estimators": ["naive/*", "panel/first-difference"],
}  # fmt: skip
SUITE = {"name": "small", "seed": 1, "replicates": 6, "cells": [CELL]}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return cibench.run(SUITE, out=tmp_path_factory.mktemp("run") / "small")


@pytest.fixture
def saved(run, tmp_path):
    return baseline.save(run, "release/1.0", tmp_path / "baselines")


def test_a_baseline_holds_scores_rows_suite_versions_and_digests(run, saved):
    assert {p.name for p in saved.folder.iterdir()} == {
        "suite.toml", "scores.csv", "estimates.parquet", "baseline.json",
    }  # fmt: skip
    rows = pq.read_table(saved.folder / "estimates.parquet")
    assert rows.num_rows == len(run.replicates) == 24
    assert rows["estimate"].to_pylist() == run.replicates["estimate"].tolist()
    assert rows["data_hash"].to_pylist() == run.replicates["data_hash"].tolist()
    about = json.loads((saved.folder / "baseline.json").read_text())
    assert about["seed"] == 1 and about["versions"]["linearmodels"]
    assert about["protocol"] == run.manifest["protocol"]
    assert about["sources"] == run.manifest["sources"]
    assert len(saved.scores) == len(run.scores)
    assert read_suite(saved.folder / "suite.toml").expected_rows == 24


def test_it_is_found_listed_and_loaded_by_name_and_by_path(saved, tmp_path):
    root = tmp_path / "baselines"
    assert [b.folder for b in baseline.saved_baselines(root)] == [saved.folder]
    for name, where in (("release/1.0", root), (str(saved.folder), tmp_path / "elsewhere")):
        assert baseline.load(name, where).rows.num_rows == 24
    with pytest.raises(BadInput, match=r"no baseline named 'release/1.1'; did you mean"):
        baseline.load("release/1.1", root)


def test_another_machine_can_use_it(saved, tmp_path):
    """A copy elsewhere, checked out with other line endings, is the same baseline."""
    moved = tmp_path / "other" / "one"
    shutil.copytree(saved.folder, moved)
    for name in ("suite.toml", "scores.csv"):
        text = (moved / name).read_bytes().replace(b"\n", b"\r\n")
        (moved / name).write_bytes(text)
    assert baseline.load(str(moved)).rows.num_rows == 24
    for path in moved.iterdir():
        assert str(tmp_path).encode() not in path.read_bytes()


def test_plugins_are_told_from_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("")
    run = cibench.run({**SUITE, "plugins": ["mine.py"]}, out=tmp_path / "run")
    saved = baseline.save(run, "one")
    assert 'plugins = ["mine.py"]' in (saved.folder / "suite.toml").read_text()
    assert saved.name == "one"


@pytest.mark.parametrize("name", ["suite.toml", "scores.csv", "estimates.parquet", "baseline.json"])
def test_an_edit_by_hand_is_told(saved, name):
    path = saved.folder / name
    if name == "estimates.parquet":
        table = pq.read_table(path)
        pq.write_table(table.slice(0, 23), path)
    else:
        path.write_text(path.read_text().replace("small", "large").replace("0.1", "0.2"))
    with pytest.raises(BadInput, match=r"edited by hand|not readable"):
        baseline.load(str(saved.folder))


def test_what_is_missing_or_newer_is_told(saved):
    about = json.loads((saved.folder / "baseline.json").read_text())
    (saved.folder / "baseline.json").write_text(json.dumps({**about, "format": 99}))
    with pytest.raises(BadInput, match="whose format is newer"):
        baseline.load(str(saved.folder))
    (saved.folder / "baseline.json").write_text(json.dumps(about))
    (saved.folder / "scores.csv").unlink()
    with pytest.raises(BadInput, match=r"scores.csv: No such file"):
        baseline.load(str(saved.folder))


def test_another_schema_is_told(saved):
    path = saved.folder / "estimates.parquet"
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["data_hash"]), path)
    about = baseline.Baseline(saved.folder).about
    digest = baseline.digest(saved.folder, about)
    (saved.folder / "baseline.json").write_text(json.dumps({**about, "digest": digest}))
    with pytest.raises(BadInput, match=r"estimates.parquet: another schema: it lacks data_hash"):
        _ = baseline.load(str(saved.folder)).rows


def test_saving_again_needs_a_word_and_replaces_its_own_files_together(run, saved, tmp_path):
    root = tmp_path / "baselines"
    with pytest.raises(BadInput, match="--replace"):
        baseline.save(run, "release/1.0", root)
    within = baseline.save(run, "release/1.0/within", root)
    (saved.folder / "notes.txt").write_text("x")
    before = saved.about["created"]
    for path in saved.folder.glob("*.*"):
        if path.name != "notes.txt":
            path.write_bytes(b"older")
    baseline.save(run, "release/1.0", root, replace=True)
    assert baseline.load("release/1.0", root).about["created"] >= before
    assert baseline.load("release/1.0/within", root).rows.num_rows == 24
    assert [b.folder for b in baseline.saved_baselines(root)] == [saved.folder, within.folder]
    assert {p.name for p in saved.folder.iterdir()} == {*baseline.FILES, "within", "notes.txt"}


@pytest.mark.parametrize("name", ["../up", "", "a//b", ".hidden", "a b", "/absolute"])
def test_names_that_are_no_folder_here_are_refused(run, tmp_path, name):
    with pytest.raises(BadInput, match="is not a name"):
        baseline.save(run, name, tmp_path / "baselines")
    assert not (tmp_path / "baselines").exists()


def test_an_incomplete_run_makes_no_baseline(run, tmp_path):
    shutil.copytree(run.folder, tmp_path / "half")
    shard = next((tmp_path / "half" / "replicates").glob("*.parquet"))
    pq.write_table(pq.read_table(shard).slice(1), shard)
    with pytest.raises(BadInput, match="is incomplete: 23 of 24 rows"):
        baseline.save(cibench.load(tmp_path / "half"), "one", tmp_path / "baselines")
    assert not (tmp_path / "baselines").exists()
