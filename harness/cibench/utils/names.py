"""Names that strangers' files hold, and that are to become names of files in a folder."""

from __future__ import annotations

from pathlib import PurePosixPath

from cibench.utils.errors import BadInput


def require_inside(name: object, where: str) -> str:
    """Return the name of a file in a folder, its parts joined by "/"; BadInput for any other.

    `where` says whose name it is. One that leaves the folder, is absolute (a drive's too), or holds
    a backslash or a control character is none.

    >>> require_inside("replicates/0.parquet", "s3://bucket/run")
    'replicates/0.parquet'
    """
    text = str(name)
    parts = PurePosixPath(text).parts
    odd = not text.isprintable() or "\\" in text or ":" in text
    if not parts or text.startswith("/") or ".." in parts or odd:
        raise BadInput(f"{where}: {text[:80]!r} is no name of a file in that folder")
    return text
