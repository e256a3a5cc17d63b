"""Where blocks run: one interface for this process, for child processes and for a cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from typing import Any, NamedTuple

from cibench.storage.imported import forget
from cibench.workers.block import Block, Result, run_block
from cibench.workers.processes import import_all


class Workplace(NamedTuple):
    """Say where blocks run: the executor, what it runs, and how many blocks at a time, now.

    A block that ends with one of the `lost` errors was in the way of what happened to its workers,
    and is sent again.
    """

    executor: Executor
    work: Callable[[Block], Result]
    slots: Callable[[], int]
    lost: tuple[type[Exception], ...] = ()


class Here(Executor):
    """Run each call at once in this thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return a future that is done."""
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@contextlib.contextmanager
def in_process(modules: Sequence[str]) -> Iterator[Workplace]:
    """Run blocks in this process, without isolation."""
    forget()
    import_all(modules)
    yield Workplace(Here(), run_block, lambda: 1)
