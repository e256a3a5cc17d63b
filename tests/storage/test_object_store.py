"""A run at a URL is the run of a folder, and goes on from what the URL holds."""

import json
import os
import time

import pandas as pd
import pytest

import cibench
from cibench.storage import manifest, object_store
from cibench.storage.object_store import Mirror, mirrored
from cibench.storage.schema import MAY_DIFFER
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


def stable(rows):
    return rows.drop(columns=list(MAY_DIFFER)).reset_index(drop=True)


def names(url):
    found, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
    return sorted(path[len(root) :].lstrip("/") for path in found.find(root))


def test_a_run_in_a_bucket_is_what_it_is_in_a_folder(bucket, suite, tmp_path):
    here = cibench.run(suite, tmp_path / "here")
    there = cibench.run(suite, bucket)
    loaded = cibench.load(bucket)
    assert there.place == loaded.place == bucket
    for run in (there, loaded):
        pd.testing.assert_frame_equal(
            stable(run.replicates), stable(here.replicates), check_exact=True
        )
    assert "replicates/cell-00000-00000.parquet" in names(bucket) and ".lock" not in names(bucket)
    rows = pd.read_parquet(f"{bucket}/replicates")  # as anybody reads it
    pd.testing.assert_frame_equal(stable(rows), stable(here.replicates), check_exact=True)
    longer = cibench.run(suite.with_replicates(20), bucket)
    more = cibench.run(suite.with_replicates(20), tmp_path / "more")
    pd.testing.assert_frame_equal(stable(longer.replicates), stable(more.replicates))
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


def test_a_driver_that_dies_leaves_what_was_copied(bucket, suite, tmp_path, monkeypatch):
    """Interrupt without a farewell, as SIGKILL does, then go on from the URL alone."""
    monkeypatch.setattr(object_store, "EVERY", 0.05)
    monkeypatch.setattr("cibench.storage.writer.FLUSH_SECONDS", 0.0)
    monkeypatch.setattr("cibench.execution.blocks.BLOCK_SECONDS", 1e-9)
    real = Mirror.push, Mirror.unlock

    def listen(progress):
        time.sleep(0.02)
        if progress.done > 30 and any("cell-00001" in name for name in names(bucket)):
            Mirror.push = Mirror.unlock = lambda self: None
            raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt), mirrored(bucket) as (folder, _):
            cibench.execution.runner.execute(suite, folder, 1, False, listen)
    finally:
        Mirror.push, Mirror.unlock = real
    left = len(cibench.load(bucket).replicates)
    assert 20 <= left < 48
    with pytest.raises(BadInput, match=rf"{bucket} is in use by process {os.getpid()} on"):
        cibench.run(suite, bucket)
    monkeypatch.setattr(object_store, "LEASE", 0.0)
    whole, fresh = cibench.run(suite, bucket), cibench.run(suite, tmp_path / "fresh")
    order = ["n", "replicate", "estimator"]
    pd.testing.assert_frame_equal(
        stable(whole.replicates.sort_values(order)), stable(fresh.replicates.sort_values(order)),
        check_exact=True,
    )  # fmt: skip


def test_a_run_that_loses_its_url_stops(bucket, suite, monkeypatch):
    monkeypatch.setattr(object_store, "EVERY", 0.02)
    monkeypatch.setattr("cibench.execution.blocks.BLOCK_SECONDS", 1e-9)
    found, root = fsspec.core.url_to_fs(bucket)
    said = {"token": "other", "process": 1, "host": "elsewhere", "updated": time.time()}

    def listen(progress):
        found.pipe_file(f"{root}/.lock", json.dumps(said).encode())
        time.sleep(0.1)
        copying.check()

    with (
        pytest.raises(BadInput, match="is in use by process 1 on elsewhere"),
        mirrored(bucket) as (folder, copying),
    ):
        cibench.execution.runner.execute(suite, folder, 1, False, listen)
    assert json.loads(found.cat_file(f"{root}/.lock"))["token"] == "other"


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
