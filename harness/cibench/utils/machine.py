"""What this machine has to work with."""

from __future__ import annotations

import os
from typing import Any

from cibench.utils.errors import BadInput


def cores() -> int:
    """Return how many cores this process may use."""
    affinity: Any = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def workers_or_cores(workers: int | None) -> int:
    """Return a number of workers, one per core where none is given; raises BadInput below one."""
    if workers is not None and workers < 1:
        raise BadInput(f"--workers: {workers} is not a number of 1 or more")
    return workers or cores()
