"""A dask cluster gives the rows of one process, whatever becomes of its workers."""

import contextlib
import multiprocessing
import os
import pickle
import pickletools
import signal
import socket
import subprocess
import sys
import time

import pandas as pd
import psutil
import pytest
from commands import python
from replicates import stable
from toys import plugin

from cibench.execution import RunSettings, Tuning, blocks
from cibench.execution import execute as run_suite
from cibench.execution.blocks import Cutter
from cibench.storage import provenance
from cibench.storage.inventory import Inventory
from cibench.storage.schema import ADDRESS
from cibench.suite.parse import parse_suite
from cibench.utils.addresses import parse
from cibench.utils.errors import BadInput
from cibench.workers import dask as cluster
from cibench.workers.dask import Terms, _check
from cibench.workers.supervisor import Limits

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")

PLUGIN = plugin(
    "cluster",
    """
@estimator("cluster/slow", targets=(Estimand.ATE,))
def slow(problem, rng):
    time.sleep(0.005)
    return Estimate.wald(rng.normal(), 1.0, problem.level)

@estimator("cluster/quick", targets=(Estimand.ATE,))
def quick(problem, rng):
    return Estimate.wald(problem.outcome.mean() + np.random.normal(), 1.0, problem.level)

@estimator("cluster/dies", targets=(Estimand.ATE,))
def dies(problem, rng):
    if problem.outcome[0] > 1.8:
        ctypes.string_at(0)
    return Estimate.wald(problem.outcome.mean(), 1.0, problem.level)
""",
)
GOOD = ("cluster/slow", "cluster/quick")

pytestmark = pytest.mark.usefixtures("shelves")


@pytest.fixture
def suite_of(tmp_path):
    (tmp_path / "plugin.py").write_text(PLUGIN)

    def made(estimators=GOOD, replicates=150, **more):
        cell = {"scenario": "cluster/randomised", "n": [10, 20], "estimators": list(estimators)}
        plugins = [str(tmp_path / "plugin.py")]
        spec = {"name": "t", "seed": 1, "replicates": replicates, "plugins": plugins, **more}
        return parse_suite({**spec, "cells": [cell]})

    return made


@pytest.fixture(scope="module")
def workers():
    """Start two workers and return what says their address and processes."""
    with (
        dask.config.set({"distributed.worker.daemon": False}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50
        ) as made,
    ):
        yield made


def address(workers):
    return workers.scheduler_address.replace("tcp://", "dask://")


def processes(workers):
    return {nanny.process.pid for nanny in workers.workers.values()}


def execute(suite, folder, **more):
    run_suite(suite, folder, RunSettings(**more))
    rows = pd.read_parquet(folder / "replicates")
    assert not rows.duplicated(list(ADDRESS)).any()
    return stable(rows, ["n", "replicate", "estimator"])


def test_serial_two_processes_and_a_cluster_give_the_same_rows(suite_of, tmp_path, workers):
    serial = execute(suite_of(), tmp_path / "serial")
    two = execute(suite_of(), tmp_path / "two", workers=2)
    there = execute(suite_of(), tmp_path / "dask", executor=address(workers))
    pd.testing.assert_frame_equal(two, serial, check_exact=True)
    pd.testing.assert_frame_equal(there, serial, check_exact=True)
    for pid in processes(workers):  # only the forkserver and its helper stay
        left = psutil.Process(pid).children(recursive=True)
        assert not [p for p in left if os.getpgid(p.pid) == p.pid]


def test_a_worker_killed_half_way_costs_nothing_but_time(suite_of, tmp_path, workers):
    before, killed = processes(workers), []

    def listen(progress):
        if progress.done > progress.total / 3 and not killed:
            killed.append(min(before))
            os.kill(min(before), signal.SIGKILL)

    how = {"executor": address(workers), "tuning": Tuning(block_seconds=0.1)}
    there = execute(suite_of(), tmp_path / "dask", listen=listen, **how)
    assert killed
    serial = execute(suite_of(), tmp_path / "serial")
    pd.testing.assert_frame_equal(there, serial, check_exact=True)


