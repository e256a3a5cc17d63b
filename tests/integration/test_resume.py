"""A run goes on where it stopped: what is stored is not computed again, and nothing is mixed."""

import errno
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from commands import python
from replicates import assert_same_rows, stable

import cibench
from cibench.execution import RunSettings, Tuning
from cibench.execution import execute as run_suite
from cibench.results.run_folder import Run
from cibench.storage import manifest as store
from cibench.storage import provenance, shards, writer
from cibench.storage.schema import ADDRESS
from cibench.storage.source_digests import source_digest
from cibench.suite.parse import parse_suite
from cibench.utils.errors import BadInput
from cibench.workers import fit as answer

SCENARIO = '''
"""Two designs."""
import numpy as np
from cibench import Draw, Estimand, Scenario, dial, scenario

@scenario("resume/shift")
class Shift(Scenario):
    """y = d + e + bias."""
    estimand = Estimand.ATE
    reference = "none"
    bias: float = dial(default=0, grid=(1, 2), within=(0, 9), breaks="no bias", unit="units")

    def truth(self):
        return 1.0

    def draw(self, n, rng):
        e, d = rng.normal(size=n), np.arange(n) % 2.0
        return Draw({"y": d + e + self.bias * d, "d": d}, e + self.bias * d, np.ones(n))
'''
METHODS = '''
"""Two methods."""
import numpy as np
from cibench import Declined, Estimand, Estimate, estimator

@estimator("resume/mean", targets=(Estimand.ATE,))
def mean(problem, rng, *, scale=1.0):
    y, d = problem.outcome, problem.treatment
    return Estimate.wald(scale * (y[d == 1].mean() - y[d == 0].mean()), 0.3, problem.level)

@estimator("resume/noise", targets=(Estimand.ATE,), uses=("sklearn",))
def noise(problem, rng):
    if problem.outcome[0] > 1.5:
        raise ValueError("large")
    return Estimate.wald(rng.normal(), 1.0, problem.level)
'''
CELL = {"scenario": "resume/shift", "n": 20, "estimators": ["resume/mean", "resume/noise"]}
APART = Tuning(shard_rows=12)
"""Two cells have a shard each."""

pytestmark = pytest.mark.usefixtures("shelves")


@pytest.fixture
def plugins(tmp_path):
    for name, text in (("shift.py", SCENARIO), ("methods.py", METHODS)):
        (tmp_path / name).write_text(text)
    return [str(tmp_path / "shift.py"), str(tmp_path / "methods.py")]


@pytest.fixture
def fits(monkeypatch):
    """Return the list of fits that are run, as scenario address and estimator."""
    done, real = [], answer.fit

    def fit(estimator, problem, options, address, **more):
        done.append((estimator.name, address))
        return real(estimator, problem, options, address, **more)

    monkeypatch.setattr(answer, "fit", fit)
    return done


def suite_of(plugins, *cells, **more):
    spec = {"name": "t", "seed": 1, "replicates": 6, "plugins": plugins, **more}
    return parse_suite({**spec, "cells": list(cells) or [CELL]})


def execute(suite, folder, **more):
    run_suite(suite, folder, RunSettings(**more))
    return pd.read_parquet(folder / "replicates")


def files(folder):
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file()
    }


def names(folder):
    return sorted(path.name for path in (folder / "replicates").iterdir())


# --- going on


def test_a_complete_run_is_left_as_it_is(plugins, tmp_path, fits):
    execute(suite_of(plugins), tmp_path / "r")
    before, count = files(tmp_path / "r"), len(fits)
    execute(suite_of(plugins), tmp_path / "r")
    assert len(fits) == count == 12
    after = files(tmp_path / "r")
    assert {k: v for k, v in after.items() if k != ".lock"} == {
        k: v for k, v in before.items() if k != ".lock"
    }


