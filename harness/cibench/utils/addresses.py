"""Addresses of what is not on this machine: schedulers, and run folders in object stores."""

from __future__ import annotations

import re

from cibench.utils.errors import BadInput

LOCAL = "local"
_SCHEDULER = re.compile(r"(dask|dask\+tls)://(\[[0-9a-fA-F:]+\]|[^:/\s]+):(\d+)/?")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_PROTOCOLS = {"dask": "tcp", "dask+tls": "tls"}


def parse(executor: str) -> tuple[str, str, int]:
    """Return protocol, host and port; raises BadInput where it is no scheduler's address."""
    address = _SCHEDULER.fullmatch(executor)
    if not address:
        raise BadInput(
            f"--executor: '{executor}' is neither '{LOCAL}' nor a scheduler like dask://host:8786"
        )
    return _PROTOCOLS[address[1]], address[2].strip("[]"), int(address[3])


def is_url(text: str) -> bool:
    """Say whether a run's place is a URL such as s3://bucket/run, and no path of this machine."""
    return _URL.match(text) is not None
