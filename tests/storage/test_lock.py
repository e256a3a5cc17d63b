"""One process at a time on a run folder, on disks with locks and without."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from commands import python

from cibench.storage import claim
from cibench.storage.claim import CLAIM, Claim
from cibench.storage.lock import LOCK, check_held, locked
from cibench.utils.errors import BadInput

NO_LOCKS = (
    "import errno, fcntl\n"
    "def lockf(*words): raise OSError(errno.ENOLCK, 'No locks available')\n"
    "fcntl.lockf = lockf\n"
)
HOLD = (
    "import sys, time; from pathlib import Path; from cibench.storage.lock import locked\n"
    "with locked(Path(sys.argv[1])): print('in', flush=True); time.sleep(60)"
)


@pytest.fixture(params=[errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def no_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk be one without locks."""

    def lockf(*_: object) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "lockf", lockf)


@contextmanager
def other_process(run: Path, before: str = NO_LOCKS) -> Iterator[subprocess.Popen[str]]:
    """Hold a folder in another process."""
    command = [sys.executable, "-c", before + HOLD, str(run)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in\n"
        yield process
        process.kill()


def test_without_locks_a_living_process_has_the_folder_and_a_dead_one_never(tmp_path, no_locks):
    with (
        other_process(tmp_path) as other,
        pytest.raises(BadInput, match=f"is in use by another run: process {other.pid} on"),
        locked(tmp_path),
    ):
        pass
    with locked(tmp_path):  # at once: it was killed
        assert (tmp_path / CLAIM).exists()
        with pytest.raises(BadInput, match="is in use by this process"), locked(tmp_path):
            pass
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]


def test_who_has_locks_heeds_a_claim_of_who_has_none(tmp_path):
    with (
        other_process(tmp_path) as other,
        pytest.raises(BadInput, match=f"is in use by another run: process {other.pid} on"),
        locked(tmp_path),
    ):
        pass
    with locked(tmp_path):
        pass


def elsewhere(run: Path, **more: object) -> None:
    content = {"process": 1, "host": "far", "machine": "far away", "started": 1.0, "token": "x"}
    (run / CLAIM).write_text(json.dumps({**content, **more}))


def test_another_machines_claim_holds_while_it_is_renewed(tmp_path, no_locks):
    elsewhere(tmp_path)
    with (
        pytest.raises(BadInput, match=r"process 1 on far, or was [01] s ago; .* for 60 s$"),
        locked(tmp_path),
    ):
        pass
    long_ago = time.time() - claim.LEASE_SECONDS - 5
    os.utime(tmp_path / CLAIM, (long_ago, long_ago))
    with locked(tmp_path):
        assert json.loads((tmp_path / CLAIM).read_text())["process"] == os.getpid()


def test_a_number_that_another_process_has_now_is_no_life(tmp_path, no_locks):
    elsewhere(tmp_path, machine=claim._machine(), process=os.getppid(), started=1.0)
    with locked(tmp_path):
        pass


@pytest.mark.parametrize("content", ["", "{", "[]", '{"process": 1}', "null"])
def test_a_claim_that_is_not_whole_holds_until_its_lease_ends(tmp_path, no_locks, content):
    (tmp_path / CLAIM).write_text(content)
    with pytest.raises(BadInput, match="in use by another run"), locked(tmp_path):
        pass
    long_ago = time.time() - claim.LEASE_SECONDS - 5
    os.utime(tmp_path / CLAIM, (long_ago, long_ago))
    with locked(tmp_path):
        pass


def test_a_claim_is_renewed_and_its_loss_is_noticed(tmp_path):
    held = Claim(tmp_path, renew_seconds=0.02)
    held.take()
    long_ago = time.time() - 500
    os.utime(tmp_path / CLAIM, (long_ago, long_ago))
    assert soon(lambda: (tmp_path / CLAIM).stat().st_mtime > time.time() - 100)
    held.check()
    elsewhere(tmp_path)
    assert soon(lambda: held._lost)
    with pytest.raises(BadInput, match="was taken by another run"):
        held.check()
    held.release()
    assert json.loads((tmp_path / CLAIM).read_text())["token"] == "x"  # not ours to remove


def soon(holds: Callable[[], bool]) -> bool:
    """Say whether something comes to hold within ten seconds."""
    end = time.monotonic() + 10
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return holds()


RACE = """
import os, sys, time
from pathlib import Path
from cibench.storage.claim import Claim
from cibench.utils.errors import BadInput
begin = time.time() + 0.5
children = []
for _ in range(8):
    child = os.fork()
    if not child:
        while time.time() < begin:
            pass
        try:
            Claim(Path(sys.argv[1])).take()
        except BadInput:
            os._exit(1)
        time.sleep(1)
        os._exit(0)
    children.append(child)
ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
print(ends.count(0), ends.count(1))
"""


def test_of_many_that_take_a_dead_ones_folder_at_once_one_gets_it(tmp_path):
    elsewhere(tmp_path, machine=claim._machine(), process=2**22 + 1)
    done = python("-c", RACE, tmp_path)
    assert done.stdout == "1 7\n", done.stderr


def test_a_run_whose_folder_was_taken_stops(tmp_path, no_locks, monkeypatch):
    from cibench.execution import RunSettings, Tuning, execute
    from cibench.suite.parse import parse_suite

    monkeypatch.setattr(claim.Claim.__init__, "__defaults__", (0.01,))
    cell = {"scenario": "did/two-group", "n": 20, "estimators": "did/collapsed"}
    suite = parse_suite({"name": "t", "seed": 1, "replicates": 500, "cells": [cell]})

    def listen(progress: object) -> None:
        elsewhere(tmp_path / "r")
        time.sleep(0.05)

    settings = RunSettings(checks=False, listen=listen, tuning=Tuning(block_seconds=1e-9))
    with pytest.raises(BadInput, match="was taken by another run"):
        execute(suite, tmp_path / "r", settings)
    check_held(tmp_path / "r")  # it is nobody's of ours any more


def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "mine").write_text("precious")
    (tmp_path / "r").mkdir()
    for target in (tmp_path / "mine", tmp_path / "nowhere"):
        (tmp_path / "r" / LOCK).symlink_to(target)
        with (
            pytest.raises(BadInput, match=r"r/\.lock is a link, which is not followed; remove it"),
            locked(tmp_path / "r"),
        ):
            pass
        (tmp_path / "r" / LOCK).unlink()
    assert (tmp_path / "mine").read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()


def test_other_errors_of_locks_are_said_as_they_are(tmp_path, monkeypatch):
    def lockf(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "lockf", lockf)
    with pytest.raises(BadInput, match="cannot be locked: Input/output error"), locked(tmp_path):
        pass


def test_a_claim_is_the_processs_whole_or_not_at_all(tmp_path):
    code = (
        NO_LOCKS + "import os, sys\nfrom pathlib import Path\nfrom cibench.storage import claim\n"
        "claim.os.link = lambda *_: os._exit(9)\n"
        "from cibench.storage.lock import locked\nlocked(Path(sys.argv[1])).__enter__()\n"
    )
    assert python("-c", code, tmp_path).returncode == 9
    assert not (tmp_path / CLAIM).exists()
