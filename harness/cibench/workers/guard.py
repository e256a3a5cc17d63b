"""A process behind each worker that runs no fit: whatever ends the worker, what it left ends too.

A fit may start processes that leave its group and its session (daemons, `start_new_session`). On
Linux they become the guard's own children when their parents end, so that none is lost: not when
the worker crashes, nor when the driver is killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import time
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36

SWEEP = 5.0
"""Seconds in which what a worker left behind has to end, once it is killed."""

_SIGNALS = {signal.SIGCHLD, signal.SIGTERM}


def go_on_guarded() -> None:
    """Go on in a child of this process, which from now on is the guard and never returns.

    The guard ends as the child does, with its exit code or by its signal. On SIGTERM, and when its
    own parent dies, it ends the child first.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _call(_PR_SET_CHILD_SUBREAPER, 1)
    _die_with_parent(signal.SIGTERM)
    guard, worker = os.getpid(), os.fork()
    if worker:
        _watch(worker)
    _call(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != guard:
        os._exit(0)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def _die_with_parent(number: signal.Signals) -> None:
    parent = os.getppid()
    _call(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(0)


def _call(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _watch(worker: int) -> None:
    """Wait for the worker, end what is left of it, and end as it has ended."""
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # its pipe is to close with it
    status: int | None = None
    while status is None:
        if signal.sigwait(_SIGNALS) == signal.SIGTERM:
            _kill(worker)
        status = _reaped().get(worker)
    _sweep()
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the worker has written its own, if any
        if code != -signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.kill(os.getpid(), -code)
    os._exit(code)


def _reaped() -> dict[int, int]:
    """Return the children that have ended, and how."""
    ended: dict[int, int] = {}
    with contextlib.suppress(ChildProcessError):
        while (pair := os.waitpid(-1, os.WNOHANG))[0]:
            ended[pair[0]] = pair[1]
    return ended


def _sweep() -> None:
    """Kill all descendants: those of a child that ends become children of this process."""
    end = time.monotonic() + SWEEP
    while (children := _children()) and time.monotonic() < end:
        for child in children:
            _kill(child)
        time.sleep(0.001)
        _reaped()


def _children() -> list[int]:
    """Return this process's children."""
    try:
        text = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
        return [int(pid) for pid in text.split()]
    except OSError:  # the kernel was built without this list
        import psutil

        return [child.pid for child in psutil.Process().children()]


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
