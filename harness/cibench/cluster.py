"""Run blocks on a dask cluster: reach its scheduler, carry blocks there and rows back."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any

from cibench import remote_worker
from cibench.addresses import parse
from cibench.errors import BadInput, one_line
from cibench.executors import Workplace
from cibench.remote_worker import Terms

REACH = 3.0
"""Seconds in which the scheduler's port answers, or nothing is there."""

GREET = 15.0
"""Seconds in which a scheduler that is there, and may be busy, lets a client in."""

PART = 1.5
"""Seconds for the farewell: an interrupted run stops within two."""

COUNTED = 2.0
"""Seconds for which the number of workers is taken to be what it was."""


@contextlib.contextmanager
def on_dask(executor: str, terms: Terms) -> Iterator[Workplace]:
    """Run blocks on the workers of a scheduler, whichever there are while the run goes on.

    Raises BadInput where no scheduler answers or `distributed` is not installed.
    """
    protocol, host, port = parse(executor)
    try:
        import distributed
    except ImportError as error:
        raise BadInput(f'--executor {executor}: pip install "cibench[dask]"') from error
    from distributed.utils import silence_logging_cmgr

    with silence_logging_cmgr(logging.CRITICAL):  # what it would say of a lost cluster, we say
        client = _reach(executor, f"{protocol}://{host}:{port}", host, port)
        pool = client.get_executor(pure=False)
        try:
            lost = (distributed.scheduler.KilledWorker,)
            yield Workplace(pool, partial(remote_worker.run_block, terms), _slots(client), lost)
        finally:
            _leave(client, pool, terms.run)


def _reach(executor: str, url: str, host: str, port: int) -> Any:
    """Return a client of the scheduler; raises BadInput where none answers in time."""
    import distributed

    greeted: Future[Any] = Future()

    def greet() -> None:
        try:
            client: Any = distributed.Client
            greeted.set_result(client(url, timeout=GREET, set_as_default=False))
        except Exception as error:
            greeted.set_exception(error)

    try:
        socket.create_connection((host, port), timeout=REACH).close()
        # a client waits for ever on a port that takes connections and never says a word
        threading.Thread(target=greet, daemon=True).start()
        return greeted.result(GREET)
    except (OSError, ValueError, distributed.TimeoutError) as error:
        said = one_line(error) if str(error) else "no answer in time"
        raise BadInput(f"--executor {executor}: no scheduler answers there: {said}") from error


def _slots(client: Any) -> Callable[[], int]:
    """Return what counts the threads of all workers, at least one while they are on their way."""
    known = [0.0, 1]

    def slots() -> int:
        now = time.monotonic()
        if now - known[0] > COUNTED:
            with contextlib.suppress(Exception):  # it reconnects; what matters fails by itself
                known[1] = max(1, sum(client.nthreads().values()))
            known[0] = now
        return int(known[1])

    return slots


def _leave(client: Any, pool: Any, run: str) -> None:
    """Take back what is under way and end the children, as far as the cluster still listens."""
    with contextlib.suppress(Exception):
        pool.shutdown(wait=False)
    with contextlib.suppress(Exception):
        client.sync(
            client._run, remote_worker.release, run, on_error="ignore", callback_timeout=PART
        )
    with contextlib.suppress(Exception):
        client.close(timeout=PART)
