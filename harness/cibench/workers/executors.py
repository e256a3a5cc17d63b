"""Where blocks run: in this process, or in local child processes, one interface for both.

Transport is a `concurrent.futures.Executor`. Local processes are a pool of threads of which each
supervises one child, so that what carries a block and what guards a fit stay two things.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from cibench.workers.block import Block, Result, run_block
from cibench.workers.processes import import_all
from cibench.workers.supervisor import Child, Limits


class Workplace(NamedTuple):
    """Say where blocks run: the executor, what it runs, and how many blocks at a time, now.

    A block that ends with one of the `lost` errors was in the way of what happened to its workers,
    and is sent again.
    """

    executor: Executor
    work: Callable[[Block], Result]
    slots: Callable[[], int]
    lost: tuple[type[Exception], ...] = ()


class _Here(Executor):
    """Run each call at once in this thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@contextlib.contextmanager
def in_process(modules: Sequence[str]) -> Iterator[Workplace]:
    """Run blocks in this process, without isolation."""
    import_all(modules)
    yield Workplace(_Here(), run_block, lambda: 1)


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
