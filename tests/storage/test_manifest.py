import json

import pandas as pd
import pyarrow.parquet as pq
import pytest

import cibench
from cibench.model.registry import Entry, entry
from cibench.storage.reader import read_rows
from cibench.storage.schema import schema
from cibench.storage.source_digests import source_digest
from cibench.suite.parse import parse_suite, read_suite
from cibench.utils.errors import BadInput

SPEC = {
    "name": "small", "seed": 1, "replicates": 3,
    "cells": [
        {"scenario": "rd/cct-1", "n": 80, "dials": {"sorting": 0.4},
         "estimators": ["rd/global-polynomial", "rd/local-linear"]},
        {"scenario": "did/two-group", "n": 10, "estimators": ["naive/*", "rdrobust/r*"]},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return cibench.run(SPEC, out=tmp_path_factory.mktemp("store") / "run")


def test_the_folder_holds_what_the_design_says_and_no_leftovers(run):
    names = sorted(p.relative_to(run.folder).as_posix() for p in run.folder.rglob("*"))
    assert names == [
        ".lock", ".status.json", "catalogue.json", "manifest.json", "replicates",
        "replicates/cells-00000-00002-00000.parquet", "suite.toml",
    ]  # fmt: skip


def test_plain_pandas_reads_the_rows(run):
    rows = pd.read_parquet(run.folder / "replicates")
    assert len(rows) == 3 * (2 + 2 + 1)
    assert rows["horizon"].isna().all() and rows["dial"].isna().sum() == 9


def test_every_shard_has_the_declared_schema_whatever_is_null_in_it(run):
    for path in (run.folder / "replicates").iterdir():
        assert pq.read_schema(path).remove_metadata().equals(schema())


def test_the_suite_in_the_folder_is_the_suite_that_ran(run):
    assert read_suite(run.folder / "suite.toml").cells == parse_suite(SPEC).cells


def test_the_manifest_says_what_the_rows_rest_on(run):
    manifest = json.loads((run.folder / "manifest.json").read_text())
    assert manifest["expected_rows"] == manifest["stored_rows"] == 15
    assert manifest["seed"] == 1 and manifest["finished"] >= manifest["created"]
    assert set(manifest["versions"]) >= {"cibench", "numpy", "statsmodels"}
    assert set(manifest["sources"]) >= {"scenario rd/cct-1", "estimator rd/local-linear"}
    reasons = {(d["scenario"], d["estimator"]): d["reason"] for d in manifest["declined"]}
    assert reasons["did/two-group", "rdrobust/robust"] == "answers ATE_AT_CUTOFF, not ATT"


def test_the_protocol_depends_on_what_decides_a_row_and_on_nothing_else(run):
    from cibench.storage.provenance import protocol

    suite = parse_suite(SPEC)
    assert protocol(suite) == run.manifest["protocol"]
    assert protocol(suite.with_replicates(9)) == run.manifest["protocol"]
    assert protocol(parse_suite({**SPEC, "seed": 2})) != run.manifest["protocol"]
    assert protocol(parse_suite({**SPEC, "level": 0.9})) != run.manifest["protocol"]


def test_the_catalogue_suffices_to_score_again(run):
    told = run.catalogue
    assert told["scenarios"]["rd/cct-1"]["dials"]["sorting"]["breaks"] == "no manipulation"
    assert "Beta(2, 4)" in told["scenarios"]["rd/cct-1"]["equations"]
    assert told["estimators"]["rd/local-linear"]["options"] == {"bandwidth": 0.5}
    again = cibench.load(run.folder)
    pd.testing.assert_frame_equal(again.scores, run.scores, check_exact=True)


def test_a_digest_covers_the_file_and_its_neighbours_that_it_imports(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "main_part.py").write_text("from side_part import x\nimport numpy\n")
    (tmp_path / "side_part.py").write_text("x = 1\n")
    (tmp_path / "other_part.py").write_text("y = 1\n")
    __import__("main_part")
    found = Entry("a/b", None, "main_part", "f")
    first = source_digest(found)
    (tmp_path / "other_part.py").write_text("y = 2\n")
    assert source_digest(found) == first
    (tmp_path / "side_part.py").write_text("x = 2\n")
    assert source_digest(found) != first
    assert source_digest(Entry("a/b", None, "no_such_module", "f")) is None
    assert source_digest(entry("scenario", "rd/cct-1"))


def test_folders_that_are_no_runs_are_bad_input(run, tmp_path):
    with pytest.raises(BadInput, match=r"is not a run folder: it has no manifest\.json"):
        cibench.load(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(BadInput, match="not a run's manifest"):
        cibench.load(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": 99, "versions": {"cibench": "9.9"}}')
    with pytest.raises(BadInput, match=r"written by cibench 9\.9, whose format is newer"):
        cibench.load(tmp_path)
    (tmp_path / "replicates").mkdir()
    (tmp_path / "replicates" / "cell-00000.parquet").write_bytes(b"half")
    with pytest.raises(BadInput, match="not readable"):
        read_rows(tmp_path)


def test_a_folder_that_cannot_be_written_is_bad_input():
    with pytest.raises(BadInput, match="/proc/none"):
        cibench.run(SPEC, out="/proc/none/run")


def test_without_a_folder_the_run_lives_as_long_as_its_object():
    run = cibench.run(SPEC)
    folder = run.folder
    assert len(run.replicates) == 15
    del run
    assert not folder.exists()


def test_a_run_shows_itself_in_a_notebook(run):
    page = run._repr_html_()
    assert "<table" in page and "rd/global-polynomial" in page and "nan" not in page.lower()
    assert "sorting = 0.4" in page