@pytest.mark.slow
def test_a_scheduler_killed_half_way_ends_the_run_with_one_line(suite_of, tmp_path):
    port, killed = free_port(), []
    patience = dask.config.set({"distributed.comm.timeouts.connect": "3s"})
    with patience, scheduler_and_worker(port) as scheduler:

        def listen(progress):
            if progress.done > progress.total / 4 and not killed:
                scheduler.kill()
                killed.append(progress.done)

        with pytest.raises(
            BadInput, match=r"^the workers are gone .*the same command goes on"
        ) as said:
            execute(
                suite_of(), tmp_path / "r", executor=f"dask://127.0.0.1:{port}", listen=listen,
                tuning=Tuning(block_seconds=0.05, flush_seconds=0),
            )  # fmt: skip
    assert killed and len(str(said.value).splitlines()) == 1
    kept = len(pd.read_parquet(tmp_path / "r" / "replicates"))
    assert 0 < kept < 600
    went_on = execute(suite_of(), tmp_path / "r")
    serial = execute(suite_of(), tmp_path / "serial")
    pd.testing.assert_frame_equal(went_on, serial, check_exact=True)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextlib.contextmanager
def scheduler_and_worker(port):
    """Start both as processes of their own, as a cluster does, and end what is left of them."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    url, dask = f"tcp://127.0.0.1:{port}", (sys.executable, "-m", "dask")
    environment = {**os.environ, "DASK_DISTRIBUTED__WORKER__DAEMON": "False"}
    scheduler = subprocess.Popen(
        [*dask, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"], **quiet
    )
    worker = subprocess.Popen(
        [*dask, "worker", url, "--nthreads", "1", "--death-timeout", "10", "--no-dashboard"],
        env=environment, **quiet,
    )  # fmt: skip
    try:
        with distributed.Client(url, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(1, timeout=60)
        yield scheduler
    finally:
        scheduler.kill()
        worker.terminate()
        worker.wait(30)


def test_a_fit_that_dies_is_a_row_and_no_worker_goes_with_it(suite_of, tmp_path, workers):
    before = processes(workers)
    suite = suite_of(["cluster/dies", "cluster/quick"], 40)
    there = execute(suite, tmp_path / "dask", executor=address(workers))
    here = execute(suite, tmp_path / "here", workers=2)
    pd.testing.assert_frame_equal(there, here, check_exact=True)
    crashed = there[there["status"] == "crashed"]
    assert 0 < len(crashed) < 20 and set(crashed["estimator"]) == {"cluster/dies"}
    assert processes(workers) == before


def test_blocks_carry_ids_numbers_and_names(suite_of):
    suite = suite_of()
    block = next(Cutter(suite, Inventory(suite), suite.plugins, 1.0).blocks())
    terms = Terms.of(suite, provenance.modules(suite), Limits(1.0, 1e9), idle=600)
    found, words = set(), []
    for code, argument, _ in pickletools.genops(pickle.dumps((terms, block))):
        words.append(argument)
        if code.name == "STACK_GLOBAL":
            found.add(tuple(w for w in words if isinstance(w, str))[-2:])
    assert {name for _, name in found} <= {
        "Terms", "Limits", "Source", "Block", "Truth", "Target", "_interned", "Refits", "Entrant",
    }  # fmt: skip
    assert len(pickle.dumps((terms, block))) < 5000


def test_idle_children_of_a_run_whose_driver_is_gone_are_ended(suite_of):
    suite = suite_of(["cluster/quick"], 2)
    block = next(Cutter(suite, Inventory(suite), suite.plugins, 1.0).blocks())
    left, waits, ends = (Terms.of(suite, (), Limits(), idle) for idle in (600, 600, 0))
    cluster.run_block(left, block)
    (child,) = cluster._crews[left.run].all
    cluster.run_block(waits, block)
    assert child._process.is_alive() and left.run in cluster._crews
    cluster.run_block(ends, block)
    assert not child._process.is_alive() and left.run not in cluster._crews
    cluster.release(ends.run)
    assert waits.run not in cluster._crews and not cluster._crews


def test_blocks_are_longer_where_many_run_at_a_time():
    assert [blocks.seconds(n, 1.0) for n in (1, 100, 400, 1000, 10_000)] == [1, 1, 4, 10, 10]


# --- bad input


def test_nobody_there_is_one_line_at_once(suite_of, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        started = time.monotonic()
        code = (
            f"from cibench.cli import main; main(['run', '--executor', 'dask://127.0.0.1:{port}'])"
        )
        done = python("-c", code, folder=tmp_path)
    assert done.returncode == 2 and time.monotonic() - started < 20
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"cibench: --executor dask://127.0.0.1:{port}: no scheduler answers")
    assert not list(tmp_path.glob("results/*"))


def test_a_port_that_is_no_schedulers_is_refused(suite_of, tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(BadInput, match="no scheduler answers there"):
            execute(
                suite_of(), tmp_path / "r", executor=f"dask://127.0.0.1:{other.getsockname()[1]}",
                tuning=Tuning(greet_seconds=0.5),
            )  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "dask's settings lack distributed.comm.tls.ca-file and distributed.comm.tls.client.c"),
        ({"ca-file": "a.pem"}, "dask's settings lack distributed.comm.tls.client.cert (docs/scale"),
        ({"ca-file": "b.pem", "client.cert": "a.pem"}, "distributed.comm.tls.ca-file: no file 'b."),
        ({"ca-file": "a.pem", "client.cert": "a.pem", "client.key": "a"}, "client.key: no file 'a"),
        ({"ca-file": "a.pem", "client.cert": "a.pem"}, "distributed.comm.tls.client.cert: no cert"),
        ({"ca-file": "A\nB", "client.cert": 3.5}, "distributed.comm.tls.client.cert: no file '3.5"),
    ],
)  # fmt: skip
def test_tls_without_certificates_is_one_line_at_once(
    suite_of, tmp_path, monkeypatch, settings, words
):
    """A port that never speaks: without the look before it, a client waits there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pem").write_text("no certificate")
    fields = ("ca-file", "client.cert", "client.key")
    chosen = {f"distributed.comm.tls.{name}": settings.get(name) for name in fields}
    with dask.config.set(chosen), socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        executor = f"dask+tls://127.0.0.1:{other.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(BadInput) as refusal:
            execute(suite_of(), tmp_path / "r", executor=executor)
    complaint = str(refusal.value)
    assert complaint.startswith(f"--executor {executor}: ") and words in complaint
    assert "\n" not in complaint and time.monotonic() - started < 20