def test_what_a_suite_says_of_rows_that_are_all_there_is_taken_over(plugins, tmp_path, fits):
    first = suite_of(plugins)
    execute(first, tmp_path / "r")
    count, rows = len(fits), names(tmp_path / "r")
    (cell,) = first.spec["cells"]
    changed = {"cells": [{**cell, "expect": {"floor": 0.5}}], "ranking": {"measure": "rmse"}}
    again = parse_suite({**first.spec, **changed})
    execute(again, tmp_path / "r")
    assert len(fits) == count and names(tmp_path / "r") == rows
    run = cibench.load(tmp_path / "r")
    assert run.suite["ranking"] == {"measure": "rmse"}
    assert set(run.expectations["floor"].dropna()) == {0.5}


EXTENDED = [
    ("replicates", {}, {"replicates": 9}, 6),
    ("sizes", {"n": [10, 20]}, {}, 12),
    ("dials", {"dials": {"bias": "grid"}}, {}, 24),
    ("estimators", {"estimators": ["resume/noise", "naive/*", "resume/mean"]}, {}, 6),
    ("options", {"options": {"resume/mean": {"scale": 1.0}}}, {}, 0),
    ("all", {"n": [10, 20], "dials": {"bias": 2}}, {"replicates": 7}, 2 + 3 * 14),
]  # fmt: skip


@pytest.mark.parametrize(("cell", "more", "new"), [e[1:] for e in EXTENDED], ids=lambda e: "")
def test_more_of_anything_extends_and_computes_nothing_again(
    plugins, tmp_path, fits, cell, more, new
):
    execute(suite_of(plugins), tmp_path / "r")
    before = len(fits)
    larger = suite_of(plugins, CELL | cell, **more)
    rows = execute(larger, tmp_path / "r")
    assert len(fits) - before == new
    order = ["n", "dials", "replicate"]
    assert_same_rows(rows, execute(larger, tmp_path / "fresh"), order=order)
    manifest = store.read_manifest(tmp_path / "r")
    assert manifest["stored_rows"] == manifest["expected_rows"] == len(rows)
    assert manifest["finished"]
    run, fresh = Run(tmp_path / "r"), Run(tmp_path / "fresh")
    pd.testing.assert_frame_equal(
        run.scores.drop(columns="seconds"), fresh.scores.drop(columns="seconds"), check_exact=True
    )


@pytest.mark.parametrize("after", [0, 1, 2, 5])
def test_what_is_missing_after_an_interruption_is_run_and_nothing_else(
    plugins, tmp_path, fits, after
):
    whole = suite_of(plugins, CELL | {"n": [10, 20]}, replicates=30)
    small = Tuning(block_seconds=1e-9, shard_rows=8)
    heard = []

    def listen(progress):
        heard.append(progress.done)
        if len(heard) > 10 * after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(whole, tmp_path / "r", listen=listen, tuning=small)
    stored = len(pd.read_parquet(tmp_path / "r" / "replicates"))
    assert stored == heard[-1] == store.read_manifest(tmp_path / "r")["stored_rows"]
    rows = execute(whole, tmp_path / "r", tuning=small)
    assert len(rows) == 120
    assert len(fits) - 120 <= 2  # the block that was done and not yet taken
    assert not rows.duplicated(list(ADDRESS)).any()
    fresh = execute(whole, tmp_path / "fresh")
    order = ["n", "replicate", "estimator"]
    assert_same_rows(rows.sort_values(order), fresh.sort_values(order))


def test_the_folder_reads_right_after_every_write(plugins, tmp_path, monkeypatch):
    at_once = Tuning(block_seconds=1e-9, flush_seconds=0, shard_rows=10)
    seen, real = [], shards.write

    def write(path, table):
        real(path, table)
        if path.is_relative_to(tmp_path / "r" / "replicates"):
            rows = pd.read_parquet(tmp_path / "r" / "replicates")
            assert not rows.duplicated(list(ADDRESS)).any()
            seen.append(len(rows))

    monkeypatch.setattr(shards, "write", write)
    execute(suite_of(plugins, replicates=20), tmp_path / "r", tuning=at_once)
    assert seen == list(range(4, 44, 4))  # two blocks are in flight
    assert len(names(tmp_path / "r")) == 4


