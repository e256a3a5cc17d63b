"""Temporary neighbours of what is being written, and those that a killed process left.

Whoever writes a file or a folder whole fills a hidden neighbour first. Its name says which process
of which machine fills it, so that a later one can tell what is nobody's any more.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from hashlib import blake2b
from pathlib import Path

ENDING = ".tmp"
FOREIGN_SECONDS = 86_400.0
"""After which what another machine began is taken for left: nobody here can ask it."""


@cache
def _host() -> str:
    return blake2b(socket.gethostname().encode(), digest_size=4).hexdigest()


def temporary(path: Path) -> Path:
    """Return the hidden neighbour of a path that this process may fill."""
    return path.with_name(f".{path.name}.{os.getpid()}-{_host()}{ENDING}")


def new_folder(purpose: str) -> Path:
    """Make a folder for temporary files, and remove those of processes that are dead."""
    start = f"cibench-{purpose}."
    mine = f"{start}{os.getpid()}-{_host()}."
    folder = Path(tempfile.mkdtemp(prefix=mine))
    for path in folder.parent.glob("cibench-*.*-*.*"):
        *_, owner, _ = path.name.split(".")
        with contextlib.suppress(OSError):
            status = path.lstat()
            ours = not hasattr(os, "getuid") or status.st_uid == os.getuid()
            if stat.S_ISDIR(status.st_mode) and ours and _is_dead(owner):
                shutil.rmtree(path)
    return folder


@contextlib.contextmanager
def temporary_folder(purpose: str) -> Iterator[Path]:
    """Yield a folder for temporary files that goes at the end."""
    folder = new_folder(purpose)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def is_alive(process: int) -> bool:
    """Say whether a process of this machine runs."""
    import psutil

    try:
        return bool(psutil.pid_exists(process))  # on Windows a signal of 0 is one that arrives
    except (OSError, OverflowError):  # no number of a process
        return True


def leftovers(folder: Path, name: str = "*") -> list[Path]:
    """Return the temporary neighbours of a name in a folder that nobody fills any more."""
    return sorted(p for p in folder.glob(f".{name}.*{ENDING}") if _is_left(p))


def clear(folder: Path, name: str = "*") -> None:
    """Remove what killed processes left of files and folders of a name in a folder.

    What cannot be removed stays: it is in nobody's way.
    """
    for path in leftovers(folder, name):
        with contextlib.suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def _is_left(path: Path) -> bool:
    owner = path.name.removesuffix(ENDING).rpartition(".")[2]
    process, _, host = owner.partition("-")
    if not process.isdigit():
        return False
    if host in ("", _host()):  # without a machine: of an earlier version
        return _is_dead(f"{process}-{_host()}")
    try:
        return time.time() - path.stat().st_mtime > FOREIGN_SECONDS
    except OSError:
        return False


def _is_dead(owner: str) -> bool:
    """Say whether an owner, as names have it, is a process of this machine that is dead."""
    process, _, host = owner.partition("-")
    return process.isdigit() and host == _host() and not is_alive(int(process))