def test_addresses():
    assert parse("dask://host:8786") == ("tcp", "host", 8786)
    assert parse("dask+tls://[::1]:1/") == ("tls", "::1", 1)
    for wrong in ("dask", "dask://host", "http://host:1", "tcp://host:1"):
        with pytest.raises(BadInput, match="is neither 'local' nor a scheduler like dask://host"):
            parse(wrong)


def test_a_worker_that_would_give_other_rows_refuses(suite_of, tmp_path, monkeypatch):
    suite = suite_of()
    terms = Terms.of(suite, (), Limits(), idle=600)
    _check(terms)
    other = replace_version(terms, "numpy", "0.1")
    with pytest.raises(BadInput, match=r"it has numpy \S+, the driver 0\.1"):
        _check(other)
    (tmp_path / "plugin.py").write_text(PLUGIN + "\nassert True\n")
    with pytest.raises(
        BadInput, match=r"its source of scenario cluster/rand\w+ is another and 2 mo"
    ):
        _check(terms)
    (tmp_path / "plugin.py").unlink()
    with pytest.raises(BadInput, match=r"it does not find \S+plugin\.py, where the scenario"):
        _check(terms)
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    with pytest.raises(BadInput, match=r"DASK_DISTRIBUTED__WORKER__DAEMON=False"):
        _check(terms)


def replace_version(terms, name, version):
    versions = tuple((n, version if n == name else v) for n, v in terms.versions)
    return terms._replace(versions=versions)
