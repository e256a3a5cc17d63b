"""What a fit starts and detaches ends with the run, however its worker or the run ends."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from toys import plugin

from cibench.execution import RunSettings, Tuning, execute
from cibench.results.run_folder import Run
from cibench.suite.parse import parse_suite
from cibench.workers import processes

PLUGIN = plugin(
    "detached",
    """
import subprocess

def note(pid):
    with open(os.path.join(os.path.dirname(__file__), f"pid-{pid}"), "w"): pass

def session():
    "Leave a program in a session of its own, without an environment."
    args = {"stdin": subprocess.DEVNULL, "env": {}}
    note(subprocess.Popen(["/bin/sleep", "300"], start_new_session=True, **args).pid)

def daemon():
    "Fork twice, so that init would adopt what stays."
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            note(os.getpid())
            time.sleep(300)
        os._exit(0)

def bad(fit):
    name = fit.__name__.replace("_", "-")
    return estimator(f"detached/{name}", targets=ATE)(fit)

def answer(problem): return Estimate.wald(contrast(problem), 1.0, problem.level)

@bad
def answers(problem, rng):
    session(), daemon()
    return answer(problem)

@bad
def crashes(problem, rng):
    session(), daemon()
    time.sleep(0.1)
    os.abort()

@bad
def exits(problem, rng):
    session(), daemon()
    os._exit(3)

@bad
def hangs(problem, rng):
    session(), daemon()
    time.sleep(300)

@bad
def ends_its_group(problem, rng):
    session(), daemon()
    os.killpg(0, signal.SIGTERM)
    time.sleep(300)
""",
)

pytestmark = [
    pytest.mark.usefixtures("shelves"),
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere what leaves its group escapes"),
]


@pytest.fixture
def suite(tmp_path):
    (tmp_path / "detached.py").write_text(PLUGIN)

    def made(methods, **more):
        cell = {"scenario": "detached/randomised", "n": 20, "estimators": methods}
        spec = {"name": "detached", "seed": 1, "replicates": 2, "cells": [cell], **more}
        return spec | {"plugins": [str(tmp_path / "detached.py")]}

    return made


def alive(folder, at_least):
    """Return those that fits have left and that live, once the last has ended or 5 s are over."""
    end = time.monotonic() + 5
    while True:
        pids = [int(path.name[4:]) for path in folder.glob("pid-*")]
        left = [pid for pid in pids if psutil.pid_exists(pid) and _runs(pid)]
        if not left or time.monotonic() > end:
            assert len(pids) >= at_least
            return left
        time.sleep(0.02)


def _runs(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


METHODS = {
    "answers": "ok", "crashes": "crashed", "exits": "crashed", "hangs": "timeout",
    "ends-its-group": "crashed",
}  # fmt: skip


def test_none_is_alive_after_a_run_whatever_became_of_its_workers(suite, tmp_path):
    spec = suite("detached/*", timeout=1)
    execute(parse_suite(spec), tmp_path / "run", RunSettings(2, tuning=Tuning(check_seconds=0.2)))
    rows = Run(tmp_path / "run").replicates
    statuses = rows.groupby("estimator")["status"].agg(lambda x: "/".join(sorted(set(x))))
    assert statuses.to_dict() == {f"detached/{name}": status for name, status in METHODS.items()}
    assert not alive(tmp_path, 2 * 2 * len(METHODS))


def test_none_is_alive_after_a_run_on_a_cluster(suite, tmp_path):
    distributed = pytest.importorskip("distributed")
    import dask

    with (
        dask.config.set({"distributed.worker.daemon": False}),
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address=":0", silence_logs=50
        ) as made,
    ):
        executor = made.scheduler_address.replace("tcp://", "dask://")
        spec = suite(["detached/answers", "detached/exits"])
        execute(parse_suite(spec), tmp_path / "run", RunSettings(executor=executor, checks=False))
        assert not alive(tmp_path, 8)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_none_is_alive_after_a_run_that_was_ended(suite, tmp_path, ending):
    spec = suite(["detached/answers", "detached/hangs"], replicates=2000)
    (tmp_path / "suite.json").write_text(json.dumps(spec))
    code = (
        "import json, signal, sys\nfrom pathlib import Path\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from cibench.execution import RunSettings, Tuning, execute\n"
        "from cibench.suite.parse import parse_suite\n"
        "suite = parse_suite(json.loads(Path('suite.json').read_text()))\n"
        "execute(suite, Path('run'), RunSettings(2, checks=False))\n"
    )
    driver = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while len(list(tmp_path.glob("pid-*"))) < 6 and time.monotonic() < end:
        time.sleep(0.05)
    os.kill(driver.pid, ending)
    driver.wait(30)
    assert not alive(tmp_path, 6)


def test_elsewhere_they_are_known_by_what_they_inherit(tmp_path):
    """Without a guard: a worker that leads its group, and a program in a session of its own."""
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"],
                              start_new_session=True)  # fmt: skip
    marked = {**os.environ, processes.WORKER: str(worker.pid)}
    other = {**os.environ, processes.WORKER: str(os.getpid())}
    heir, stranger = (
        subprocess.Popen(["/bin/sleep", "300"], env=env, start_new_session=True)
        for env in (marked, other)
    )
    processes.end_group(worker.pid)
    assert [child.wait(10) for child in (worker, heir)] == [-signal.SIGKILL] * 2
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()
