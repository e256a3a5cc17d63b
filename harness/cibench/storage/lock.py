"""One process at a time on a run folder."""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cibench.storage.claim import Claim, check_unclaimed
from cibench.storage.claim import owner as claimed_by
from cibench.utils.errors import BadInput
from cibench.utils.machine import flags_of

LOCK = ".lock"
TAKEN = (errno.EACCES, errno.EAGAIN)
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)
"""What disks say that know no locks."""
_LOCK = "@hhlli0l"
"""How Linux lays a lock out: kind, whence, start, length, process."""
_locked: dict[Path, Callable[[], None]] = {}


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Hold the run folder; raises BadInput where another process, or this one, holds it.

    The lock is `lockf`'s and belongs to the process: `flock` would live on in forked children. On a
    disk, or a system, without locks it is a claim.
    """
    key = run.resolve()
    if key in _locked:
        raise BadInput(f"{run} is in use by this process")
    descriptor = _opened(run)
    claim: Claim | None = None
    try:
        if _lock(run, descriptor):
            check_unclaimed(run)
            os.truncate(descriptor, 0)
            os.write(descriptor, f"{_name_of_this()}\n".encode())
        else:
            claim = Claim(run)
            claim.take()
        _locked[key] = claim.check if claim else _nothing
        yield
    finally:
        _locked.pop(key, None)
        if claim is not None:
            claim.release()
        os.close(descriptor)


def owner(run: Path) -> str | None:
    """Return which living process has a run folder: "" where none, None where nobody can tell.

    That is so in a copy without a lock's file. The folder stays as it is, and whoever takes it at
    this moment is not in the way.
    """
    if run.resolve() in _locked:  # to open and close its lock's file would let it go
        return _name_of_this()
    try:
        flags = os.O_RDONLY | flags_of("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK")
        descriptor = os.open(run / LOCK, flags)
    except OSError:
        return None
    try:
        if _is_locked(descriptor):
            return os.read(descriptor, 200).decode(errors="replace").strip() or "another process"
    finally:
        os.close(descriptor)
    return claimed_by(run)


def _name_of_this() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


def _is_locked(descriptor: int) -> bool:
    """Say whether another process has the lock of an open file."""
    try:
        import fcntl
    except ImportError:
        return False
    try:
        if sys.platform == "linux" and sys.maxsize > 2**32:  # ask, and take nothing
            lock = struct.pack(_LOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind: int = struct.unpack(_LOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, lock))[0]
            return kind != fcntl.F_UNLCK
        fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # until it is closed, at once
    except OSError as error:
        return error.errno in TAKEN
    return False


def check_held(run: Path) -> None:
    """Raise BadInput where another run has taken a folder that this process holds."""
    _locked.get(run.resolve(), _nothing)()


def _nothing() -> None:
    """Find nothing wrong: a lock cannot be taken away."""


def _opened(run: Path) -> int:
    """Open the lock's file, which is never one elsewhere that a link names."""
    try:
        flags = os.O_RDWR | os.O_CREAT | flags_of("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK")
        return os.open(run / LOCK, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise BadInput(f"{run / LOCK} is a link, which is not followed; remove it") from error
        raise BadInput(f"{run} cannot be written: {error.strerror}") from error


def _lock(run: Path, descriptor: int) -> bool:
    """Lock an open file; False where there are no locks. Raises BadInput where another has it."""
    try:
        import fcntl
    except ImportError:  # as on Windows
        return False
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in NO_LOCKS:
            return False
        if error.errno not in TAKEN:
            raise BadInput(f"{run} cannot be locked: {error.strerror}") from error
        holder = os.read(descriptor, 200).decode(errors="replace").strip()
        raise BadInput(f"{run} is in use by another run: {holder or error}") from error
    return True
