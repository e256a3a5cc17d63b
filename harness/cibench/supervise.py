"""Run blocks in a child process and survive whatever it dies of.

The child leads its own process group and notes which fit it is at and since when. Where it dies or
a fit takes too long, the supervisor kills the group, gives that one fit a verdict and goes on
behind it; what the child had computed of the block before is computed again, bit for bit.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import time
from collections.abc import Iterable
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as NotYet
from multiprocessing.context import BaseContext
from typing import Any, NamedTuple

from cibench.block import Block, Result, Verdict, run_block

POLL = 0.05
"""Seconds between two looks at a child: is a fit overdue, is the run being stopped?"""

THREADS = {f"{lib}_NUM_THREADS": "1" for lib in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA")}


class _Place(NamedTuple):
    pid: int
    replicate: int
    entrant: int
    since: float


class Child:
    """Own one child process; `run` returns a block's rows whatever becomes of the child."""

    def __init__(
        self, context: BaseContext, modules: Iterable[str], timeout: float | None = None
    ) -> None:
        from pebble import ProcessPool

        self._timeout = timeout
        self._stopped = False
        self._note: Any = context.RawArray("d", [0, -1, -1, 0])
        self._pool = ProcessPool(
            max_workers=1, context=context, initializer=_prepare,
            initargs=(self._note, tuple(modules)),
        )  # fmt: skip

    def start(self) -> None:
        """Start the child and let it import what it needs, before any clock runs."""
        self._pool.schedule(os.getpid).result()

    def stop(self) -> None:
        """End the child at once; a `run` in another thread ends with CancelledError."""
        self._stopped = True
        _kill(self._place().pid)
        self._pool.stop()
        self._pool.join()

    def run(self, block: Block) -> Result:
        """Return the rows of a block, those of fits that killed the child among them."""
        import pyarrow as pa

        waiting, done, started = [block], [], time.perf_counter()
        while waiting:
            part = waiting.pop()
            outcome = self._attempt(part)
            if isinstance(outcome, Result):
                done.append(outcome.table)
                continue
            at, end = outcome.replicate, part.first + part.count
            verdicts = (*part.verdicts, outcome)
            pieces = [(part.first, at - part.first), (at, 1), (at + 1, end - at - 1)]
            waiting += [
                dataclasses.replace(part, first=first, count=count, verdicts=verdicts)
                for first, count in reversed(pieces)
                if count
            ]
        return Result(pa.concat_tables(done), time.perf_counter() - started)

    def _attempt(self, block: Block) -> Result | Verdict:
        from pebble import ProcessExpired

        self._note[:] = [0, block.first, -1, time.monotonic()]
        future = self._pool.schedule(_work, args=(block,))
        while True:
            try:
                result: Result = future.result(timeout=POLL)
                return result
            except NotYet:
                if self._stopped:
                    raise CancelledError from None
                if (place := self._overdue()) is None:
                    continue
                _kill(place.pid)
                self._await_death(future)
                reason = f"took longer than {self._timeout:g} s"
                return Verdict(*place[1:3], "timeout", reason, time.monotonic() - place.since)
            except ProcessExpired as error:
                if self._stopped:
                    raise CancelledError from None
                place = self._place()
                _kill(place.pid)  # what the child itself had started
                reason = f"the process died: {_cause(error.exitcode)}"
                return Verdict(*place[1:3], "crashed", reason, time.monotonic() - place.since)

    def _place(self) -> _Place:
        pid, replicate, entrant, since = self._note
        return _Place(int(pid), int(replicate), int(entrant), since)

    def _overdue(self) -> _Place | None:
        place = self._place()
        late = self._timeout and time.monotonic() - place.since > self._timeout
        return place if late and place.pid else None

    @staticmethod
    def _await_death(future: Any) -> None:
        with contextlib.suppress(Exception):  # it was killed; nothing it says matters now
            future.result()


_note_here: Any = None


def _prepare(note: Any, modules: tuple[str, ...]) -> None:
    """Make this process a group of its own and import what the fits will use."""
    global _note_here  # noqa: PLW0603 - a worker process has one note
    os.setsid()
    os.environ.update(THREADS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    _note_here = note
    import_all(modules)


def _work(block: Block) -> Result:
    return run_block(block, _note_place)


def _note_place(replicate: int, entrant: int) -> None:
    # the pid comes with each place: a child that follows a dead one must not be taken for it
    _note_here[:] = [os.getpid(), replicate, entrant, time.monotonic()]


def import_all(modules: Iterable[str]) -> None:
    """Import modules before any clock starts; what does not import fails in its fits, in words."""
    from importlib import import_module

    for module in modules:
        with contextlib.suppress(Exception):
            import_module(module)


def _kill(pid: int) -> None:
    if not pid:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _cause(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        return f"signal {signal.Signals(-exitcode).name}"
    return f"exit code {exitcode}"
