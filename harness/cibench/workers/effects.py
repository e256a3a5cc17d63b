"""What draws and fits do beside computing: files, programs, networks; and the code they loaded.

Whoever wants to use rows again has to know on what they rest. Of code that a process has loaded the
files say it; what fits read or ask beside that, nobody can say. Python tells of files that are
opened, programs that are started and connections (audit events). Compiled code does not: of it
Linux counts what a process has read, which tells in all fits that import nothing.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

MOST_EFFECTS = 5
"""How many different ones are told."""


class Observed(NamedTuple):
    """Hold the files of the code in a process, and in words what its fits did beside computing."""

    files: frozenset[str] = frozenset()
    effects: tuple[str, ...] = ()

    def joined(self, other: Observed) -> Observed:
        """Return what two blocks have shown together."""
        effects = dict.fromkeys((*self.effects, *other.effects))
        return Observed(self.files | other.files, tuple(effects)[:MOST_EFFECTS])


NOTHING_OBSERVED = Observed()

CODE = (".py", ".pyc", *EXTENSION_SUFFIXES)
MACHINE = (
    "/proc/self/", "/proc/cpuinfo", "/proc/meminfo", f"/proc/{os.getpid()}/", "/sys/fs/cgroup",
    "/sys/devices/system/", os.devnull,
)  # fmt: skip
"""Where libraries look up how many processors and how much memory there are."""

PROGRAMS = (
    "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "pty.spawn",
    "os.startfile",
)  # fmt: skip
NETWORKS = ("socket.", "urllib.", "http.", "ftplib.", "smtplib.", "imaplib.", "poplib.")
FOLDERS = ("os.listdir", "os.scandir", "os.walk", "glob.", "pathlib.")
CHANGES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "os.symlink",
           "os.putenv", "os.unsetenv", "shutil.", "tempfile.")  # fmt: skip

READERS = frozenset({
    "numpy", "scipy", "pandas", "sklearn", "statsmodels", "linearmodels", "patsy", "formulaic",
    "pyarrow", "numba", "llvmlite", "joblib", "threadpoolctl", "wrapt", "matplotlib", "doubleml",
    "rdrobust", "pyfixest", "polars", "PIL", "kiwisolver", "contourpy", "psutil", "cvxpy", "yaml",
    "scs", "ecos", "osqp", "clarabel", "markupsafe", "_cffi_backend", "cryptography", "zmq",
    "charset_normalizer", "simplejson", "msgpack", "lxml", "pydantic_core", "rpds", "bottleneck",
    "numexpr", "fastcluster", "multidict", "yarl", "frozenlist", "propcache", "aiohttp", "tornado",
})  # fmt: skip
"""Packages whose compiled code may be imported by a fit: importing reads nothing but code."""


def absolute(path: str) -> str:
    """Return a path from the root on, links and all: one file may be loaded by two names."""
    return str(Path(path).absolute())


class _Watch:
    """Note what happens between the begin and the end of draws and fits of this process."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.running = False
        self.effects: dict[str, None] = {}
        self.opened: set[str] = set()
        self._explained = False
        self._before = (-1, -1)
        self._counter = _counter()

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take note of an audit event."""
        if event == "open":
            self._open(arguments)
        elif event.startswith(PROGRAMS):
            self._note("starts a program")
        elif event.startswith(NETWORKS):
            self._note("uses the network")
        elif event.startswith(CHANGES):
            self._note(f"changes files or the environment ({event})")
        elif event.startswith("sqlite3.connect"):
            self._note("opens a data base")
        elif event == "ctypes.dlopen":
            self._library(arguments[0] if arguments else None)
        elif event.startswith(FOLDERS) and not _is_code_folder(arguments[0] if arguments else None):
            self._note("lists a folder")

    def _open(self, arguments: tuple[Any, ...]) -> None:
        path, mode = arguments[0], arguments[1] if len(arguments) > 1 else None
        if isinstance(path, int):
            return  # a file that is open already
        try:
            name = absolute(os.fsdecode(path))
        except (TypeError, ValueError):
            self._note("opens a file")
            return
        if "__pycache__" in name or name.startswith(MACHINE):
            self._explained = True
            return
        reads = not isinstance(mode, str) or not set(mode) & set("wax+")
        if reads and (name.endswith(CODE) or is_installed(name)):
            self.opened.add(name)
            self._explained = True
        else:
            self._note(f"opens a file ({Path(name).name})")

    def _library(self, name: Any) -> None:
        if name is None:
            return
        text = os.fsdecode(name) if isinstance(name, str | bytes) else str(name)
        if os.sep in text and is_installed(absolute(text)):
            self.opened.add(absolute(text))
            self._explained = True
        elif os.sep in text:
            self._note(f"loads a library ({Path(text).name})")

    def _note(self, words: str) -> None:
        if len(self.effects) < MOST_EFFECTS:
            self.effects[words] = None

    def begin(self) -> None:
        """Begin a draw or a fit."""
        self._explained = False
        self._before = len(sys.modules), self._reads()
        self.running = True

    def end(self) -> None:
        """End it, and see whether compiled code has read anything."""
        self.running = False
        modules, reads = self._before
        if len(sys.modules) != modules:
            self._look_at_new(modules)
        elif self._explained:
            pass  # Python read code, which counts as code
        elif reads < 0:
            self._note("runs where nobody counts what compiled code reads")
        elif self._reads() != reads + 1:  # looking is a read of its own
            self._note("reads something by compiled code")

    def _look_at_new(self, before: int) -> None:
        for name in list(sys.modules)[before:]:
            module = sys.modules.get(name)
            file = vars(module).get("__file__") if isinstance(module, ModuleType) else None
            if isinstance(file, str) and file.endswith(tuple(EXTENSION_SUFFIXES)):
                top = name.partition(".")[0]
                if top not in READERS and top not in sys.stdlib_module_names:
                    self._note(f"imports compiled code of which nobody knows what it reads ({top})")

    def _reads(self) -> int:
        """Return how many reads this process has made, -1 where nobody counts them."""
        if self._counter < 0:
            return -1
        content = os.pread(self._counter, 512, 0)
        at = content.find(b"syscr: ")
        return int(content[at + 7 : content.index(b"\n", at)]) if at >= 0 else -1


def _counter() -> int:
    try:
        return os.open("/proc/self/io", os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError:  # another system than Linux, or one that lets nobody look
        return -1


@cache
def _installed() -> tuple[str, ...]:
    """Return the folders that hold Python's own files and installed packages."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    places = {sysconfig.get_path(name) for name in names} | {sys.prefix, sys.base_prefix}
    every = {os.path.realpath(place) for place in places} | {*places}
    return tuple(sorted(f"{place}{os.sep}" for place in every if len(place) > 1))


