import json
import shutil
import subprocess

import pyarrow.parquet as pq
import pytest

import cibench
from cibench.execution import RunSettings
from cibench.gate import baseline
from cibench.gate.baseline_rows import as_text, line_digest
from cibench.gate.pairing import read_rows
from cibench.suite import read_suite
from cibench.utils.errors import BadInput

pytest.importorskip("linearmodels")  # which a light install lacks

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
        "suite.toml", "scores.csv", "estimates.jsonl", "baseline.json",
    }  # fmt: skip
    rows, stored = saved.rows, read_rows(run.folder)
    assert rows.num_rows == len(run.replicates) == 24
    order = [(name, "ascending") for name in ("estimator", "replicate")]
    for name in set(rows.column_names) - {"seconds"}:  # exactly, nothing rounded
        assert rows.sort_by(order)[name].to_pylist() == stored.sort_by(order)[name].to_pylist()
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
    for name in ("suite.toml", "scores.csv", "estimates.jsonl"):
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


@pytest.mark.parametrize("name", ["suite.toml", "scores.csv", "estimates.jsonl", "baseline.json"])
def test_an_edit_by_hand_is_told(saved, name):
    path = saved.folder / name
    path.write_text(path.read_text().replace("small", "large").replace("0.1", "0.2"))
    with pytest.raises(BadInput, match=r"edited by hand"):
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


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"status": {"better": [1]}}, "another schema: status: better"),
        ({"columns": {"estimate": [1.0]}}, "another schema"),
        ({"data": "!"}, "another schema: data"),
        ({"n": "many"}, "another schema"),
        ({"status": []}, "status: .* not a table"),
    ],
)
def test_another_schema_is_told_with_its_line(saved, change, words):
    path = saved.folder / "estimates.jsonl"
    lines = path.read_text().splitlines()
    score = (saved.folder / "scores.csv").read_text().splitlines()[2]
    content = {**json.loads(lines[1]), **change}
    lines[1] = as_text({**content, "digest": line_digest(content, score)})
    path.write_text("\n".join(lines))
    with pytest.raises(BadInput, match=rf"estimates.jsonl:2: not a baseline.*{words}"):
        baseline.load(str(saved.folder))


def test_a_baseline_of_format_1_is_read_and_replaced(run, saved, tmp_path):
    """Its rows were Parquet, its digest one of all files."""
    rows = saved.rows
    (saved.folder / "estimates.jsonl").unlink()
    pq.write_table(read_rows(run.folder), saved.folder / "estimates.parquet")
    about = {**saved.about, "format": 1, "expected_rows": 24, "stored_rows": 24}
    sealed = {**about, "digest": baseline.digest(saved.folder, about)}
    (saved.folder / "baseline.json").write_text(json.dumps(sealed))
    old = baseline.load("release/1.0", tmp_path / "baselines")
    order = [(name, "ascending") for name in ("estimator", "replicate")]
    of_old, of_new = (each.sort_by(order)["estimate"].to_pylist() for each in (old.rows, rows))
    assert of_old == of_new
    baseline.save(run, "release/1.0", tmp_path / "baselines", replace=True)
    assert {p.name for p in saved.folder.iterdir()} == set(baseline.FILES)


def test_what_has_not_changed_is_not_written(run, saved, tmp_path):
    """The run time differs, and the moment."""
    again = cibench.run(SUITE, out=tmp_path / "again")
    assert again.replicates["seconds"].tolist() != run.replicates["seconds"].tolist()
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in saved.folder.iterdir()}
    baseline.save(again, "release/1.0", tmp_path / "baselines", replace=True)
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in saved.folder.iterdir()}
    assert before == after


def test_a_method_more_leaves_the_other_lines_as_they_were(saved, tmp_path):
    lines = (saved.folder / "estimates.jsonl").read_text().splitlines()
    more = {**SUITE, "cells": [{**CELL, "estimators": [*CELL["estimators"], "did/collapsed"]}]}
    other = cibench.run(more, out=tmp_path / "more")
    baseline.save(other, "release/1.0", tmp_path / "baselines", replace=True)
    after = (saved.folder / "estimates.jsonl").read_text().splitlines()
    assert len(after) == len(lines) + 2 and set(lines) < set(after)


