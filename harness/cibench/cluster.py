"""Run blocks on a dask cluster: reach its scheduler, carry blocks there and rows back."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from cibench import remote_worker
from cibench.errors import BadInput
from cibench.executors import Workplace
from cibench.remote_worker import Terms

ADDRESS = re.compile(r"(dask|dask\+tls)://(\[[0-9a-fA-F:]+\]|[^:/\s]+):(\d+)/?")
PROTOCOLS = {"dask": "tcp", "dask+tls": "tls"}
LOCAL = "local"

REACH = 3.0
"""Seconds in which the scheduler's port answers, or nothing is there."""

GREET = 15.0
"""Seconds in which a scheduler that is there, and may be busy, lets a client in."""

PART = 1.5
"""Seconds for the farewell: an interrupted run stops within two."""

COUNTED = 2.0
"""Seconds for which the number of workers is taken to be what it was."""


def parse(executor: str) -> tuple[str, str, int]:
    """Return protocol, host and port; raises BadInput where it is no scheduler's address."""
    found = ADDRESS.fullmatch(executor)
    if not found:
        raise BadInput(
            f"--executor: '{executor}' is neither '{LOCAL}' nor a scheduler like dask://host:8786"
        )
    return PROTOCOLS[found[1]], found[2].strip("[]"), int(found[3])


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
    try:
        socket.create_connection((host, port), timeout=REACH).close()
        client = distributed.Client(
            f"{protocol}://{host}:{port}", timeout=GREET, set_as_default=False
        )
    except (OSError, ValueError, distributed.TimeoutError) as error:
        said = str(error) or "no answer"
        raise BadInput(f"--executor {executor}: no scheduler answers there: {said}") from error
    pool = client.get_executor(pure=False)
    try:
        lost = (distributed.scheduler.KilledWorker,)
        yield Workplace(pool, partial(remote_worker.run_block, terms), _slots(client), lost)
    finally:
        _leave(client, pool, terms.run)


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
