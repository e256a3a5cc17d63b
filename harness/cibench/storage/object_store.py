"""Runs in an object store: a folder here that is copied there while the run goes on.

Object stores have neither locks nor renames, which a run folder rests on. So a run with a URL for
its place works in a temporary folder, fetched from the URL when it begins, and what changes there
is copied to the URL every few seconds: first what is gone is removed, then the notes are put, then
the shards, so that a row is never there twice and a driver that dies leaves a run to go on with.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import uuid4

from cibench.storage.lock import LOCK
from cibench.utils.addresses import is_url
from cibench.utils.errors import BadInput, one_line

Mark = tuple[int, int]
"""What tells that a file changed: time of its last change, and size."""


class Mirror:
    """Keep a URL equal to a folder."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url.rstrip("/"), folder
        self._token = uuid4().hex
        self._known: dict[str, Mark] = {}
        with _in_one_line(self.url):
            try:
                import fsspec

                self._fs, root = fsspec.core.url_to_fs(self.url, use_listings_cache=False)
            except ImportError as error:
                extra = ' (for s3: pip install "cibench[s3]")'
                raise BadInput(f"{self.url}: {one_line(error)}{extra}") from error
        self._root = str(root).rstrip("/")

    def fetch(self, only: Collection[str] | None = None) -> None:
        """Copy all that the URL holds into the folder, or of that the files of some names."""
        with _in_one_line(self.url):
            there = [str(path) for path in self._fs.find(self._root)]
            names = [path[len(self._root) :].lstrip("/") for path in there]
            pairs = [(p, n) for p, n in zip(there, names, strict=True) if n and n != LOCK]
            pairs = [(p, n) for p, n in pairs if only is None or n in only]
            for _, name in pairs:
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            if pairs:
                targets = [str(self.folder / name) for _, name in pairs]
                self._fs.get([path for path, _ in pairs], targets)
            self._known = {name: _mark(self.folder / name) for _, name in pairs}

    def take_for_equal(self) -> None:
        """Take it that the URL holds what the folder holds now."""
        self._known = self._here()

    def push(self) -> None:
        """Copy what has changed in the folder to the URL, and remove there what is gone."""
        with _in_one_line(self.url):
            here = self._here()
            gone = [name for name in self._known if name not in here]
            for name in gone:
                self._fs.rm_file(self._at(name))
                del self._known[name]
            changed = [name for name, mark in here.items() if self._known.get(name) != mark]
            for name in sorted(changed, key=_rank):
                self._put(name)

    def _put(self, name: str) -> None:
        """Copy one file, unless it went a moment ago; what is open stays whole to the end."""
        path = self.folder / name
        with contextlib.suppress(FileNotFoundError):
            mark = _mark(path)
            if not self._fs.async_impl:  # folders, where object stores have none
                self._fs.makedirs(str(PurePosixPath(self._at(name)).parent), exist_ok=True)
            self._fs.put_file(str(path), self._at(name))
            self._known[name] = mark

    def _here(self) -> dict[str, Mark]:
        marks = {}
        for path in self.folder.rglob("*"):
            if path.name != LOCK and not path.name.endswith(".tmp"):
                with contextlib.suppress(FileNotFoundError):
                    if path.is_file():
                        marks[path.relative_to(self.folder).as_posix()] = _mark(path)
        return marks

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"

    def lock(self, lease: float) -> None:
        """Take the URL, or keep it, from whoever has not renewed its lock for `lease` seconds.

        Raises BadInput where another run has it.
        """
        holder = self._holder()
        if holder.get("token") not in (None, self._token):
            age = time.time() - float(holder["updated"])
            if age < lease:
                raise BadInput(
                    f"{self.url} is in use by process {holder['process']} on {holder['host']}, or "
                    f"was {age:.0f} s ago; a run that was killed holds it for {lease:g} s"
                )
        claim = {"token": self._token, "process": os.getpid(), "host": socket.gethostname()}
        with _in_one_line(self.url):
            if not self._fs.async_impl:
                self._fs.makedirs(self._root, exist_ok=True)
            self._fs.pipe_file(
                self._at(LOCK), json.dumps({**claim, "updated": time.time()}).encode()
            )

    def unlock(self) -> None:
        """Let the URL go, where it is ours."""
        if self._holder().get("token") == self._token:
            with _in_one_line(self.url):
                self._fs.rm_file(self._at(LOCK))

    def _holder(self) -> dict[str, Any]:
        with _in_one_line(self.url):
            try:
                claim: dict[str, Any] = json.loads(self._fs.cat_file(self._at(LOCK)))
            except (FileNotFoundError, ValueError):
                return {}
        return claim


