"""Addresses of what is not on this machine: schedulers."""

from __future__ import annotations

import re

from cibench.errors import BadInput

LOCAL = "local"
_SCHEDULER = re.compile(r"(dask|dask\+tls)://(\[[0-9a-fA-F:]+\]|[^:/\s]+):(\d+)/?")
_PROTOCOLS = {"dask": "tcp", "dask+tls": "tls"}


def parse(executor: str) -> tuple[str, str, int]:
    """Return protocol, host and port; raises BadInput where it is no scheduler's address."""
    found = _SCHEDULER.fullmatch(executor)
    if not found:
        raise BadInput(
            f"--executor: '{executor}' is neither '{LOCAL}' nor a scheduler like dask://host:8786"
        )
    return _PROTOCOLS[found[1]], found[2].strip("[]"), int(found[3])
