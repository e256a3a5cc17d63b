"""A claim to a folder on a disk without file locks: a file with its holder, renewed while it lives.

Some network disks know no locks. There a claim says which process of which machine has the folder.
Of this machine's processes everybody can ask whether they live; of another machine's a claim holds
for as long as it is renewed, by the disk's own clock.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from cibench.storage import note_shapes
from cibench.utils.errors import BadInput
from cibench.utils.foreign import read_json
from cibench.utils.leftovers import temporary
from cibench.utils.machine import flags_of

CLAIM = ".claim"
RENEW_SECONDS, LEASE_SECONDS = 10.0, 60.0
"""Between two renewals; after which another machine's claim that was not renewed holds no more."""
TRIES = 3
SETTLED_SECONDS = 0.1
"""After which whoever takes the folder from a dead one as well has done so, or has gone."""


def check_unclaimed(run: Path) -> None:
    """Raise BadInput where a living process holds a claim to a folder."""
    _refuse_living(run, _read(run / CLAIM))


def owner(run: Path) -> str:
    """Return which living process holds a claim to a folder, "" where none does."""
    content = _read(run / CLAIM)
    if content is None or _is_dead(content):
        return ""
    here = content.get("machine") == _machine()
    return _name(content) if here or _age(run / CLAIM) < LEASE_SECONDS else ""


def _name(content: dict[str, Any]) -> str:
    return f"process {content.get('process', '?')} on {content.get('host', 'some machine')}"


def _refuse_living(run: Path, content: dict[str, Any] | None) -> None:
    if content is None or _is_dead(content):
        return
    holder = _name(content)
    if content.get("machine") == _machine():
        raise BadInput(f"{run} is in use by another run: {holder}")
    age = _age(run / CLAIM)
    if age < LEASE_SECONDS:
        raise BadInput(
            f"{run} is in use by another run: {holder}, or was {max(age, 0):.0f} s ago; this disk "
            f"has no file locks, and a run that was killed holds it for {LEASE_SECONDS:g} s"
        )


class Claim:
    """Hold a folder by a claim, which a thread renews until it is released."""

    def __init__(self, run: Path, renew_seconds: float = RENEW_SECONDS) -> None:
        self._run, self._path, self._token = run, run / CLAIM, uuid4().hex
        self._renew_seconds, self._over, self._lost = renew_seconds, threading.Event(), False
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def take(self) -> None:
        """Take the folder, from the dead too; raises BadInput where a living process has it."""
        me = {"process": os.getpid(), "host": socket.gethostname(), "machine": _machine()}
        text = json.dumps({**me, "started": _started(os.getpid()), "token": self._token})
        for _ in range(TRIES):
            try:
                _write_new(self._path, text)
            except FileExistsError:
                content = _read(self._path)
                _refuse_living(self._run, content)
                self._remove_dead(content)
                continue
            time.sleep(SETTLED_SECONDS)
            if (_read(self._path) or {}).get("token") == self._token:
                self._thread.start()
                return
        raise BadInput(f"{self._run} is in use: others take it at this moment")

    def _remove_dead(self, dead: dict[str, Any] | None) -> None:
        """Remove a claim that holds no more, unless another process was quicker."""
        aside = self._path.with_name(f"{CLAIM}.{self._token}")
        with contextlib.suppress(FileNotFoundError):
            self._path.rename(aside)
            if _read(aside) != dead:  # a new one, of whoever was quicker: it goes back
                with contextlib.suppress(OSError):
                    os.link(aside, self._path)
            aside.unlink()

    def _renew(self) -> None:
        while not self._over.wait(self._renew_seconds):
            content = _read(self._path)
            if (content or {}).get("token") != self._token:
                self._lost = True
                return
            with contextlib.suppress(OSError):
                os.utime(self._path)  # now, by the disk's clock

    def check(self) -> None:
        """Raise BadInput where another run took the folder, as while this one slept."""
        if self._lost:
            raise BadInput(f"{self._run} was taken by another run, as this one did not renew it")

    def release(self) -> None:
        """Let the folder go."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()
        if (_read(self._path) or {}).get("token") == self._token:
            self._path.unlink(missing_ok=True)


@cache
def _machine() -> str:
    """Return what processes share that can ask for each other: host, its start, its namespace."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def _started(process: int) -> float | None:
    import psutil

    try:
        return float(psutil.Process(process).create_time())
    except psutil.Error:
        return None


def _is_dead(content: dict[str, Any]) -> bool:
    """Say whether a claim's process is one of this machine and dead, its number another's now."""
    if content.get("machine") != _machine():
        return False
    started = _started(int(content["process"]))
    return started is None or abs(started - float(content["started"])) > 1


def _read(path: Path) -> dict[str, Any] | None:
    """Return what a claim says, nothing where it is not whole, None where there is none."""
    if not path.exists():
        return None
    try:
        content: dict[str, Any] = read_json(path, note_shapes.CLAIM)
    except BadInput:  # gone by now, or not whole
        return {} if path.exists() else None
    return content


def _age(path: Path) -> float:
    """Return the seconds since a file was renewed, by the clock of the disk on which it lies."""
    probe = temporary(path.with_name(f"{CLAIM}-clock"))
    try:
        _write(probe, "")
        return probe.stat().st_mtime - path.stat().st_mtime
    except OSError:
        return 0.0
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)


def _write_new(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all; raises FileExistsError where there is one."""
    neighbour = temporary(path)
    neighbour.unlink(missing_ok=True)
    _write(neighbour, text)
    try:
        os.link(neighbour, path)
    except FileExistsError:
        raise
    except OSError:  # a disk without links
        _write(path, text)
    finally:
        neighbour.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | flags_of("O_CLOEXEC"), 0o666)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