@contextlib.contextmanager
def _in_one_line(url: str) -> Iterator[None]:
    """Say in one line what a store complains of, whatever its library raises."""
    try:
        yield
    except BadInput:
        raise
    except Exception as error:
        raise BadInput(f"{url}: {one_line(error)}") from error


def _mark(path: Path) -> Mark:
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def _rank(name: str) -> tuple[bool, str]:
    return "/" in name, name  # the notes, before rows that rest on them


class Copying(threading.Thread):
    """Copy a folder to its URL every few seconds; `check` raises what went wrong."""

    def __init__(self, mirror: Mirror, every: float, lease: float) -> None:
        super().__init__(daemon=True)
        self._mirror, self._every, self._lease = mirror, every, lease
        self._over = threading.Event()
        self._error: BadInput | None = None

    def run(self) -> None:
        """Copy until told to stop."""
        while not self._over.wait(self._every) and self._error is None:
            try:
                self._mirror.lock(self._lease)
                self._mirror.push()
            except BadInput as error:
                self._error = error

    def check(self) -> None:
        """Raise BadInput where copying failed or another run took the URL."""
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End, after the copy that is under way."""
        self._over.set()
        if self.ident is not None:
            self.join()


def fetch(url: str, folder: Path, only: Collection[str] | None = None) -> None:
    """Copy a run at a URL into a folder, or of it the files of some names.

    Raises BadInput where the URL holds nothing or cannot be read.
    """
    Mirror(url, folder).fetch(only)
    if not any(folder.iterdir()):
        raise BadInput(f"{url} is not a run folder: there is nothing")


@contextlib.contextmanager
def fetched(place: str | Path, only: Collection[str] | None = None) -> Iterator[Path]:
    """Yield a run's folder: the path itself or, of a URL, a copy for as long, as `fetch` makes it.

    What is complained of the copy is said of the URL.
    """
    if not is_url(str(place)):
        yield Path(place)
        return
    with tempfile.TemporaryDirectory(prefix="cibench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with naming(str(place), folder):
            fetch(str(place), folder, only)
            yield folder


@contextlib.contextmanager
def naming(url: str, folder: Path) -> Iterator[None]:
    """Name a URL where a complaint names the folder that is its copy."""
    try:
        yield
    except BadInput as error:
        lines = (str(line).replace(str(folder), url.rstrip("/")) for line in error.args)
        raise BadInput(*lines) from error


@contextlib.contextmanager
def mirrored(url: str, folder: Path, every: float, lease: float) -> Iterator[Copying]:
    """Fetch a run into a folder and copy that to the URL while the run goes on in it.

    A copy is made after so many seconds and at the end; a lock that was not renewed for `lease`
    seconds holds no more. Raises BadInput where another run has the URL, or it cannot be read or
    written.
    """
    mirror = Mirror(url, folder)
    with naming(url, folder):
        mirror.lock(lease)
        copying = Copying(mirror, every, lease)
        try:
            mirror.fetch()
            copying.start()
            yield copying
        finally:
            try:
                copying.stop()
                copying.check()
                mirror.push()
            finally:
                mirror.unlock()


@contextlib.contextmanager
def copied_back(url: str, folder: Path) -> Iterator[None]:
    """Copy to a URL what is changed meanwhile in its copy; without a URL there is nothing to do."""
    if not url:
        yield
        return
    mirror = Mirror(url, folder)
    mirror.take_for_equal()
    with naming(url, folder):
        yield
        mirror.push()
