"""What runs inside a worker's child process: take a block, run it, send its rows back."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from typing import Any, NamedTuple

from cibench.external.process import own_by
from cibench.utils.errors import READ_LENGTH, BadInput, one_line
from cibench.workers.block import run_block
from cibench.workers.processes import GUARDED, THREADS, WORKER, import_all
from cibench.workers.shared_names import libraries

READY = "ready"
MOST_LINES = 100
"""How many lines of bad input a child sends."""


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
    libraries()
    note = Note(shared)
    pipe.send((READY, os.getpid()))
    while True:
        try:
            block = pipe.recv()
        except (EOFError, OSError):
            os._exit(0)  # the supervisor is gone; what fits left behind is not waited for
        answer: Any
        try:
            answer = run_block(block, partial(note.tell, len(block.entrants)), libraries())
        except BadInput as error:
            answer = BadInput(*(str(line)[:READ_LENGTH] for line in error.args[:MOST_LINES]))
        except Exception as error:  # what a fit may do to the process is without end
            answer = Broken(one_line(error))
        note.rest()
        pipe.send(answer)


def prepare(modules: tuple[str, ...]) -> None:
    """Make this process a group of its own, without a terminal, and import what fits will use.

    On Linux it goes on in a child, with a guard behind it (see `cibench.workers.guard`).
    """
    nowhere = os.open(os.devnull, os.O_RDWR)
    for terminal in (0, 1, 2):  # C code prints past sys.stdout
        os.dup2(nowhere, terminal)
    own_by(os.getpid())  # known to whoever ends it, which the process behind a guard is not
    _lead_group()
    _let_go_of_forkserver()
    if GUARDED:
        from cibench.workers.guard import go_on_guarded

        go_on_guarded()
        _lead_group()  # a fit that ends its group does not end the guard
    else:
        os.environ[WORKER] = str(os.getpid())
    os.environ.update(THREADS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    import_all(modules)


def _lead_group() -> None:
    """Make this process the first of a group, where there are groups."""
    if hasattr(os, "setsid"):
        os.setsid()


def _let_go_of_forkserver() -> None:
    """Let the forkserver end with the driver, and its children with it, whatever a fit is at.

    It lives as long as anybody holds a pipe, of which it gives a copy to each child.
    """
    try:
        from multiprocessing import forkserver
    except ImportError:  # there is none on this system
        return
    server: Any = vars(forkserver).get("_forkserver")  # where the copy is kept
    if getattr(server, "_forkserver_alive_fd", None) is not None:
        os.close(server._forkserver_alive_fd)
        server._forkserver_alive_fd = None
