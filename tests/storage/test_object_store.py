"""A run at a URL is the run of a folder, and goes on from what the URL holds."""

import contextlib
import json
import os
import time

import pandas as pd
import pyarrow as pa
import pytest
from hostile import EDIT, SAME_FOLDER, edited_json, nothing_changes, refusal
from hypothesis import given
from hypothesis import strategies as st
from replicates import assert_same_rows
from toys import plugin

import cibench
from cibench.execution import RunSettings, Tuning
from cibench.results.run_folder import Run
from cibench.storage import manifest, object_store, shards
from cibench.storage.lock import LOCK
from cibench.storage.object_store import Mirror, fetched
from cibench.storage.schema import ADDRESS
from cibench.suite.parse import parse_suite
from cibench.utils.errors import BadInput

fsspec = pytest.importorskip("fsspec")

SUITE = """
name = "far"
seed = 4
replicates = 12
[[cells]]
scenario = "did/two-group"
n = [20, 40]
estimators = ["naive/difference-in-means", "panel/first-difference"]
"""


FIGURES = (
    "scenario,n,estimator,measure,value,source\n"
    "did/two-group,20,panel/first-difference,bias,0.1,nowhere\n"
)

REPLAYED = (
    "--scenario", "did/two-group", "--n", "20", "--replicate", "3",
    "--estimator", "panel/first-difference",
)  # fmt: skip


@pytest.fixture(scope="module")
def server():
    """Start an S3 server in this process and return its address."""
    pytest.importorskip("s3fs")
    from moto.server import ThreadedMotoServer

    made = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    made.start()
    host, port = made.get_host_and_port()
    yield f"http://{host}:{port}"
    made.stop()


@pytest.fixture
def bucket(server, monkeypatch):
    """Return the URL of a folder in a bucket that is there."""
    for name, value in (
        ("AWS_ENDPOINT_URL", server), ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    store_, _ = fsspec.core.url_to_fs("s3://runs")
    if not store_.exists("runs"):
        store_.mkdir("runs")
    return f"s3://runs/{time.time_ns()}"


@pytest.fixture
def suite():
    import tomllib

    return parse_suite(tomllib.loads(SUITE))


def names(url):
    found, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
    return sorted(path[len(root) :].lstrip("/") for path in found.find(root))


def test_a_run_in_a_bucket_is_what_it_is_in_a_folder(bucket, suite, tmp_path):
    here = cibench.run(suite, tmp_path / "here")
    there = cibench.run(suite, bucket)
    loaded = cibench.load(bucket)
    assert there.place == loaded.place == bucket
    for run in (there, loaded):
        assert_same_rows(run.replicates, here.replicates)
    assert "replicates/cells-00000-00001-00000.parquet" in names(bucket)
    assert ".lock" not in names(bucket)
    rows = pd.read_parquet(f"{bucket}/replicates")  # as anybody reads it
    assert_same_rows(rows, here.replicates)
    longer = cibench.run(suite.with_replicates(20), bucket)
    more = cibench.run(suite.with_replicates(20), tmp_path / "more")
    assert_same_rows(longer.replicates, more.replicates)
    with pytest.raises(BadInput, match=rf"^{bucket} holds rows that today would be others"):
        cibench.run(suite, bucket)


def test_the_commands_take_a_url(bucket, tmp_path, call):
    (tmp_path / "far.toml").write_text(SUITE)
    for words, said in (
        (["run", "far.toml", "--out", bucket, "--workers", "1"], f"report: {bucket}/report.html"),
        (["status", bucket], "finished: 48 of 48 rows are stored"),
        (["score", bucket], f"scores: {bucket}/scores.csv"),
        (["run", bucket, "--workers", "1"], f"report: {bucket}/report.html"),
        (["report", bucket], f"report: {bucket}/report.html"),
        (["replay", bucket, *REPLAYED, "--out", "again"], "made again it is the s"),
    ):
        code, out, _ = call(*words)
        assert code == 0 and said in out
    assert {"report.html", "scores.csv", "manifest.json"} <= set(names(bucket))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "far.toml"]


