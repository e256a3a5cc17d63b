"""Run blocks in a child process and survive whatever it dies of.

The child leads its own process group and notes in shared memory which fit it is at and since when.
Where it dies, or a fit takes too long or too much memory, the supervisor kills the group and lets
a fresh child try that one fit alone: what ran before it, or a signal from outside, is not its
fault. Where that ends badly, too, the fit gets a verdict. What the child had computed of the
block besides is computed again, bit for bit. Of several children each is supervised by a thread of
its own, so that what carries a block and what guards a fit stay two things.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import replace
from functools import reduce
from multiprocessing import connection
from typing import Any, NamedTuple

from cibench.storage.imported import joined
from cibench.utils.errors import BadInput
from cibench.utils.files import size
from cibench.workers.block import Block, FitOutcome, Result
from cibench.workers.child import READY, Broken, Note, Place, serve
from cibench.workers.effects import NOTHING_OBSERVED, Observed
from cibench.workers.processes import Memory, cause, context, end, from_outside, spawn
from cibench.workers.workplace import Workplace

MEMORY_POLL = 0.05
"""Seconds between two looks at a child's memory, in which it may take some 100 MB."""

FROM_OUTSIDE = 3
"""How often a fit dies of a signal that may come from outside before it is held to be its own."""

CLOSING = 10.0
"""Seconds in which a child whose pipe has closed ends and says what of."""

MOST_DEATHS = 5
"""How often a child may die at one place without a verdict before the run is given up."""


class Limits(NamedTuple):
    """Say what a fit may take: seconds, and bytes of its process and of what it started."""

    timeout: float | None = None
    memory: float | None = None


class Death(NamedTuple):
    """Say how a child ended, at which place, and whether something outside may have ended it."""

    status: str
    reason: str
    place: Place
    outside: bool = False

    def verdict(self, entrants: int) -> FitOutcome:
        """Return what the rows of the fit say if it is to blame, in a block of so many entrants."""
        seconds = time.monotonic() - self.place.since if self.place.since else 0.0
        refit = -1 if self.place.fit < 0 else self.place.fit // entrants
        return FitOutcome(refit, self.status, self.reason, seconds)


class Child:
    """Own one child process; `run` returns a block's rows whatever becomes of the child."""

    def __init__(self, modules: Sequence[str], limits: Limits | None = None) -> None:
        self._context, self._modules = context(), tuple(modules)
        self._limits = limits or Limits()
        self._starting = threading.Lock()
        self._stopped = False
        self._process: Any = None
        self._worker = 0
        self._watched: set[str] = set()

    def start(self) -> None:
        """Start a child and wait until it has imported what it needs, before any clock runs.

        Try again where something from outside ends it on the way. Raises BadInput where it does
        not start, or is larger than the limit when idle.
        """
        attempts = 1
        while not self._started():
            self._process.join(CLOSING)
            if attempts >= FROM_OUTSIDE or not from_outside(self._process):
                raise BadInput(f"a worker process did not start: {cause(self._process)}")
            attempts += 1
        self._memory = Memory(self._worker, self._process.pid)
        most = self._limits.memory
        if most and (idle := self._memory.resident()) > most:
            raise BadInput(f"memory: {size(most)} is less than an idle worker takes, {size(idle)}")

    def _started(self) -> bool:
        """Start a child; say whether it came to be ready."""
        with self._starting:
            if self._stopped:
                raise CancelledError
            self._note = Note.shared_by(self._context)
            self._pipe, theirs = self._context.Pipe()
            arguments = theirs, self._note.shared, self._modules
            self._process = spawn(self._context, serve, arguments, self._modules)
            theirs.close()
        try:
            message, self._worker = self._pipe.recv()
            ready = bool(message == READY)
        except (EOFError, OSError):
            ready = False
        if self._stopped:
            raise CancelledError
        return ready

    def stop(self) -> None:
        """End the child at once; a `run` in another thread ends with CancelledError."""
        self._stopped = True
        with self._starting:
            self._end()

    def _end(self) -> None:
        if self._process is not None:
            end(self._process)

    def run(self, block: Block) -> Result:
        """Return the rows of a block, those of fits that killed the child among them."""
        import pyarrow as pa

        waiting, deaths, started = [block], Counter[object](), time.perf_counter()
        done, seen = list[Result](), NOTHING_OBSERVED
        while waiting:
            part = waiting.pop()
            outcome = self._attempt(part)
            if isinstance(outcome, Result):
                done.append(outcome)
                waiting += self._replaced(outcome)
            else:
                waiting += remainder(part, outcome, deaths)
                seen = seen.joined(Observed(effects=("ends its process",)))
        undrawn = tuple(fault for result in done for fault in result.undrawn)
        table = pa.concat_tables([result.table for result in done])
        imported = reduce(joined, (result.imported for result in done))
        seen = reduce(Observed.joined, (result.observed for result in done), seen)
        seconds = time.perf_counter() - started
        return Result(table, seconds, undrawn, imported=imported, observed=seen)

    def _replaced(self, outcome: Result) -> tuple[Block, ...]:
        """Return what a child left to another, since a fit has changed it; then it is ended."""
        if outcome.rest:
            self._end()
            self._watched |= {name for part in outcome.rest for name in part.watched}
        return outcome.rest

    def _attempt(self, block: Block) -> Result | Death:
        while True:
            if self._process is None or not self._process.is_alive():
                self.start()
            self._note.clear(block.first)
            try:
                self._pipe.send(replace(block, watched=tuple(sorted(self._watched))))
            except OSError:  # it died with nothing to do: nobody's fault
                self._end()
            else:
                return self._outcome()

    def _outcome(self) -> Result | Death:
        while True:
            ready = connection.wait([self._pipe, self._process.sentinel], self._patience())
            if self._stopped:
                raise CancelledError
            if self._pipe in ready:
                try:
                    message = self._pipe.recv()
                except (EOFError, OSError):
                    return self._death()
                if isinstance(message, BadInput):
                    raise message
                if isinstance(message, Broken):
                    return self._death("crashed", f"left its process unusable: {message.reason}")
                return Result(*message)
            if ready:
                return self._death()
            if excess := self._excess():
                return self._death(*excess)

    def _patience(self) -> float | None:
        """Return the seconds until a limit has to be looked at."""
        timeout, memory = self._limits
        waits = [MEMORY_POLL] if memory else []
        if timeout:
            since = self._note.read().since or time.monotonic()
            waits.append(max(0.01, since + timeout - time.monotonic()))
        return min(waits) if waits else None

    def _excess(self) -> tuple[str, str] | None:
        """Return status and reason where the fit that is under way takes more than it may."""
        (timeout, memory), since = self._limits, self._note.read().since
        if timeout and since and time.monotonic() - since > timeout:
            return "timeout", f"took longer than {timeout:g} s"
        if memory and since and self._memory.resident() > memory:
            return "memory", f"used more than {size(memory)}"
        return None

    def _death(self, status: str = "crashed", reason: str = "") -> Death:
        place, outside = self._note.read(), False
        if not reason:
            self._process.join(CLOSING)
            outside = from_outside(self._process)
            reason = f"the process died: {cause(self._process)}"
        self._end()  # what the child itself had started, too
        return Death(status, reason, place, outside)


