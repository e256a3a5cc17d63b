"""Where blocks run: in this process, or in local child processes, one interface for both.

Transport is a `concurrent.futures.Executor`. Local processes are a pool of threads of which each
supervises one child, so that what carries a block and what guards a fit stay two things.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from multiprocessing.context import BaseContext
from typing import Any, NamedTuple

from cibench.block import Block, Result, run_block
from cibench.supervise import THREADS, Child, import_all


class Workplace(NamedTuple):
    """Say where blocks run: the executor, what it runs, and how many blocks at a time."""

    executor: Executor
    work: Callable[[Block], Result]
    workers: int


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
    yield Workplace(_Here(), run_block, 1)


@contextlib.contextmanager
def local_processes(
    workers: int, modules: Sequence[str], timeout: float | None = None
) -> Iterator[Workplace]:
    """Run blocks in `workers` child processes that are started, with imports done, on entry."""
    context = _context(modules)
    children = [Child(context, modules, timeout) for _ in range(workers)]
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
        yield Workplace(threads, work, workers)
    finally:
        for child in children:
            child.stop()
        threads.shutdown(cancel_futures=True)


def _context(modules: Sequence[str]) -> BaseContext:
    """Return a forkserver that has imported the modules once, where the platform has one."""
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["cibench.block", "pyarrow", *modules])
    with _environment(THREADS):  # a BLAS with threads of its own does not survive a fork well
        forkserver.ensure_running()
    return context


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
