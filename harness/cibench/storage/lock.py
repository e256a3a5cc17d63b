"""One process at a time on a run folder."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cibench.utils.errors import BadInput

LOCK = ".lock"
_locked: set[Path] = set()


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Hold the run folder; raises BadInput where another process, or this one, holds it.

    The lock is `lockf`'s and belongs to the process: `flock` would live on in forked children.
    """
    import fcntl

    path = (run / LOCK).resolve()
    if path in _locked:
        raise BadInput(f"{run} is in use by this process")
    try:
        descriptor = os.open(run / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise BadInput(f"{run} cannot be written: {error.strerror}") from error
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(descriptor, 200).decode(errors="replace").strip()
            raise BadInput(f"{run} is in use by another run: {holder or error}") from error
        os.truncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        _locked.add(path)
        yield
    finally:
        _locked.discard(path)
        os.close(descriptor)