def test_a_driver_that_dies_leaves_what_was_copied(bucket, suite, tmp_path):
    """Interrupt without a farewell, as SIGKILL does, then go on from the URL alone."""
    at_once = Tuning(block_seconds=1e-9, flush_seconds=0, copy_seconds=0.05, shard_rows=12)
    real = Mirror.push, Mirror.unlock

    def listen(progress):
        time.sleep(0.02)
        if progress.done > 30 and any("cell-00001" in name for name in names(bucket)):
            Mirror.push = Mirror.unlock = lambda self: None
            raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt, match=r"^\d\d of 48 rows are stored$"):
            cibench.run(suite, bucket, settings=RunSettings(listen=listen, tuning=at_once))
    finally:
        Mirror.push, Mirror.unlock = real
    left = len(cibench.load(bucket).replicates)
    assert 20 <= left < 48
    with pytest.raises(BadInput, match=rf"{bucket} is in use by process {os.getpid()} on"):
        cibench.run(suite, bucket)
    now = RunSettings(tuning=Tuning(lease_seconds=0))
    whole, fresh = cibench.run(suite, bucket, settings=now), cibench.run(suite, tmp_path / "fresh")
    order = ["n", "replicate", "estimator"]
    assert_same_rows(whole.replicates, fresh.replicates, order=order)


class Ended(BaseException):
    """Stands for the end of the driver."""


class Mortal:
    """Hand requests on to a store, until the driver ends before one that changes something."""

    def __init__(self, store, requests):
        self.store, self.requests, self.count = store, requests, 0

    def __getattr__(self, name):
        if name in ("put_file", "cp_file", "rm_file", "pipe_file"):
            self.count += 1
            if self.count > self.requests:
                raise Ended
        return getattr(self.store, name)


def end_after(monkeypatch, requests):
    """Let mirrors make so many more requests that change something; return their stores."""
    real, stores = Mirror.__init__, []

    def init(self, *words):
        real(self, *words)
        self._fs = Mortal(self._fs, requests)
        stores.append(self._fs)

    monkeypatch.setattr(Mirror, "__init__", init)
    return stores


def test_no_shard_is_lost_at_a_url_whichever_request_is_the_last(bucket, tmp_path, monkeypatch):
    def suite_of(sizes, replicates):
        cell = {"scenario": "did/two-group", "n": sizes, "estimators": "did/collapsed"}
        return parse_suite({"name": "t", "seed": 1, "replicates": replicates, "cells": [cell]})

    one_by_one = Tuning(block_seconds=1e-9, shard_rows=4, copy_seconds=60, lease_seconds=0)
    now = RunSettings(checks=False, tuning=one_by_one)
    first, later = suite_of([20, 30], 6), suite_of([30, 20], 8)
    fresh = cibench.run(later, tmp_path / "fresh", settings=now)
    cibench.run(first, tmp_path / "first", settings=now)
    for path in shards.paths(tmp_path / "first"):
        table = shards.read(path)
        place = table.schema.get_field_index("seconds")
        stored = pa.array([-1.0] * table.num_rows, pa.float64())
        shards.write(path, table.set_column(place, table.schema.field(place), stored))
    store, _ = fsspec.core.url_to_fs("s3://runs")
    requests, alive = 1, False
    while not alive:
        url = f"{bucket}-{requests}"
        store.put(str(tmp_path / "first"), url, recursive=True)
        with monkeypatch.context() as patches, contextlib.suppress(Ended):
            stores = end_after(patches, requests)
            cibench.run(later, url, settings=now)
        alive = stores[0].count <= requests
        with fetched(url) as copy:
            rows = Run(copy).replicates
            assert not rows.duplicated(list(ADDRESS)).any()
            assert (rows["seconds"] == -1).sum() == 12
        whole = cibench.run(later, url, settings=now).replicates
        assert (whole["seconds"] == -1).sum() == 12
        assert_same_rows(whole, fresh.replicates, order=["n", "replicate"])
        assert not any(name.startswith(".") for name in names(url) if name != ".status.json")
        requests += 3
    assert requests > 20


def test_a_run_that_loses_its_url_stops(bucket, suite):
    often = Tuning(block_seconds=1e-9, copy_seconds=0.02)
    found, root = fsspec.core.url_to_fs(bucket)
    said = {"token": "other", "process": 1, "host": "elsewhere", "updated": time.time()}

    heard = []

    def listen(progress):
        heard.append(progress.done)
        found.pipe_file(f"{root}/.lock", json.dumps(said).encode())
        time.sleep(0.1)

    with pytest.raises(BadInput, match="is in use by process 1 on elsewhere"):
        cibench.run(suite, bucket, settings=RunSettings(listen=listen, tuning=often))
    assert heard[-1] < 48
    assert json.loads(found.cat_file(f"{root}/.lock"))["token"] == "other"


INTERRUPTS = plugin(
    "far",
    """
@estimator("far/interrupts", targets=ATE)
def interrupts(problem, rng):
    \"\"\"Send the driver a Ctrl-C, once, when a few data sets are answered.\"\"\"
    if problem.outcome[0] > 1 and not os.path.exists("SENT"):
        open("SENT", "w").close()
        os.kill(DRIVER, signal.SIGINT)
        time.sleep(60)
    return Estimate.wald(problem.outcome.mean(), 1.0, problem.level)
""",
)