def test_two_branches_merge_where_they_changed_other_cells(saved, tmp_path):
    git = shutil.which("git") or pytest.skip("no git")
    path = saved.folder / "estimates.jsonl"
    lines = path.read_text().splitlines()
    sides = [[lines[0] + "x", *lines[1:]], lines, [*lines[:3], lines[3] + "y"]]
    files = [tmp_path / name for name in ("ours", "base", "theirs")]
    for file, side in zip(files, sides, strict=True):
        file.write_text("\n".join(side) + "\n")
    done = subprocess.run([git, "merge-file", "-p", *files], capture_output=True, check=False)
    assert done.returncode == 0
    assert done.stdout.decode().splitlines() == [sides[0][0], *lines[1:3], sides[2][3]]


def test_a_cell_of_200_replicates_takes_less_than_30_kilobytes(tmp_path):
    cell = {"scenario": "rd/cct-1", "n": 200, "estimators": "rd/local-linear"}
    run = cibench.run({"name": "size", "seed": 1, "replicates": 200, "cells": [cell]})
    saved = baseline.save(run, "size", tmp_path)
    assert sum(path.stat().st_size for path in saved.folder.iterdir()) < 30_000


def test_a_baseline_is_removed_with_its_own_files_alone(run, saved, tmp_path, call):
    root = tmp_path / "baselines"
    within = baseline.save(run, "release/1.0/within", root)
    (saved.folder / "notes.txt").write_text("x")
    assert call("baseline", "remove", "release/1.0").out == "removed: baselines/release/1.0\n"
    assert {p.name for p in saved.folder.iterdir()} == {"notes.txt", "within"}
    assert baseline.load("release/1.0/within", root).rows.num_rows == 24
    (saved.folder / "notes.txt").unlink()
    assert call("baseline", "remove", "release").code == 0
    assert not within.folder.exists() and not any(root.iterdir())
    ended = call("baseline", "remove", "releas")
    assert ended.code == 2 and "no baseline named 'releas'" in ended.err


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


METHODS = """
from cibench import Estimand, Estimate, estimator

@estimator("made/silent", targets=(Estimand.ATT,))
def silent(problem, rng):
    raise AttributeError("no attribute 'coeff_'")

@estimator("made/rare", targets=(Estimand.ATT,))
def rare(problem, rng):
    if int(1e6 * abs(problem.outcome[0])) % 3:
        raise ValueError("too far")
    return Estimate.wald(1.0, 1.0, problem.level)
"""


@pytest.mark.usefixtures("shelves")
def test_a_cell_without_an_answer_is_never_saved_and_few_are_a_warning(tmp_path, call):
    (tmp_path / "methods.py").write_text(METHODS)
    settings = RunSettings(checks=False)

    def made(*names):
        cell = {"scenario": "did/two-group", "n": 30, "estimators": list(names)}
        spec = {"name": "some", "seed": 1, "replicates": 25, "plugins": ["methods.py"]}
        return cibench.run(
            {**spec, "cells": [cell]}, out=tmp_path / names[0][5:], settings=settings
        )

    both = made("made/silent", "naive/difference-in-means")
    with pytest.raises(BadInput) as refused:
        baseline.save(both, "one")
    assert "made/silent: no fit has an answer, mostly: AttributeError" in refused.value.args[0]
    assert not (tmp_path / "baselines").exists()
    run = made("made/rare")
    assert 0 < run.scores["answered"][0] < 12
    ended = call("baseline", "save", run.folder, "two")
    assert ended.code == 0 and "baseline: baselines/two" in ended.out
    assert "fits have an answer, mostly: ValueError: too far" in ended.err
    assert call("baseline", "save", both.folder, "three").code == 2
