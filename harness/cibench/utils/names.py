"""Names of files that strangers hand in and a folder is to take, and names of packages."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from cibench.utils.errors import BadInput

DEVICES = frozenset({"con", "prn", "aux", "nul"}) | {
    f"{p}{n}" for p in ("com", "lpt") for n in range(10)
}


def is_portable(name: str) -> bool:
    """Say whether Windows takes a file's name for what it is, not for a device or a shorter name.

    >>> is_portable("console.txt"), is_portable("con.txt"), is_portable("B.")
    (True, False, False)
    """
    device = name.partition(".")[0].rstrip().lower() in DEVICES
    return not device and name == name.rstrip(". ")


def require_inside(name: object, where: str) -> str:
    """Return the name of a file in a folder, its parts joined by "/"; BadInput for any other.

    `where` says whose name it is. One that leaves the folder, is absolute (a drive's too), holds a
    backslash or a control character or is not portable is none.

    >>> require_inside("replicates/0.parquet", "s3://bucket/run")
    'replicates/0.parquet'
    """
    text = str(name)
    parts = PurePosixPath(text).parts
    odd = not text.isprintable() or "\\" in text or ":" in text or not all(map(is_portable, parts))
    if not parts or text.startswith("/") or ".." in parts or odd:
        raise BadInput(f"{where}: {text[:80]!r} is no name of a file in that folder")
    return text


def canonical_name(name: str) -> str:
    """Return a package's name as it is compared: lower case, hyphens."""
    return re.sub(r"[-_.]+", "-", name).lower()