def remainder(part: Block, death: Death, deaths: Counter[object]) -> list[Block]:
    """Return what a death left to do, the likeliest culprit last, to be tried next.

    The fit at which it happened comes with a verdict if it was the child's first and, where a
    signal from outside may have killed it, if that happens again and again. `deaths` counts deaths
    by place. Raises BadInput where children go on dying before any fit.
    """
    at, width, fit = death.place.replicate, len(part.entrants), death.place.fit
    accused = part.entrants if fit < 0 else (part.entrants[fit % width],)
    here = (at, accused, fit // max(width, 1))
    deaths[here] += 1
    if deaths[here] > MOST_DEATHS:
        raise BadInput(f"worker processes die before they fit: {death.reason}")
    if death.place.before < 0:
        return [part]
    if not death.place.since and (halves := _halves(part)):
        return halves
    guilty = death.place.before == 0 and (not death.outside or deaths[here] >= FROM_OUTSIDE)
    verdicts = (*part.verdicts, death.verdict(width)) if guilty else part.verdicts
    single, end = part.part(at, 1), part.first + part.count
    others = tuple(e for e in part.entrants if e not in accused)
    pieces = [
        part.part(at + 1, end - at - 1),
        part.part(part.first, at - part.first),
        replace(single, entrants=others, count=1 if others else 0),
        replace(single, entrants=accused, verdicts=verdicts),
    ]
    return [piece for piece in pieces if piece.count]


def _halves(part: Block) -> list[Block]:
    """Cut a block in two, where a death between the fits does not say whose fault it is."""
    count, entrants = part.count // 2, part.entrants[: len(part.entrants) // 2]
    if count:
        return [part.part(part.first + count, part.count - count), part.part(part.first, count)]
    if entrants:
        return [replace(part, entrants=part.entrants[len(entrants) :]),
                replace(part, entrants=entrants)]  # fmt: skip
    return []


@contextlib.contextmanager
def local_processes(
    workers: int, modules: Sequence[str], limits: Limits | None = None
) -> Iterator[Workplace]:
    """Run blocks in `workers` child processes that are started, with imports done, on entry."""
    children = [Child(modules, limits) for _ in range(workers)]
    free = list(children)
    mine = threading.local()

    def work(block: Block) -> Result:
        if not hasattr(mine, "child"):
            mine.child = free.pop()
        result: Result = mine.child.run(block)
        return result

    threads = ThreadPoolExecutor(workers)
    try:
        list(threads.map(Child.start, children))
        yield Workplace(threads, work, lambda: workers)
    finally:
        for child in children:
            child.stop()
        threads.shutdown(cancel_futures=True)
