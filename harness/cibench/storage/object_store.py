"""Runs in an object store: a folder here that is copied there while the run goes on.

Object stores have neither locks nor renames, which a run folder rests on. So a run with a URL for
its place works in a temporary folder, fetched from the URL when it begins, and what changes there
is copied to the URL every few seconds: notes, then shards, which only grow meanwhile, so that a
driver that dies leaves a run to go on with.

Shards that are renamed or lose rows, as before a run goes on, are another matter: one object takes
another one's place, and whoever dies between the two has lost one. These are first put beside the
run, all of them, then a journal that says what they replace, then each in its place. While the
journal is there, what it names is what is read; the next run finishes it. What is there without a
journal replaces nothing and goes.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import uuid4

from cibench.storage import note_shapes
from cibench.storage.claim import CLAIM, LEASE_SECONDS
from cibench.storage.lock import LOCK
from cibench.storage.manifest import MANIFEST
from cibench.storage.shards import REPLICATES
from cibench.suite.origins import PLUGINS
from cibench.utils.addresses import is_url
from cibench.utils.errors import BadInput, one_line
from cibench.utils.files import sync_file
from cibench.utils.foreign import LARGEST, as_json, own_file
from cibench.utils.leftovers import ENDING, is_alive, temporary_folder
from cibench.utils.names import require_inside

Mark = tuple[int, int, int]
"""What tells that a file changed: time of its last change, size, and which file it is."""

STAGED = ".staged"
JOURNAL = f"{STAGED}/journal.json"
RENEWED = f".{LOCK}{ENDING}"
"""The lock on its way to its place, which another thread renews at any moment."""


class Mirror:
    """Keep a URL equal to a folder."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url.rstrip("/"), folder
        self._token = uuid4().hex
        self._known: dict[str, Mark] = {}
        self._turn, self._rearranged = threading.RLock(), False
        with _in_one_line(self.url):
            try:
                import fsspec
                from fsspec.implementations.local import LocalFileSystem

                self._fs, root = fsspec.core.url_to_fs(self.url, use_listings_cache=False)
            except ImportError as error:
                extra = ' (for s3: pip install "cibench[s3]")'
                raise BadInput(f"{self.url}: {one_line(error)}{extra}") from error
        self._root = str(root).rstrip("/")
        self._is_folder = isinstance(self._fs, LocalFileSystem)

    def fetch(self, only: Collection[str] | None = None) -> None:
        """Copy what the URL holds into the folder: all, or files and folders of some names."""
        with _in_one_line(self.url):
            there = self._there()
            tops = {name: name.partition("/")[0] for name in there}
            pairs = [(p, n) for n, p in there.items() if only is None or tops[n] in only]
            for _, name in pairs:
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            if pairs:
                targets = [str(self.folder / name) for _, name in pairs]
                self._fs.get([path for path, _ in pairs], targets)
            self._known = {name: _mark(self.folder / name) for _, name in pairs}

    def _there(self) -> dict[str, str]:
        """Return the paths of the run's files by name, as a journal has them where there is one."""
        every = self._every()
        files = {n: p for n, p in every.items() if n != LOCK and not _is_beside(n)}
        if JOURNAL in every:
            puts, removed = self._journal()
            files = {n: p for n, p in files.items() if n not in removed}
            staged = {name: every.get(f"{STAGED}/{name}") for name in puts}
            files |= {name: path for name, path in staged.items() if path}
        return files

    def _every(self) -> dict[str, str]:
        paths = [str(path) for path in self._fs.find(self._root)]
        named = {path[len(self._root) :].lstrip("/"): path for path in paths}
        inside = {require_inside(name, self.url): path for name, path in named.items() if name}
        if self._is_folder:
            for name in inside:
                self._at(name)
        return inside

    def take_for_equal(self) -> None:
        """Take it that the URL holds what the folder holds now."""
        self._known = self._here()

    def push(self) -> None:
        """Copy what has changed in the folder to the URL, and remove there what is gone."""
        with self._turn, _in_one_line(self.url):
            here = self._here()
            gone = [name for name in self._known if name not in here]
            changed = [name for name, mark in here.items() if self._known.get(name) != mark]
            shards = [n for n in (*gone, *changed) if REPLICATES in PurePosixPath(n).parts[:-1]]
            if any(n in gone or (self._rearranged and n in self._known) for n in shards):
                self._replace(gone, sorted(changed))
            else:
                for name in sorted(changed, key=_rank):
                    self._known |= self._put(name)
                for name in gone:
                    self._remove(name)
            self._known = {name: mark for name, mark in self._known.items() if name not in gone}
            self._rearranged = False

    def push_if_free(self) -> None:
        """Do so unless the folder is being arranged, and is nothing that a run goes on with."""
        if self._turn.acquire(blocking=False):
            try:
                self.push()
            finally:
                self._turn.release()

    @contextlib.contextmanager
    def arranging(self) -> Iterator[None]:
        """Copy nothing while shards may be renamed or lose rows, and all at once at the end."""
        with self._turn:
            self._rearranged = True
            yield
            self.push()

    def _replace(self, gone: Sequence[str], changed: Sequence[str]) -> None:
        """Put files in the place of others so that no shard is lost, whoever dies meanwhile."""
        known: dict[str, Mark] = {}
        for name in changed:
            known |= self._put(name, f"{STAGED}/{name}")
        self._write(JOURNAL, {"put": changed, "removed": gone})
        self.recover()
        self._known |= known

    def recover(self) -> None:
        """Finish what a journal says was begun; remove what was put beside the run without one."""
        with self._turn, _in_one_line(self.url):
            every = self._every()
            if JOURNAL in every:
                puts, removed = self._journal()
                for name in puts:
                    if f"{STAGED}/{name}" in every:
                        self._make_room(name)
                        self._fs.cp_file(self._at(f"{STAGED}/{name}"), self._at(name))
                for name in removed:
                    self._remove(name)
                self._remove(JOURNAL)
            for name in every:
                if _is_beside(name) and name not in (JOURNAL, RENEWED):
                    self._remove(name)
            if self._is_folder:  # which it leaves behind where object stores have none
                shutil.rmtree(self._at(STAGED), ignore_errors=True)

    def _journal(self) -> tuple[list[str], list[str]]:
        """Return what was put beside the run and what is to go; nothing where it is not whole."""
        where = f"{self.url}/{JOURNAL}"
        try:
            content = as_json(self._content(JOURNAL), note_shapes.JOURNAL, where)
        except (FileNotFoundError, BadInput):
            return [], []  # it had just begun to be written, in a folder: nothing was replaced
        puts, removed = content["put"], content["removed"]
        return ([require_inside(name, where) for name in puts],
                [require_inside(name, where) for name in removed])  # fmt: skip

    def _remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._at(name))

    def _put(self, name: str, place: str = "") -> dict[str, Mark]:
        """Copy one file, unless it went a moment ago; what is open stays whole to the end.

        It is put under its name, or at another place. Returns what was copied.
        """
        path, to = self.folder / name, PurePosixPath(place or name)
        with contextlib.suppress(FileNotFoundError):
            mark = _mark(path)
            with self._placing(to) as target:
                self._fs.put_file(str(path), target)
            return {name: mark}
        return {}

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a small file at the URL, which whoever reads it sees whole or not at all."""
        with self._placing(PurePosixPath(name)) as target:
            self._fs.pipe_file(target, json.dumps(content).encode())

    @contextlib.contextmanager
    def _placing(self, to: PurePosixPath) -> Iterator[str]:
        """Yield the path to write at; what is written has its own name when it is whole.

        An object is there whole or not at all, a file in a folder is not.
        """
        self._make_room(str(to))
        if not self._is_folder:
            yield self._at(str(to))
            return
        begun = self._at(str(to.with_name(f".{to.name}{ENDING}")))
        yield begun
        sync_file(Path(begun))
        self._fs.mv(begun, self._at(str(to)))

    def _make_room(self, name: str) -> None:
        if not self._fs.async_impl:  # folders, where object stores have none
            self._fs.makedirs(str(PurePosixPath(self._at(name)).parent), exist_ok=True)

    def _here(self) -> dict[str, Mark]:
        marks = {}
        for path in self.folder.rglob("*"):
            if path.name not in (LOCK, CLAIM) and not path.name.endswith(ENDING):
                with contextlib.suppress(FileNotFoundError):
                    if path.is_file():
                        marks[path.relative_to(self.folder).as_posix()] = _mark(path)
        return marks

    def _at(self, name: str) -> str:
        """Return the path of a name at the URL, in a folder one to which no link leads."""
        if self._is_folder:
            return str(own_file(Path(self._root), name))
        return f"{self._root}/{name}"

    def lock(self, lease: float) -> bool:
        """Take the URL, or keep it, from whoever has not renewed its lock for `lease` seconds.

        Returns whether somebody had it who did not let it go. Raises BadInput where another run has
        it.
        """
        holder = self.holder()
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
            was_there = bool(self._fs.exists(self._at(LOCK)))
            self._write(LOCK, {**claim, "updated": time.time()})
        return was_there

    def unlock(self) -> None:
        """Let the URL go, where it is ours."""
        if self.holder().get("token") == self._token:
            with _in_one_line(self.url):
                self._fs.rm_file(self._at(LOCK))

    def holder(self) -> dict[str, Any]:
        """Return what the lock at the URL says of who has it, nothing where there is none."""
        with _in_one_line(self.url):
            try:
                content = self._content(LOCK)
                claim: dict[str, Any] = as_json(content, note_shapes.LOCK, f"{self.url}/{LOCK}")
            except (FileNotFoundError, BadInput):
                return {}
        return claim

    def _content(self, name: str) -> bytes:
        """Return what a small file at the URL holds; raises BadInput for a large one."""
        place = self._at(name)
        if (self._fs.size(place) or 0) > LARGEST:
            raise BadInput(f"{self.url}/{name}: over {LARGEST:,} bytes, more than any of ours")
        content: bytes = self._fs.cat_file(place)
        return content


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
    return status.st_mtime_ns, status.st_size, status.st_ino


def _is_beside(name: str) -> bool:
    """Say whether a file at a URL is on its way to its place."""
    return name.startswith(f"{STAGED}/") or name.endswith(ENDING)


def _rank(name: str) -> tuple[int, str]:
    """Return an order: plug-ins, notes that name them, the manifest, rows that rest on all."""
    if name.startswith(f"{PLUGINS}/"):
        return 0, name
    return (3 if "/" in name else 1 + int(name == MANIFEST)), name


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
                self._mirror.push_if_free()
            except BadInput as error:
                self._error = error

    def arranging(self) -> AbstractContextManager[None]:
        """Copy nothing while shards may be renamed or lose rows, and all at once at the end."""
        return self._mirror.arranging()

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
    """Copy a run at a URL into a folder, or of it files and folders of some names.

    Raises BadInput where the URL holds nothing or cannot be read.
    """
    Mirror(url, folder).fetch(only)
    if not any(folder.iterdir()):
        raise BadInput(f"{url} is not a run folder: there is nothing")


def owner(url: str) -> str:
    """Return which process has a run at a URL, "" where none renews its hold; raises BadInput."""
    with temporary_folder("copy") as folder:
        holder = Mirror(url, folder).holder()
    if not holder or time.time() - float(holder["updated"]) > LEASE_SECONDS:
        return ""
    here = holder["host"] == socket.gethostname()
    name = f"process {holder['process']} on {holder['host']}"
    return "" if here and not is_alive(holder["process"]) else name


@contextlib.contextmanager
def fetched(place: str | Path, only: Collection[str] | None = None) -> Iterator[Path]:
    """Yield a run's folder: the path itself or, of a URL, a copy for as long, as `fetch` makes it.

    What is complained of the copy is said of the URL.
    """
    if not is_url(str(place)):
        yield Path(place)
        return
    with temporary_folder("copy") as folder, naming(str(place), folder):
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
        left = mirror.lock(lease)
        copying = Copying(mirror, every, lease)
        try:
            mirror.recover()
            mirror.fetch()
            if left:  # by a run that may have had no time for its manifest
                (folder / LOCK).touch()
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