def test_no_more_rows_wait_in_memory_than_declared_however_fast_they_come(plugins, tmp_path):
    waiting = []

    def listen(progress):
        folder = tmp_path / "r" / "replicates"
        waiting.append(progress.done - sum(pq.read_metadata(p).num_rows for p in folder.iterdir()))

    suite = suite_of(plugins, CELL | {"n": [10, 20, 30]}, replicates=40)
    few = Tuning(block_seconds=1e-9, waiting_rows=50)
    execute(suite, tmp_path / "r", listen=listen, tuning=few)
    assert 40 < max(waiting) <= 50
    assert_same_rows(
        Run(tmp_path / "r").replicates,
        execute(suite_of(plugins, CELL | {"n": [10, 20, 30]}, replicates=40), tmp_path / "other"),
    )


def test_rows_wait_in_memory_for_no_longer_than_declared(plugins, tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(writer.time, "monotonic", lambda: clock[0])
    tuning, lost = Tuning(block_seconds=1e-9), []

    def listen(progress):
        folder = tmp_path / "r" / "replicates"
        lost.append(progress.done - sum(pq.read_metadata(p).num_rows for p in folder.iterdir()))
        clock[0] += 1.0

    execute(suite_of(plugins, replicates=40), tmp_path / "r", listen=listen, tuning=tuning)
    # a row each second and estimator: those of flush_seconds, and the block just done
    assert max(lost) == 2 * (tuning.flush_seconds + 1)


def test_refits_are_kept_with_their_fits_and_made_anew_when_they_are_asked_for_otherwise(
    plugins, tmp_path, fits
):
    refits = {"replicates": 3, "times": 2}
    execute(suite_of(plugins, refits=refits), tmp_path / "r")
    manifest = store.read_manifest(tmp_path / "r")
    assert manifest["stored_rows"] == manifest["expected_rows"] == 12
    twice = {"refits": refits, "replicates": 8}
    thrice = {**twice, "refits": {**refits, "times": 3}}
    for asked, drawn in (({"refits": refits}, set()), (twice, {6, 7}), (thrice, {0, 1, 2})):
        del fits[:]
        rows = execute(suite_of(plugins, **asked), tmp_path / "r")
        assert {address[4] for _, address in fits} == drawn
    assert_same_rows(rows, execute(suite_of(plugins, **thrice), tmp_path / "fresh"))
    again = rows[rows["refit"] > 0]
    assert set(again["estimator"]) == {"resume/noise"}  # the other draws nothing
    assert len(again) == 3 * 3


# --- refused, or kept apart


CHANGED = [
    ({"seed": 2}, {}, "seed 1 → 2 (12 rows)"),
    ({"level": 0.9}, {}, "level 0.95 → 0.9 (12 rows)"),
    ({"replicates": 4}, {}, "replicates beyond the suite's 4 (4 rows)"),
    ({}, {"n": 10}, "resume/shift n=20 bias=0.0 is not in the suite (12 rows)"),
    ({}, {"estimators": "resume/mean"}, "resume/noise with its options is not in the suite for"),
    ({}, {"options": {"resume/mean": {"scale": 2.0}}}, "resume/mean with its options is not"),
]  # fmt: skip


@pytest.mark.parametrize(("more", "cell", "words"), CHANGED)
def test_a_changed_suite_is_refused_or_its_rows_are_set_aside(plugins, tmp_path, more, cell, words):
    first = execute(suite_of(plugins), tmp_path / "r")
    changed, before = suite_of(plugins, CELL | cell, **more), files(tmp_path / "r")
    with pytest.raises(BadInput) as refused:
        execute(changed, tmp_path / "r")
    assert words in str(refused.value) and "--update" in str(refused.value)
    unlocked = {k: v for k, v in files(tmp_path / "r").items() if k != ".lock"}
    assert unlocked == {k: v for k, v in before.items() if k != ".lock"}
    rows = execute(changed, tmp_path / "r", update=True)
    assert_same_rows(rows, execute(changed, tmp_path / "fresh"))
    (aside,) = (tmp_path / "r" / "superseded").iterdir()
    old = cibench.load(aside)
    assert old.manifest["superseded"][0].startswith(words.split(" (")[0])
    kept = stable(first).merge(stable(rows), how="inner").shape[0]
    assert len(old.replicates) == old.manifest["stored_rows"] == 12 - kept
    assert len(old.scores) > 0


def test_changed_sources_concern_their_own_rows(plugins, tmp_path, fits):
    more = {"estimators": ["resume/mean", "resume/noise", "naive/difference-in-means"]}
    execute(suite_of(plugins, CELL | more), tmp_path / "r")
    (tmp_path / "methods.py").write_text(METHODS.replace("scale *", "scale * 2 *"))
    changed = suite_of(plugins, CELL | more)
    with pytest.raises(BadInput, match=r"the source of estimator resume/mean \(6 rows\)") as error:
        execute(changed, tmp_path / "r")
    assert "resume/noise" not in str(error.value)  # another method of the same file
    del fits[:]
    rows = execute(changed, tmp_path / "r", update=True)
    assert {name for name, _ in fits} == {"resume/mean"} and len(fits) == 6
    assert_same_rows(rows, execute(changed, tmp_path / "fresh"))
    (tmp_path / "shift.py").write_text(SCENARIO.replace("return 1.0", "return 1.5"))
    changed = suite_of(plugins, CELL | more)
    with pytest.raises(BadInput, match=r"the source of scenario resume/shift \(18 rows\)"):
        execute(changed, tmp_path / "r")
    rows = execute(changed, tmp_path / "r", update=True, checks=False)  # that truth is wrong
    assert set(rows["truth"]) == {1.5}
    assert len(list((tmp_path / "r" / "superseded").iterdir())) == 2


def test_changed_versions_concern_who_uses_them(plugins, tmp_path, monkeypatch):
    execute(suite_of(plugins), tmp_path / "r")
    real = provenance.versions

    def newer(package):
        monkeypatch.setattr(
            provenance, "versions", lambda m: real(m) | {package: "99.0"} if m else real(m)
        )

    newer("scikit-learn")
    with pytest.raises(BadInput, match=r"scikit-learn [\d.]+ → 99.0 \(6 rows\)"):
        execute(suite_of(plugins), tmp_path / "r")
    newer("numpy")
    with pytest.raises(BadInput, match=r"numpy [\d.]+ → 99.0 \(12 rows\)"):
        execute(suite_of(plugins), tmp_path / "r")
    monkeypatch.undo()
    here = provenance.machine()
    monkeypatch.setattr(provenance, "machine", lambda: {**here, "python": "3.99.1"})
    with pytest.raises(BadInput, match=r"Python [\d.]+ → 3.99.1 \(12 rows\)"):
        execute(suite_of(plugins), tmp_path / "r")


def test_code_without_a_file_is_never_continued(plugins, tmp_path):
    def fit(problem, rng):
        return cibench.Estimate.wald(0.0, 1.0, 0.95)

    fit.__module__ = "in_a_notebook"
    cibench.estimator("resume/cell", targets=(cibench.Estimand.ATE,))(fit)
    suite = suite_of(plugins, CELL | {"estimators": ["resume/mean", "resume/cell"]})
    assert source_digest(cibench.model.registry.entry("estimator", "resume/cell")) is None
    execute(suite, tmp_path / "r")
    with pytest.raises(BadInput, match=r"estimator resume/cell is code without a file.*\(6 rows\)"):
        execute(suite, tmp_path / "r")
    execute(suite, tmp_path / "r", update=True)


def test_an_interrupted_update_leaves_every_row_in_its_place_or_aside(
    plugins, tmp_path, monkeypatch
):
    execute(suite_of(plugins, CELL | {"n": [10, 20]}), tmp_path / "r", tuning=APART)
    changed = suite_of(plugins, CELL | {"n": [10, 20]}, seed=2)
    real, count = type(tmp_path).unlink, []

    def unlink(path, *a, **k):
        if path.suffix == ".parquet":
            count.append(path)
            if len(count) == 2:
                raise KeyboardInterrupt
        return real(path, *a, **k)

    monkeypatch.setattr(type(tmp_path), "unlink", unlink)
    with pytest.raises(KeyboardInterrupt):
        execute(changed, tmp_path / "r", update=True)
    monkeypatch.undo()
    assert len(pd.read_parquet(tmp_path / "r" / "replicates")) == 12
    rows = execute(changed, tmp_path / "r", update=True)
    assert_same_rows(rows, execute(changed, tmp_path / "fresh"))


def test_rows_of_limits_are_computed_again_when_the_limits_change(plugins, tmp_path, fits):
    execute(suite_of(plugins, timeout=5, memory="2GB"), tmp_path / "r")
    (path,) = shards.paths(tmp_path / "r")
    rows = pq.read_table(path).to_pandas()
    rows.loc[[0, 5], ["status", "reason"]] = ["timeout", "took longer than 5 s"]
    rows.loc[3, ["status", "reason"]] = ["memory", "used more than 2 GB"]
    import pyarrow as pa

    from cibench.storage.schema import schema

    shards.write(path, pa.Table.from_pandas(rows, schema(), preserve_index=False))
    for limits, again in (
        ({"timeout": 5, "memory": "2GB"}, 0), ({"timeout": 5, "memory": "3GB"}, 1),
        ({"timeout": 9, "memory": "3GB"}, 2), ({"timeout": 9, "memory": "3GB"}, 0),
    ):  # fmt: skip
        del fits[:]
        rows = execute(suite_of(plugins, **limits), tmp_path / "r")
        assert len(fits) == again and len(rows) == 12
    assert_same_rows(rows, execute(suite_of(plugins), tmp_path / "fresh"))


# --- bad input, and bad luck


def test_a_damaged_shard_is_named_and_repaired(plugins, tmp_path, fits):
    suite = suite_of(plugins, CELL | {"n": [10, 20]})
    rows = execute(suite, tmp_path / "r", tuning=APART)
    _, two = shards.paths(tmp_path / "r")
    content = two.read_bytes()
    flipped = bytearray(content)
    flipped[content.index(b"resume/mean") + 3] ^= 1
    for bad in (content[: len(content) // 2], b"", bytes(flipped)):
        two.write_bytes(bad)
        before = files(tmp_path / "r")
        with pytest.raises(BadInput, match=rf"{two}: not readable: .*--repair"):
            execute(suite, tmp_path / "r")
        assert {k for k, v in files(tmp_path / "r").items() if before.get(k) != v} <= {".lock"}
        del fits[:]
        again = execute(suite, tmp_path / "r", repair=True, tuning=APART)
        assert_same_rows(again, rows)
        assert len(fits) == 12
    assert len(list((tmp_path / "r" / "damaged").iterdir())) == 3
    doubled = two.with_name("cell-00001-00009.parquet")
    doubled.write_bytes(two.read_bytes())
    with pytest.raises(BadInput, match="it holds rows that are stored already"):
        execute(suite, tmp_path / "r")
    assert_same_rows(execute(suite, tmp_path / "r", repair=True), rows)


def test_what_is_no_run_folder_or_a_newer_one_is_refused_untouched(plugins, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(BadInput, match="is not empty and not a run folder"):
        execute(suite_of(plugins), tmp_path / "full")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadInput, match="is a file, not a folder"):
        execute(suite_of(plugins), tmp_path / "file")
    execute(suite_of(plugins), tmp_path / "r")
    path = tmp_path / "r" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    before = files(tmp_path / "r")
    with pytest.raises(BadInput, match="whose format is newer"):
        execute(suite_of(plugins), tmp_path / "r")
    assert files(tmp_path / "r") == before
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("killed_before", ["suite.toml", "catalogue.json", "manifest.json"])
def test_a_run_killed_while_it_lays_out_its_folder_can_begin_again(
    plugins, tmp_path, monkeypatch, killed_before
):
    from cibench.utils import files as on_disk

    real = on_disk.write_atomically

    def write(path, fill, **more):
        if path.name == killed_before:
            path.with_name(f".{path.name}.1.tmp").write_text("half")
            raise SystemExit
        real(path, fill, **more)

    monkeypatch.setattr(on_disk, "write_atomically", write)
    with pytest.raises(SystemExit):
        execute(suite_of(plugins), tmp_path / "r")
    monkeypatch.undo()
    assert len(execute(suite_of(plugins), tmp_path / "r")) == 12


def test_a_second_process_is_refused(plugins, tmp_path):
    execute(suite_of(plugins), tmp_path / "r")
    code = (
        "import sys, time; from pathlib import Path; from cibench.storage.lock import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "r")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BadInput, match=f"is in use by another run: process {other.pid} on"):
            execute(suite_of(plugins, replicates=7), tmp_path / "r")
        other.kill()
    assert len(execute(suite_of(plugins, replicates=7), tmp_path / "r")) == 14
    from cibench.storage.lock import locked

    with (
        locked(tmp_path / "r"), pytest.raises(BadInput, match="is in use by this process"),
        locked(tmp_path / "r"),
    ):  # fmt: skip
        pass


def test_a_full_disk_is_a_clear_error_and_what_was_stored_stays(plugins, tmp_path, monkeypatch):
    suite = suite_of(plugins, CELL | {"n": [10, 20]}, replicates=30)
    at_once = Tuning(block_seconds=1e-9, flush_seconds=0)
    real, written = pq.write_table, []

    def write_table(table, path, **options):
        if len(written) == 20:
            path.write_bytes(b"as far as it went")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(path)
        real(table, path, **options)

    monkeypatch.setattr(pq, "write_table", write_table)
    with pytest.raises(BadInput, match="r: No space left on device; what is stored stays, and the"):
        execute(suite, tmp_path / "r", tuning=at_once)
    assert len(pd.read_parquet(tmp_path / "r" / "replicates")) == 80
    assert not list((tmp_path / "r" / "replicates").glob(".*"))
    monkeypatch.undo()
    assert_same_rows(execute(suite, tmp_path / "r"), execute(suite, tmp_path / "fresh"))


def test_a_folder_that_cannot_be_written_is_refused(plugins, tmp_path):
    execute(suite_of(plugins), tmp_path / "r")
    code = (
        "import fcntl, os, sys\n"
        "from cibench.storage.lock import locked\n"
        "from pathlib import Path\n"
        "from cibench.utils.errors import BadInput\n"
        "if os.getuid() == 0: os.setuid(65534)\n"  # root may write anywhere
        "try:\n    locked(Path(sys.argv[1])).__enter__()\n"
        "except BadInput as error: print(error)\n"
    )
    for path in (tmp_path / "r" / ".lock", tmp_path / "r"):
        path.chmod(0o555)
    # from within: the folders above are closed to the other user
    done = python("-c", code, ".", folder=tmp_path / "r")
    (tmp_path / "r").chmod(0o755)
    assert done.stdout == ". cannot be written: Permission denied\n"


def test_a_truncated_fit_is_run_again(tmp_path, plugins, fits):
    """Rows of one fit go together: half a fit in a shard counts as none."""
    suite = parse_suite(
        {"name": "t", "seed": 1, "replicates": 3, "cells": [
            {"scenario": "did/staggered", "n": 40, "estimators": ["oracle/experiment"]}]}
    )  # fmt: skip
    rows = execute(suite, tmp_path / "r")
    assert len(rows) > 3 and len(fits) == 3
    (path,) = shards.paths(tmp_path / "r")
    table = pq.read_table(path)
    shards.write(path, table.filter(np.arange(table.num_rows) != 1))
    assert_same_rows(execute(suite, tmp_path / "r"), rows)
    assert len(fits) == 4
