"""What `cibench status` says of a run: whose it is, how far it is, and whether it goes on."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from commands import call  # noqa: F401 - a fixture

from cibench.execution import RunSettings, execute
from cibench.execution.progress import STATUS, look
from cibench.results import run as run_suite
from cibench.storage import lock as locks
from cibench.storage.lock import LOCK, locked, owner
from cibench.storage.object_store import Mirror
from cibench.suite.parse import parse_suite

CELL = {"scenario": "did/two-group", "n": 20, "estimators": "did/collapsed"}
SUITE = parse_suite({"name": "t", "seed": 1, "replicates": 6, "cells": [CELL]})
LARGER = SUITE.with_replicates(8)
HOLD = (
    "import sys, time; from pathlib import Path; from cibench.storage.lock import locked\n"
    "with locked(Path(sys.argv[1])): print('in', flush=True); time.sleep(60)"
)
NO_LOCKS = (
    "import errno, fcntl\n"
    "def lockf(*words): raise OSError(errno.ENOLCK, 'No locks available')\n"
    "fcntl.lockf = lockf\n"
)
QUIET = RunSettings(checks=False)


@contextmanager
def owned(run: Path, before: str = "") -> Iterator[int]:
    """Let another process have a folder; yield its number."""
    words = [sys.executable, "-c", before + HOLD, str(run)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "in\n"
        try:
            yield process.pid
        finally:
            process.kill()


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """Make a run that has six of eight replicates."""

    def stop(progress: object) -> None:
        raise KeyboardInterrupt

    run = tmp_path / "run"
    execute(SUITE, run, QUIET)
    with pytest.raises(KeyboardInterrupt):
        execute(LARGER, run, RunSettings(checks=False, listen=stop))
    note = json.loads((run / STATUS).read_text())
    assert note["state"] == "interrupted"
    path = next((run / "replicates").iterdir())
    copy = tmp_path / "six"
    execute(SUITE, copy, QUIET)
    shutil.copy(next((copy / "replicates").iterdir()), path)
    return run


@pytest.mark.parametrize("before", ["", NO_LOCKS])
@pytest.mark.parametrize("noted", ["interrupted", "finished", "running", ""])
def test_a_run_is_running_as_long_as_a_living_process_has_it(begun, call, before, noted):  # noqa: F811
    """As while plug-ins are checked, workers start, or the first block takes minutes."""
    if noted:
        content = json.loads((begun / STATUS).read_text())
        (begun / STATUS).write_text(json.dumps({**content, "state": noted, "process": 2**22 + 1}))
    else:
        (begun / STATUS).unlink()
    with owned(begun, before) as process:
        status = look(begun)
        assert (status.state, status.done, status.total) == ("running", 6, 8)
        assert status.where.startswith(f"process {process} on ")
        assert status.left is None
        lines = call("status", begun).out
        assert lines.startswith(f"running, {status.where}") and "75%  6 of 8 rows" in lines
        assert "to go on" not in lines
    dead = look(begun)
    known = {"running": "killed", "interrupted": "interrupted"}
    assert dead.state == known.get(noted, "interrupted") and dead.done == 6
    assert "to go on from there" in call("status", begun).out


def test_so_it_is_for_who_runs_it_and_looks_again(begun):
    seen = []
    execute(LARGER, begun, RunSettings(checks=False, listen=lambda _: seen.append(look(begun))))
    with locked(begun):  # still ours: to look has not let it go
        pass
    assert [status.state for status in seen] == ["running"] * len(seen) and seen
    assert seen[0].where == f"process {os.getpid()} on {os.uname().nodename}"
    assert look(begun).state == "finished"


def test_what_its_process_notes_is_what_is_shown(begun):
    with owned(begun) as process:
        content = json.loads((begun / STATUS).read_text())
        mine = {**content, "state": "running", "process": process, "rate": 3.0, "left": 9.0}
        (begun / STATUS).write_text(json.dumps({**mine, "done": 7}))
        status = look(begun)
        assert (status.state, status.done, status.rate, status.left) == ("running", 7, 3.0, 9.0)
    assert (look(begun).state, look(begun).done) == ("killed", 6)


def test_a_whole_run_that_somebody_packs_is_finished(tmp_path):
    execute(SUITE, tmp_path / "run", QUIET)
    with owned(tmp_path / "run"):
        assert look(tmp_path / "run").state == "finished"


def test_a_note_of_a_process_that_lives_and_let_the_folder_go_does_not_run(begun):
    """As of a notebook in which a run ended while the disk was too full for its last note."""
    import psutil

    content = json.loads((begun / STATUS).read_text())
    mine = {"process": os.getpid(), "process_started": psutil.Process().create_time()}
    (begun / STATUS).write_text(json.dumps({**content, **mine, "state": "running"}))
    assert look(begun).state == "killed"


@pytest.mark.parametrize(("age", "state"), [(0.0, "running"), (100.0, "killed")])
def test_another_machines_note_goes_on_while_it_is_new(begun, age, state):
    """Not every disk tells of another machine's locks."""
    content = json.loads((begun / STATUS).read_text())
    more = {"state": "running", "host": "far", "updated": time.time() - age}
    (begun / STATUS).write_text(json.dumps({**content, **more}))
    assert look(begun).state == state
    (begun / LOCK).unlink()  # a copy
    assert look(begun).state == state


def test_a_copy_without_a_lock_is_what_its_note_says(begun):
    (begun / LOCK).unlink()
    assert owner(begun) is None and look(begun).state == "interrupted"
    (begun / STATUS).unlink()
    assert look(begun).state == "interrupted"


@pytest.mark.parametrize("asking", [True, False])
def test_whoever_asks_for_the_owner_takes_nothing(tmp_path, monkeypatch, asking):
    """Where locks can be asked for, and where one is tried for a moment."""
    if not asking:
        monkeypatch.setattr(locks.sys, "platform", "darwin")
    assert owner(tmp_path) is None
    with locked(tmp_path):
        assert owner(tmp_path) == f"process {os.getpid()} on {os.uname().nodename}"
    assert owner(tmp_path) == ""
    with owned(tmp_path) as process:
        for _ in range(3):
            assert owner(tmp_path) == f"process {process} on {os.uname().nodename}"
        descriptor = os.open(tmp_path / LOCK, os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)
    assert owner(tmp_path) == ""
    (tmp_path / LOCK).unlink()
    (tmp_path / "elsewhere").touch()
    (tmp_path / LOCK).symlink_to(tmp_path / "elsewhere")
    assert owner(tmp_path) is None


def test_so_it_is_at_a_url(tmp_path, call):  # noqa: F811
    url = f"file://{tmp_path}/far"
    run_suite(SUITE, url, settings=QUIET)
    path = tmp_path / "far" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "expected_rows": 8}))

    def state() -> str:
        return call("status", url).out.split(maxsplit=1)[0].rstrip(",:")

    assert state() == "interrupted"
    (tmp_path / "copy").mkdir()
    mirror = Mirror(url, tmp_path / "copy")
    mirror.lock(60)
    assert state() == "running"
    held = json.loads((tmp_path / "far" / LOCK).read_text())
    for more in ({"process": 2**22 + 1}, {"host": "far", "updated": time.time() - 100}):
        (tmp_path / "far" / LOCK).write_text(json.dumps({**held, **more}))
        assert state() == "interrupted"
    (tmp_path / "far" / LOCK).write_text(json.dumps({**held, "host": "far"}))
    assert state() == "running"