def test_ctrl_c_says_how_to_go_on_at_the_url_and_so_it_does(bucket, tmp_path, call, shelves):
    text = INTERRUPTS.replace("SENT", str(tmp_path / "sent")).replace("DRIVER", str(os.getpid()))
    (tmp_path / "far.py").write_text(text)
    (tmp_path / "far.toml").write_text(
        'name = "far"\nseed = 4\nreplicates = 40\nplugins = ["far.py"]\n[[cells]]\n'
        'scenario = "far/randomised"\nn = 20\nestimators = ["far/interrupts"]\n'
    )
    code, _, err = call("run", "far.toml", "--out", bucket, "--workers", 1)
    stored = len(cibench.load(bucket).replicates)
    assert code == 130 and 0 < stored < 40
    assert err.splitlines()[-1] == (
        f"cibench: interrupted: {stored} of 40 rows are stored; to go on from there: "
        f"cibench run {bucket}"
    )
    assert call("run", bucket, "--workers", 1).code == 0
    assert len(cibench.load(bucket).replicates) == 40


def test_a_published_table_comes_with_the_suite_of_a_url(bucket, tmp_path, call):
    """What a suite at a URL names beside it is there while another place is run."""
    (tmp_path / "figures.csv").write_text(FIGURES)
    (tmp_path / "far.toml").write_text(f'published = "figures.csv"\n{SUITE}')
    cibench.run(tmp_path / "far.toml", bucket)
    for words in (["run", bucket], ["run", bucket, "--out", "other"]):
        assert call(*words, "--workers", 1).code == 0
    assert (tmp_path / "other" / "published.csv").read_text() == FIGURES


def test_what_is_wrong_with_a_url_is_one_line(bucket, suite, tmp_path):
    with pytest.raises(BadInput, match=r"^s3://nobody/run: \S+"):
        cibench.run(suite, "s3://nobody/run")
    with pytest.raises(BadInput, match=r"^wrong://x/run: ValueError: Protocol not known: wrong"):
        cibench.run(suite, "wrong://x/run")
    with pytest.raises(BadInput, match="is not a run folder: there is nothing"):
        cibench.load(f"{bucket}/nothing")


def test_a_folder_by_url_is_a_folder(suite, tmp_path):
    url = f"file://{tmp_path}/far/run"
    cibench.run(suite, url)
    assert manifest.read_manifest(tmp_path / "far" / "run")["finished"]
    assert len(cibench.load(url).replicates) == 48


@pytest.mark.parametrize("text", ["", '{"token": "x', "[]"])
@pytest.mark.parametrize("local", [True, False])
def test_what_a_driver_left_with_an_unreadable_lock_is_gone_on_with(suite, tmp_path, text, local):
    """It died while it wrote its lock, before its manifest was there."""
    url = f"file://{tmp_path}/far" if local else f"memory://{tmp_path.name}/far"
    store, root = fsspec.core.url_to_fs(url)
    for name, content in ((object_store.LOCK, text), (manifest.SUITE, SUITE)):
        store.makedirs(root, exist_ok=True)
        store.pipe_file(f"{root}/{name}", content.encode())
    cibench.run(suite, url)
    assert cibench.load(url).manifest["finished"]
    assert object_store.LOCK not in names(url)


@pytest.mark.parametrize("part", [0, 20])
def test_a_lock_in_a_folder_is_never_seen_in_part(tmp_path, monkeypatch, part):
    """Renewed every few seconds: who came just then took it for a URL that nobody has."""
    copy = tmp_path / "copy"
    copy.mkdir()
    mirror, other = (Mirror(f"file://{tmp_path}/far", copy) for _ in range(2))
    mirror.lock(60)

    def broken(path, value, **_):
        (tmp_path / path).write_bytes(value[:part])
        raise OSError("the machine stopped")

    with monkeypatch.context() as here:
        here.setattr(type(mirror._fs), "pipe_file", lambda self, path, value: broken(path, value))
        with pytest.raises(BadInput, match="the machine stopped"):
            mirror.lock(60)
    with pytest.raises(BadInput, match="is in use by process"):
        other.lock(60)
    mirror.recover()
    mirror.lock(60)  # renewed: what was left on its way is written anew and takes its place
    assert names(f"file://{tmp_path}/far") == [object_store.LOCK]


