"""Whether the answers of an earlier check are those that fits would give now.

A gate that says "nothing changed" of answers that nobody made anew must be sure. So the run of an
earlier check is used again only where all of this is as it was: suite, sources, data addresses and
options; all files of code that its processes had loaded, their own or installed; what the modules
of plug-ins hold; what can be imported; Python, environment variables, folder and machine. And where
its draws and fits did nothing but compute: a file that they read, a program that they started, a
network or compiled code of which nobody knows what it reads make them run each time. A day later
they run anyway.
"""

from __future__ import annotations

import functools
import json
import os
import pickle
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import Field
from hashlib import blake2b
from pathlib import Path
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MappingProxyType,
    MethodType,
    ModuleType,
)
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.model import registry
from cibench.storage import provenance
from cibench.storage.imported import imported_by
from cibench.utils.errors import one_line
from cibench.utils.files import canonical, write_json
from cibench.workers.effects import NOTHING_OBSERVED, Observed, absolute, is_installed

if TYPE_CHECKING:
    from cibench.execution.settings import RunSettings
    from cibench.suite.suite import Suite

FILE = "reuse.json"
FORMAT = 1
OLDEST = 86_400.0
"""Seconds after which answers are made again, whatever seems to be the same."""

MOST_OBJECTS, MOST_BYTES = 50_000, 2**27
"""How much of what plug-ins' modules hold is looked at; with more nothing is used again."""

CHANGING = frozenset({
    "_", "COLUMNS", "GPG_AGENT_INFO", "LINES", "OLDPWD", "PYTEST_CURRENT_TEST",
    "PYTEST_XDIST_TESTRUNUID", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "SHLVL",
    "SSH_AUTH_SOCK", "SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY", "TERM_SESSION_ID", "WINDOWID",
    "XDG_SESSION_ID",
})  # fmt: skip
"""Environment variables that are others in each terminal; all others count."""

IMPORTABLE = (".py", ".pyd", ".so", ".pth", ".egg-link", ".dist-info", ".egg-info", ".zip")


STARTING = 0.02
"""Seconds that Python takes before it loads anybody's code, and what a start is known to."""


class Undigestible(Exception):  # noqa: N818 - a reason, as data
    """Say of what nobody can tell whether it is the same."""


class Reuse:
    """Hold what a check of a suite rests on before its fits, and what is observed of these.

    `why` says why answers cannot be used again, "" where they can.
    """

    def __init__(self, suite: Suite, settings: RunSettings, test: object = None) -> None:
        self._began, self._observed = _process_start(), NOTHING_OBSERVED
        self.why, self._key = "", ""
        try:
            self._key = _key(suite, settings, test)
        except Undigestible as reason:
            self.why = str(reason)
        except Exception as error:  # objects of strangers may do anything when looked at
            self.why = one_line(error)

    def observe(self, observed: Observed) -> None:
        """Take in what a block of the run has shown."""
        self._observed = self._observed.joined(observed)

    def record_of(self, out: Path) -> Mapping[str, Any] | None:
        """Return what an earlier check into a folder noted, where its run can be used again."""
        if self.why:
            return None
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            record = json.loads((out / FILE).read_text(encoding="utf-8"))
            age = time.time() - float(record["created"])
            if record["key"] == self._key and 0 <= age < OLDEST and _are_as_noted(record["files"]):
                return record if record["rows"] == _contents(out / "run") else None
        return None

    def note(self, out: Path, random: Iterable[tuple[str, str]]) -> None:
        """Note what the run that was just made rests on, unless nobody can use it again."""
        if self._observed.effects and not self.why:
            self.why = f"a draw or fit {'; '.join(self._observed.effects)}"
        if self.why:
            return
        try:
            files = {path: _signature(path, self._began) for path in sorted(self._observed.files)}
        except Undigestible as reason:
            self.why = str(reason)
            return
        write_json(out / FILE, {
            "key": self._key, "created": time.time(), "files": files,
            "random": sorted(random), "rows": _contents(out / "run"),
        })  # fmt: skip


