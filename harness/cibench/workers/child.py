"""What runs inside a worker's child process: take a block, run it, send its rows back."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from functools import partial
from typing import Any, NamedTuple

from cibench.utils.errors import BadInput, one_line
from cibench.workers.block import run_block
from cibench.workers.processes import THREADS, import_all

READY = "ready"
_PR_SET_PDEATHSIG = 1


class Broken(NamedTuple):
    """Say that the block could not be finished, and why."""

    reason: str


class Place(NamedTuple):
    """Say at which fit a child is, since when, and how many others it ran before.

    `fit` counts as `block.Note` says: the entrants' first fits, then their refits; -1 is the draw.
    `before` does not count a fit's own refits; it is -1 until the first draw of a block. `since` is
    0 once its last fit is done.
    """

    before: int
    replicate: int
    fit: int
    since: float


class Note:
    """Keep a child's place in memory that it shares with its supervisor."""

    def __init__(self, shared: Any) -> None:
        self.shared = shared
        self._fits = 0
        self._last = (-1, -1)

    @classmethod
    def shared_by(cls, context: Any) -> Note:
        """Return a note for a child that is about to be started."""
        return cls(context.RawArray("d", len(Place._fields)))

    def clear(self, replicate: int) -> None:
        """Note that a block which begins with that replicate is on its way."""
        self.shared[:] = [-1, replicate, -1, 0]

    def tell(self, width: int, replicate: int, fit: int) -> None:
        """Note that a draw or a fit begins now, in a block of `width` entrants."""
        first = (replicate, fit % max(width, 1))
        self._fits += fit >= 0 and first != self._last
        self._last = first if fit >= 0 else self._last
        self.shared[:] = [self._fits - (fit >= 0), replicate, fit, time.monotonic()]

    def rest(self) -> None:
        """Note that no fit is under way."""
        self.shared[-1] = 0

    def read(self) -> Place:
        """Return the place that was noted last."""
        before, replicate, fit, since = self.shared
        return Place(int(before), int(replicate), int(fit), since)


def serve(pipe: Any, shared: Any, modules: tuple[str, ...]) -> None:
    """Run blocks from the pipe until it closes."""
    prepare(modules)
    note = Note(shared)
    pipe.send(READY)
    while True:
        try:
            block = pipe.recv()
        except (EOFError, OSError):
            os._exit(0)  # the supervisor is gone; what fits left behind is not waited for
        answer: Any
        try:
            answer = run_block(block, partial(note.tell, len(block.entrants)))
        except BadInput as error:
            answer = error
        except Exception as error:  # what a fit may do to the process is without end
            answer = Broken(one_line(error))
        note.rest()
        pipe.send(answer)


def prepare(modules: tuple[str, ...]) -> None:
    """Make this process a group of its own, without a terminal, and import what fits will use."""
    os.setsid()
    if sys.platform == "linux":  # die with the forkserver, which dies with the driver
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.environ.update(THREADS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    nowhere = os.open(os.devnull, os.O_RDWR)
    for terminal in (0, 1, 2):  # C code prints past sys.stdout
        os.dup2(nowhere, terminal)
    import_all(modules)