@pytest.mark.parametrize("evil", ["../../escaped", "replicates/../../escaped", "a\\..\\escaped"])
def test_a_key_that_leads_out_of_the_folder_is_refused_and_nothing_written(
    tmp_path, monkeypatch, evil
):
    """A store's keys are its owner's, and a copy is made of what they name."""
    copy = tmp_path / "deep" / "er" / "copy"
    copy.mkdir(parents=True)
    mirror = Mirror("memory://evil/run", copy)
    keys = [f"{mirror._root}/manifest.json", f"{mirror._root}/{evil}"]
    monkeypatch.setattr(mirror._fs, "find", lambda root: keys)
    with pytest.raises(BadInput, match="is no name of a file in that folder"):
        mirror.fetch()
    monkeypatch.setattr(mirror._fs, "find", lambda root: [f"{root}/.staged/journal.json"])
    journal = json.dumps({"put": [evil], "removed": []}).encode()
    monkeypatch.setattr(mirror._fs, "cat_file", lambda path: journal)
    monkeypatch.setattr(mirror._fs, "size", lambda path: len(journal))
    for read in (mirror.fetch, mirror.recover):
        with pytest.raises(BadInput, match="is no name of a file in that folder"):
            read()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


LOCKED = {"token": "t", "process": 1, "host": "h", "updated": 1.0}
MOVED = {"put": ["replicates/a.parquet"], "removed": ["b.csv"]}


@SAME_FOLDER
@given(edit=EDIT, journal=st.booleans(), local=st.booleans())
def test_an_edited_journal_or_lock_is_read_or_refused(tmp_path_factory, edit, journal, local):
    """It lies beside a run in a stranger's store, or in a folder by its URL."""
    place = tmp_path_factory.mktemp("store")
    copy = place / "copy"
    copy.mkdir()
    url = f"file://{place}/run" if local else f"memory://{place.name}/run"
    mirror = Mirror(url, copy)
    name, content = (".staged/journal.json", MOVED) if journal else (object_store.LOCK, LOCKED)
    files = {
        "manifest.json": b"{}", "b.csv": b"x", ".staged/replicates/a.parquet": b"x",
        name: edited_json(json.dumps(content).encode(), edit),
    }  # fmt: skip
    for key, data in files.items():
        mirror._fs.makedirs(f"{mirror._root}/{key}".rpartition("/")[0], exist_ok=True)
        mirror._fs.pipe_file(f"{mirror._root}/{key}", data)

    def everything():
        mirror.lock(1.0)
        mirror.recover()
        mirror.fetch()
        mirror.unlock()

    (place / "outside").mkdir()
    (place / "outside" / "mine").write_text("mine")
    with nothing_changes(place / "outside"):
        refusal(everything, url)
    assert {path.name for path in place.iterdir()} <= {"copy", "run", "outside"}


@pytest.mark.parametrize("name", ["replicates", ".staged", "manifest.json"])
def test_a_link_in_a_folder_by_its_url_is_neither_read_nor_written_through(tmp_path, name):
    outside, copy = tmp_path / "outside", tmp_path / "copy"
    (outside / "replicates").mkdir(parents=True)
    (outside / "mine").write_text("mine")
    for folder in (copy / "replicates", tmp_path / "run"):
        folder.mkdir(parents=True)
    (copy / "replicates" / "a.parquet").write_bytes(b"x")
    (copy / "manifest.json").write_text("{}")
    to = outside if "." not in name[1:] else outside / "mine"
    (tmp_path / "run" / name).symlink_to(to)

    def everything():
        mirror = Mirror(f"file://{tmp_path}/run", copy)
        mirror.recover()
        mirror._known = {"replicates/a.parquet": (0, 0, 0)}
        mirror._rearranged = True
        mirror.push()
        mirror.fetch()

    with nothing_changes(outside):
        (line,) = refusal(everything)
    assert f"{name} is a link, which is not followed" in line


def test_a_hold_that_is_renewed_while_shards_take_their_places_is_whole(tmp_path, monkeypatch):
    """One thread renews it at any moment, another one clears what lies beside the run."""
    (tmp_path / "copy").mkdir()
    mirror = Mirror(f"file://{tmp_path}/far", tmp_path / "copy")
    mirror.lock(60)
    pipe_file = mirror._fs.pipe_file

    def pipe(target: str, content: bytes) -> None:
        pipe_file(target, content)
        mirror.recover()

    monkeypatch.setattr(mirror._fs, "pipe_file", pipe)
    mirror.lock(60)
    held = json.loads((tmp_path / "far" / LOCK).read_text())
    assert held["process"] == os.getpid()
    assert [path.name for path in (tmp_path / "far").iterdir()] == [LOCK]
