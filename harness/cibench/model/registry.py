"""Which scenarios and estimators there are, where each came from, and which plug-ins broke."""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import importlib
import importlib.util
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

from cibench.model import neighbours
from cibench.utils.errors import BadInput, near_miss, unknown
from cibench.utils.plugins import require_permission
from cibench.utils.toml import read_toml

Kind = Literal["scenario", "estimator"]
BUILT_IN = {"scenario": "cibench.scenarios", "estimator": "cibench.estimators"}
LOADERS = {
    ".twin": "cibench.twins.scenario:register_twin",
    ".toml": "cibench.external.methods:register_methods",
    ".environment": "cibench.external.environments:register_environment",
}
"""What registers the plug-ins that are no Python, by suffix: as text, since it lies above."""

COLLECTION = "collection"
"""The table by which a .toml file says that it describes data sets that exist, and no code."""

COLLECTIONS = "cibench.collections.scenario:register_collection"
"""What registers those."""

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*/[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Entry:
    """Hold one registered scenario or estimator, the code it came from and files that this reads.

    The names of `files` are relative to the folder of the code. What is no Python is `declared_in`
    a file; `digest` gives that of data, which no code stands for.
    """

    name: str
    value: Any
    module: str
    qualname: str
    files: tuple[str, ...] = ()
    declared_in: Path | None = None
    digest: Callable[[], str] | None = None

    @property
    def path(self) -> Path | None:
        """Return the defining file, None for code without one (a notebook cell)."""
        if self.declared_in is not None:
            return self.declared_in
        file = getattr(sys.modules.get(self.module), "__file__", None)
        return Path(file).resolve() if file and Path(file).exists() else None

    @property
    def is_gone(self) -> bool:
        """Say whether it came from a file that is not there any more."""
        file = self.declared_in or getattr(sys.modules.get(self.module), "__file__", None)
        return file is not None and not Path(file).exists()

    def absent(self) -> str:
        """Say which of the files is not there, or outside of the folder; "" where all are."""
        if self.files and self.path is None:
            return "code that is in no file has none beside it"
        folder = self.path.parent if self.path else Path()
        for name in self.files:
            path = (folder / name).resolve()
            if not path.is_relative_to(folder):
                return f"the file '{name}' lies outside of {folder}"
            if not path.is_file():
                near = [each.relative_to(folder).as_posix() for each in sorted(folder.glob("*"))]
                return f"{unknown('file', name, near)} in {folder}"
        return ""

    @property
    def built_in(self) -> bool:
        """Say whether it came with cibench."""
        return self.module.startswith(tuple(f"{p}." for p in BUILT_IN.values()))


_shelves: dict[str, dict[str, Entry]] = {"scenario": {}, "estimator": {}}
_broken: dict[str, str] = {}
_loaded: dict[str, str] = {}


def register(
    kind: Kind, name: str, value: object, module: str, qualname: str, files: tuple[str, ...] = (),
    declared_in: Path | None = None, digest: Callable[[], str] | None = None,
) -> None:  # fmt: skip
    """Put a scenario or estimator on its shelf.

    The same module and qualified name replaces (a notebook cell run twice), and so does what comes
    after the file that had the name is gone. Raises ValueError where the name is malformed or
    taken, or a file is not beside the code.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"'{name}' is not of the form family/name in lower case and hyphens")
    taken = _shelves[kind].get(name)
    if taken and (taken.module, taken.qualname) != (module, qualname) and not taken.is_gone:
        raise ValueError(
            f"{kind} '{name}' of {module}.{qualname} is taken by {taken.module}.{taken.qualname}"
        )
    new = Entry(name, value, module, qualname, files, declared_in, digest)
    if absent := new.absent():
        raise ValueError(f"{kind} '{name}': {absent}")
    _shelves[kind][name] = new


@contextlib.contextmanager
def lent(kind: Kind, name: str, value: object, module: str, qualname: str) -> Iterator[None]:
    """Have something on the shelf for a while; raises ValueError as `register`."""
    load_built_in()
    before = dict(_shelves[kind])
    register(kind, name, value, module, qualname)
    try:
        yield
    finally:
        _shelves[kind].clear()
        _shelves[kind].update(before)


def load_built_in() -> None:
    """Import all built-in plug-ins and entry points once; a broken one is noted, not raised."""
    if "" in _loaded:
        return
    _loaded[""] = ""
    for package in BUILT_IN.values():
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
            if not module.name.startswith("_") and not module.ispkg:
                _note_if_broken(f"{package}.{module.name}")
    for point in entry_points(group="cibench"):
        _note_if_broken(point.value.partition(":")[0])


def _note_if_broken(module: str) -> None:
    try:
        importlib.import_module(module)
    except Exception as error:  # a stranger's module may raise anything
        _broken[module] = f"{type(error).__name__}: {error}".splitlines()[0]


def load_plugin(plugin: str) -> None:
    """Import a plug-in, a module's name or the path of a .py file; again where the file changed.

    A path with a suffix of `LOADERS` goes to its loader: a .twin file becomes a scenario, a .toml
    file declares estimators in other languages or data sets that exist. Raises BadInput with the
    plug-in's own complaint, or where plug-ins are forbidden.
    """
    load_built_in()
    path = Path(plugin)
    if not is_data(plugin):
        require_permission(plugin)
    if path.suffix in (".py", *LOADERS) and not path.exists():
        raise BadInput(f"plug-in '{plugin}': {_absent(path)}")
    try:
        if path.suffix == ".py":
            _load_once(path.resolve(), _import_file)
        elif loader := COLLECTIONS if is_data(plugin, ".toml") else LOADERS.get(path.suffix):
            module, _, function = loader.partition(":")
            _load_once(path.resolve(), getattr(importlib.import_module(module), function))
        else:
            importlib.import_module(plugin)
    except BadInput:
        raise
    except Exception as error:
        detail = str(error).splitlines()[0] if str(error) else ""
        raise BadInput(f"plug-in '{plugin}': {type(error).__name__}: {detail}") from error


def is_data(plugin: str, *suffixes: str) -> bool:
    """Say whether a plug-in is data, of which nothing is executed: a twin, or a collection.

    With suffixes, whether it is one of a file that ends so.
    """
    path = Path(plugin)
    if suffixes and path.suffix not in suffixes:
        return False
    if path.suffix != ".toml":
        return path.suffix == ".twin"
    try:
        return COLLECTION in read_toml(path)[0]
    except BadInput:
        return False  # whoever reads it says why


def _load_once(path: Path, load: Callable[[Path], object]) -> None:
    """Load a file unless it is loaded, with what it imports beside it, as it is now.

    Asked for every block: before what takes long.
    """
    digest = neighbours.digest(path)
    if _loaded.get(str(path)) == digest:
        return
    if any(e.built_in and e.path == path for s in _shelves.values() for e in s.values()):
        return
    load(path)
    _loaded[str(path)] = digest


def _absent(path: Path) -> str:
    """Say that a file is not there, and which one is meant: few systems read a backslash as /."""
    meant = Path(str(path).replace("\\", "/"))
    if meant.is_file():
        return f"there is no such file; did you mean '{meant}'? Every system reads / in a path"
    beside = path.parent.glob(f"*{path.suffix}") if path.parent.is_dir() else ()
    near = [each.name for each in beside]
    return f"there is no such file{near_miss(path.name, near)}"


def _import_file(path: Path) -> None:
    name = f"cibench_plugin_{path.stem}_{hashlib.blake2b(bytes(path), digest_size=4).hexdigest()}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # a .py path always has both
    module = importlib.util.module_from_spec(spec)
    neighbours.offer(path)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


def entries(kind: Kind) -> dict[str, Entry]:
    """Return all registered scenarios or estimators by name, sorted."""
    load_built_in()
    return dict(sorted(_shelves[kind].items()))


def broken() -> dict[str, str]:
    """Return the plug-in modules that did not import, each with its error's first line."""
    load_built_in()
    return dict(_broken)


def entry(kind: Kind, name: str) -> Entry:
    """Return the entry of that name; raises BadInput with the near miss."""
    load_built_in()
    known = _shelves[kind]
    if name not in known:
        raise BadInput(unknown(kind, name, sorted(known)) + _beside())
    return known[name]


def _beside() -> str:
    """Say which modules did not import: what is looked for may be theirs."""
    lines = [f"{module} ({error})" for module, error in _broken.items()]
    return f"; not imported: {', '.join(lines)}" if lines else ""


def is_pattern(name: str) -> bool:
    """Say whether a name in a suite is a glob, which may leave things out, or names one thing."""
    return any(c in name for c in "*?[")


def matching(kind: Kind, pattern: str) -> list[str]:
    """Return the names that a glob or a plain name stands for; raises BadInput where none does."""
    if not is_pattern(pattern):
        return [entry(kind, pattern).name]
    names = fnmatch.filter(entries(kind), pattern)
    if not names:
        raise BadInput(f"no {kind} matches '{pattern}'{_beside()}")
    return names