def _process_start() -> float:
    """Return when this process began, on Linux to a hundredth of a second."""
    import psutil

    with suppress(OSError, ValueError, IndexError, AttributeError):
        text = Path("/proc/self/stat").read_text(encoding="utf-8")
        ticks = int(text.rpartition(")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
        return time.time() - age + STARTING
    return float(psutil.Process().create_time())


def _are_as_noted(files: Mapping[str, Any]) -> bool:
    return bool(files) and all(_signature(path) == noted for path, noted in files.items())


def _signature(path: str, began: float | None = None) -> list[Any]:
    """Return what tells whether a file was written since; of what may be edited its contents too.

    An installer writes a file anew, so that its time tells. Raises Undigestible for one that was
    written after this process began: what is loaded may be what it held before.
    """
    try:
        status = Path(path).stat()
        content = "" if is_installed(path) else _digest(Path(path).read_bytes())
    except OSError:  # it was looked for in vain
        return []
    if began is not None and status.st_ctime > began:
        raise Undigestible(f"{Path(path).name} was written while this process ran")
    return [status.st_size, status.st_mtime_ns, content]


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()


def _contents(run: Path) -> str:
    """Return the digest of a run's rows and of what it says of itself."""
    digest = blake2b(digest_size=16)
    paths = [*sorted(run.glob("replicates/*.parquet")), run / "manifest.json", run / "suite.toml",
             run / "catalogue.json"]  # fmt: skip
    for path in paths:
        digest.update(f"{path.name}\0{_digest(path.read_bytes())}\0".encode())
    return digest.hexdigest()


def _key(suite: Suite, settings: RunSettings, test: object) -> str:
    """Return the digest of all that is known before the first fit; raises Undigestible."""
    if settings.executor is not None:
        raise Undigestible("fits are made on a cluster")
    sources = provenance.sources(suite)
    for name, digest in sources.items():
        if digest is None:
            raise Undigestible(f"{name} is code without a file")
    kinds: tuple[tuple[registry.Kind, Iterable[str]], ...] = (
        ("scenario", suite.scenarios), ("estimator", suite.estimators),
    )  # fmt: skip
    entries = [registry.entry(kind, name) for kind, names in kinds for name in names]
    for entry in entries:
        if getattr(entry.value, "elsewhere", None) is not None:
            raise Undigestible(f"{entry.name} is fitted in another process")
        if getattr(entry.value, "imported", ""):
            raise Undigestible(f"{entry.name} was handed in")
    variables = {k: v for k, v in sorted(os.environ.items()) if k not in CHANGING}
    content = [
        FORMAT, sys.version, sys.flags, provenance.machine(), provenance.host(), str(Path.cwd()),
        provenance.protocol(suite), suite.spec, suite.plugins, provenance.versions_of(suite),
        settings.checks, settings.keep_going, settings.isolated, variables, _importable(),
        _own_files(), _State().of(entries), test,
    ]  # fmt: skip
    return _digest(canonical(json.loads(json.dumps(content, default=repr))).encode())


def _importable() -> dict[str, list[str]]:
    """Return what imports can find: a package that is new may stand before another."""
    there = {}
    for place in dict.fromkeys(sys.path):
        with suppress(OSError), os.scandir(place or ".") as entries:
            there[place] = sorted(
                each.name for each in entries
                if each.name.endswith(IMPORTABLE) or Path(each.path, "__init__.py").is_file()
            )  # fmt: skip
    return there


def _own_files() -> dict[str, str]:
    """Return the digests of code that is loaded and is neither installed nor of the harness."""
    digests = {}
    for name, module in list(sys.modules.items()):
        file = vars(module).get("__file__") if isinstance(module, ModuleType) else None
        if isinstance(file, str) and name.partition(".")[0] != "cibench":
            path = absolute(file)
            if not is_installed(path):
                with suppress(OSError):
                    digests[path] = _digest(Path(path).read_bytes())
    return digests


PLAIN = (str, bytes, int, float, complex, bool, type(None), type(...), type(NotImplemented))
STATELESS = ("logging", "re", "typing", "_thread", "abc", "__future__", "dataclasses")
"""Modules whose objects say nothing of an answer: loggers, patterns, type hints, locks."""


class _State:
    """Digest what the modules of plug-ins hold: what a test or another module may have set."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}
        self._alive: list[Any] = []
        self._bytes = 0
        self._digests: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
            (ModuleType, lambda v: ["module", v.__name__]),
            (FunctionType, self._function),
            (BuiltinFunctionType, lambda v: ["builtin", v.__module__, v.__qualname__]),
            (MethodType, lambda v: self._parts(v, "__func__", "__self__")),
            ((staticmethod, classmethod), lambda v: self._parts(v, "__func__")),
            (property, lambda v: self._parts(v, "fget", "fset")),
            (type, self._class),
            ((dict, MappingProxyType), self._mapping),
            ((list, tuple), self._sequence),
            ((set, frozenset), lambda v: ["set", *sorted(map(repr, v))]),
            (np.ndarray, self._array),
            (Field, lambda v: self._parts(v, "name", "default", "default_factory", "metadata")),
            (functools.partial, lambda v: self._parts(v, "func", "args", "keywords")),
            (type(functools.cache(max)), self._cache),
        )

    def of(self, entries: Iterable[registry.Entry]) -> str:
        """Return the digest of plug-ins' objects, their modules and those of edited packages."""
        entries = [entry for entry in entries if not _is_ours(entry.module)]
        names = tuple(
            f"{'estimator' if hasattr(entry.value, 'fit') else 'scenario'} {entry.name}"
            for entry in entries
        )
        digests = imported_by(names)["digests"].values() if names else ()
        units = {unit for each in digests for unit in each["modules"]}
        own = {entry.module for entry in entries}
        own |= {n for n in list(sys.modules) if _is_part(n, units)}
        parts = [[name, *self._module(name)] for name in sorted(own)]
        parts += [[entry.name, self._value(entry.value)] for entry in entries]
        return _digest(canonical(parts).encode())

    def _module(self, name: str) -> Iterator[Any]:
        module = sys.modules.get(name)
        for key, value in sorted(vars(module).items()) if isinstance(module, ModuleType) else ():
            if not key.startswith("__") and not key.startswith("@"):
                try:
                    yield [key, self._value(value)]
                except Undigestible as reason:
                    raise Undigestible(f"{name}.{key}: {reason}") from None

    def _value(self, value: Any) -> Any:
        """Return something that is the same for the same value in another process."""
        if isinstance(value, PLAIN):
            return [type(value).__name__, repr(value)]
        if (number := self._seen.get(id(value))) is not None:
            return ["again", number]
        self._seen[id(value)] = len(self._seen)
        self._alive.append(value)  # so that no other object has its number
        if len(self._seen) > MOST_OBJECTS:
            raise Undigestible("holds more than anybody looks at")
        for kinds, digest in self._digests:
            if isinstance(value, kinds):
                return digest(value)
        return self._other(value)

    def _sequence(self, value: Any) -> list[Any]:
        return [type(value).__name__, *map(self._value, value)]

    def _mapping(self, value: Mapping[Any, Any]) -> list[Any]:
        return ["dict", *([self._value(k), self._value(v)] for k, v in value.items())]

    def _array(self, value: np.ndarray) -> Any:
        if value.dtype.hasobject:
            return self._other(value)
        return ["array", value.dtype.str, value.shape, self._content(value.tobytes())]

    def _parts(self, value: Any, *names: str) -> list[Any]:
        """Return the digests of some attributes of an object."""
        return [type(value).__name__, *(self._value(getattr(value, name, None)) for name in names)]

    def _function(self, function: FunctionType) -> list[Any]:
        names = ["function", function.__module__, function.__qualname__]
        return [*names, *self._parts_of_function(function)]

    def _parts_of_function(self, function: FunctionType) -> Iterator[Any]:
        yield from _code(function.__code__)
        yield [self._value(each) for each in function.__defaults__ or ()]
        yield self._value(dict(function.__kwdefaults__ or {}))
        for cell in function.__closure__ or ():
            with suppress(ValueError):  # it is empty
                yield self._value(cell.cell_contents)
        yield self._value({k: v for k, v in vars(function).items() if k != "__signature__"})

    def _class(self, value: type) -> list[Any]:
        return ["class", value.__module__, value.__qualname__, *self._parts_of_class(value)]

    def _parts_of_class(self, value: type) -> Iterator[Any]:
        file = getattr(sys.modules.get(value.__module__), "__file__", None)
        if isinstance(file, str) and not is_installed(file) and not _is_ours(value.__module__):
            for name, part in sorted(vars(value).items()):
                slot = type(part).__name__ in {"getset_descriptor", "member_descriptor"}
                if not slot and name not in {"__dict__", "__weakref__", "__doc__", "_abc_impl"}:
                    yield [name, self._value(part)]

    def _other(self, value: Any) -> Any:
        """Return what pickling makes of an object; raises Undigestible where it makes nothing."""
        kind = type(value)
        if kind.__module__ in STATELESS or kind.__module__.startswith("typing"):
            return ["stateless", kind.__qualname__]
        if kind.__module__.startswith("cibench.") and hasattr(value, "__dataclass_fields__"):
            return self._parts(value, *value.__dataclass_fields__)
        try:
            content = pickle.dumps(value)
        except Exception as error:
            raise Undigestible(f"a {kind.__qualname__} of which nobody can say whether it is the "
                               "same") from error  # fmt: skip
        return [kind.__module__, kind.__qualname__, self._content(content)]

    def _cache(self, value: Any) -> list[Any]:
        if value.cache_info().currsize:
            raise Undigestible(f"{value.__qualname__} has values in its cache")
        return self._parts(value, "__wrapped__")

    def _content(self, content: bytes) -> str:
        self._bytes += len(content)
        if self._bytes > MOST_BYTES:
            raise Undigestible("holds more than anybody looks at")
        return _digest(content)


def _code(code: CodeType) -> Iterator[Any]:
    """Yield what tells code from other code, functions within it too."""
    yield [absolute(code.co_filename), code.co_firstlineno, _digest(code.co_code)]
    yield [*code.co_names]
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield [*_code(each)]
        elif isinstance(each, PLAIN):
            yield repr(each)


def _is_ours(module: str) -> bool:
    return module == "cibench" or (module or "").startswith("cibench.")


def _is_part(module: str, units: Iterable[str]) -> bool:
    return not _is_ours(module) and any(
        module == unit or module.startswith(f"{unit}.") for unit in units
    )