def is_installed(path: str) -> bool:
    """Say whether a file is Python's own or lies where installers put packages."""
    if not path.startswith(_installed()):
        return False
    below = os.path.relpath(path, sys.prefix)
    # an environment within a checkout, or a system's own folders: packages alone count
    return below.startswith(("lib", "Lib")) or not path.startswith(sys.prefix + os.sep)


def _is_code_folder(path: Any) -> bool:
    """Say whether a folder is one in which imports look."""
    if path is None or isinstance(path, int):
        return False
    name = absolute(os.fsdecode(path))
    return name in {absolute(each) for each in sys.path} or is_installed(name + os.sep)


_watches: list[_Watch] = []
"""The watch of this process, where it has one: a hook is for ever."""


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    watch = _watches[0]
    if watch.running:
        watch.hear(event, arguments)


def _watch() -> _Watch:
    if not _watches:
        _watches.append(_Watch())
        sys.addaudithook(_hook)
    elif _watches[0].process != os.getpid():
        _watches[0] = _Watch()  # a fork, which has its own count of what it reads
    return _watches[0]


@contextmanager
def watched() -> Iterator[None]:
    """Note what a draw or a fit does beside computing."""
    watch = _watch()
    if watch.running:  # within one that is watched
        yield
        return
    watch.begin()
    try:
        yield
    finally:
        watch.end()


def observed() -> Observed:
    """Return what has been noted since the last time, and the files of all code that is loaded."""
    watch = _watch()
    effects, watch.effects = tuple(watch.effects), {}
    files = frozenset(filter(None, map(_file_of, list(sys.modules.values()))))
    return Observed(files | frozenset(watch.opened), effects)


def _file_of(module: Any) -> str:
    file = vars(module).get("__file__") if isinstance(module, ModuleType) else None
    return absolute(file) if isinstance(file, str) else ""
