"""What this machine has to work with."""

from __future__ import annotations

import os
from typing import Any

from cibench.utils.errors import BadInput


def cores() -> int:
    """Return how many cores this process may use."""
    affinity: Any = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


MOST_WORKERS = 1000
"""The most processes that are started on one machine."""


def check_workers(name: str, workers: int) -> None:
    """Raise BadInput for a number of processes that no machine is to start."""
    if not 1 <= workers <= MOST_WORKERS:
        raise BadInput(f"{name}: {workers} is not a number of 1 to {MOST_WORKERS:,}")


def workers_or_cores(workers: int | None) -> int:
    """Return a number of workers, one per core where none is given.

    Raises BadInput below 1 and above `MOST_WORKERS`.
    """
    if workers is not None:
        check_workers("--workers", workers)
    return workers or cores()


def flags_of(*names: str) -> int:
    """Return flags of `os.open` together, as far as this system has them."""
    return sum(getattr(os, name, 0) for name in names)
