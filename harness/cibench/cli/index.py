"""What `cibench list` and `show` say, kept for the user while all that decides it stays as it is.

The file's name is a digest of the sources of the engine and the plug-ins, of Python, how it was
started, and numpy. Where anything else may have a say nothing is kept and the registry is asked:
plug-ins of other packages, which may register by whatever they read; a plug-in that is broken; a
process that has used the registry already.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cibench.utils.errors import Unwritable
from cibench.utils.files import write_text

PACKAGE = Path(__file__).parents[1]
REGISTRY = "cibench.model.registry"
READ = (".py", ".toml")
"""Of these files the content counts; of others, which no list shows, name, size and time."""

PARTS = ("listing", "pages")
"""A line of JSON each, so that one is read without the other."""

FILES = 8
"""As many stay in the folder: one for each environment and state of its sources."""


def kept(part: str) -> dict[str, Any] | None:
    """Return the part `listing`, or `pages` by name; None where the registry is to be asked."""
    if REGISTRY in sys.modules or entry_points(group="cibench"):
        return None
    try:
        digest, folder = sources_digest(), cache_folder()
    except (OSError, RuntimeError):  # a zip file, no home
        return None
    path = folder / f"{digest}.json"
    return _read(path, part) or _new_index(path, digest).get(part)


def _new_index(path: Path, digest: str) -> dict[str, Any]:
    """Ask the registry, and keep what it says if it is sound and nothing has changed meanwhile."""
    from cibench.cli.listing import listing, names, page

    try:
        index = {"listing": listing(), "pages": {name: page(name) for name in reversed(names())}}
    except Exception:  # one page of many; `show` says what it is about that one
        return {}
    if index["listing"]["broken"]:
        return {}
    with contextlib.suppress(OSError, Unwritable):
        if sources_digest() == digest:
            _write(path, index)
    return index


def sources_digest() -> str:
    """Return a digest of all that decides what is listed; raises OSError where files lack."""
    started = (sys.version, sys.flags, sys.warnoptions, str(PACKAGE))
    digest = hashlib.blake2b(repr(started).encode(), digest_size=16)
    numpy = find_spec("numpy")
    if numpy and numpy.origin:
        digest.update(_facts(numpy.origin, Path(numpy.origin).stat()))
    for file in _files(str(PACKAGE)):
        if file.name.endswith(READ):
            content = Path(file.path).read_bytes()
            digest.update(_facts(file.path, len(content)) + content)
        else:
            digest.update(_facts(file.path, file.stat()))
    return digest.hexdigest()


def _facts(path: str, about: os.stat_result | int) -> bytes:
    facts = about if isinstance(about, int) else (about.st_size, about.st_mtime_ns)
    return repr((path, facts)).encode("utf-8", "surrogateescape")


def _files(folder: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        if not entry.is_dir():
            yield entry
        elif entry.name != "__pycache__":
            yield from _files(entry.path)


def cache_folder() -> Path:
    """Return the folder for what this user's cibench keeps; raises RuntimeError without a home."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if cache.is_absolute():
        return cache / "cibench"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "cibench"
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "cibench"


def _read(path: Path, part: str) -> dict[str, Any] | None:
    """Return what is kept, None where there is none, another user's, or one that was damaged."""
    try:
        if not _is_own(path):
            return None
        checksum, _, content = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    if hashlib.blake2b(content).hexdigest().encode() != checksum:
        return None
    entry: dict[str, Any] = json.loads(content.splitlines()[PARTS.index(part)])
    return entry


def _write(path: Path, index: dict[str, Any]) -> None:
    """Put the file in place in one step and drop the oldest; raises OSError, Unwritable."""
    folder, above = path.parent, path.parent
    while not above.exists():
        above = above.parent
    if not _is_own(above):  # as root with a user's home: what it made would be closed to the user
        return
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    content = "\n".join(json.dumps(index[part]) for part in PARTS)
    checksum = hashlib.blake2b(content.encode()).hexdigest()
    write_text(path, f"{checksum}\n{content}", private=True)
    for old in sorted(folder.iterdir(), key=lambda p: -p.stat().st_mtime)[FILES:]:
        old.unlink()


def _is_own(path: Path) -> bool:
    """Say whether a file or folder is this user's; raises OSError where there is none."""
    user = getattr(os, "getuid", None)
    return user is None or path.stat().st_uid == user()
