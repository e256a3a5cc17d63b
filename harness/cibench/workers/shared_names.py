"""The functions that fits share, by the names of modules and classes: compared, and put back.

A name that stands for something else than before was replaced. A name that is new was not, as
where a fit is the first to import a part of a library, unless it hides another: a builtin, or what
a class inherits.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from operator import itemgetter
from time import perf_counter
from types import ModuleType
from typing import Any, NamedTuple

from cibench.model import registry

_GONE = object()

CORE = (
    "builtins", "math", "cmath", "random", "statistics", "functools", "itertools", "operator",
    "time", "copy", "warnings", "numpy", "numpy.linalg", "numpy.random", "numpy.fft", "numpy.ma",
    "scipy", "scipy.linalg", "scipy.optimize", "scipy.special", "scipy.stats", "pandas",
)  # fmt: skip
"""Modules whose names are looked at after each fit, as far as they are imported."""

_YIELDING = sys.stdlib_module_names - {*CORE} | {"warnings"}
"""Parts of the standard library in which libraries replace names when they are imported."""

_CLASSES = {
    "pandas": ("DataFrame", "Series"),
    "cibench.model.types": ("Estimate", "Problem", "Draw", "Declined"),
}
_DISTRIBUTIONS = ("norm", "t", "chi2", "f", "beta", "gamma", "uniform", "expon", "binom")


SPARING = 20
"""How many times as long as a look takes it is until the next one is due."""

FREE = 2.0
"""Seconds of a worker's first looks at all libraries, after each block, so that a short run or one
with short blocks at its beginning has no gap between them."""


class Pace:
    """Say when a look costs little: beside what has been done since the last one, or at all.

    The first looks, which take `free` seconds together, are always due.
    """

    def __init__(self, free: float = 0.0) -> None:
        self._free, self._next = free, 0.0

    @property
    def due(self) -> bool:
        """Say whether it is time for the next look."""
        return self._free > 0 or perf_counter() >= self._next

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Take the time of a look."""
        started = perf_counter()
        yield
        ended = perf_counter()
        self._free -= ended - started
        self._next = ended + SPARING * (ended - started)


class Replaced(NamedTuple):
    """Name what was replaced, and say whether it could be put back."""

    owner: str
    name: str
    is_back: bool

    def __str__(self) -> str:
        return f"{self.owner}.{self.name}"


class Space:
    """Keep what the names of a module, a class or an object stand for.

    With `every` name, or else those that can be called.
    """

    def __init__(self, owner: Any, label: str, *, every: bool) -> None:
        self.label = label
        self._owner, self._every = owner, every
        self._yields = label.split(".", maxsplit=1)[0] in _YIELDING
        self._live: Mapping[str, Any] = vars(owner)
        self._keep()

    def _keep(self) -> None:
        self._size = len(self._live)
        if self._every:
            self._before = dict(self._live)
            self._values: Any = tuple(self._before.values())
        else:
            self._before = {k: v for k, v in self._live.items() if _is_callable(v)}
            self._get = itemgetter(*self._before) if self._before else _nothing
            self._values = self._get(self._live)

    def is_as_it_was(self) -> bool:
        """Compare; equal objects are soon seen to be the same ones."""
        live = self._live
        try:
            now = tuple(live.values()) if self._every else self._get(live)
            return bool(now == self._values) and len(live) == self._size
        except Exception:  # a name is gone, or two arrays are not just equal or unlike
            return False

    def put_back(self, *, imported: bool) -> list[Replaced]:
        """Put back what was replaced, and return it.

        Where libraries were `imported` meanwhile, some replace names of the standard library, as
        backports do: these stay.
        """
        if imported and self._yields:
            self.learn()
            return []
        replaced = []
        for name, old in self._before.items():
            new = self._live.get(name, _GONE)
            if new is not old and _is_constant(old) and not _is_equal(new, old):
                replaced.append(Replaced(self.label, name, self._set(name, old)))
        for name in [name for name in self._live if name not in self._before]:
            if self._hides(name):
                replaced.append(Replaced(self.label, name, self._set(name, _GONE)))
        self._keep()
        return replaced

    def learn(self) -> None:
        """Keep what names of the standard library stand for by now, since libraries were imported.

        Other names stand for what they stood for.
        """
        if self._yields:
            self._keep()

    def _set(self, name: str, value: Any) -> bool:
        try:
            if value is _GONE:
                delattr(self._owner, name)
            else:
                setattr(self._owner, name, value)
        except Exception:  # it cannot be set as it was
            return False
        return True

    def _hides(self, name: str) -> bool:
        """Say whether a new name stands before a function of that name: builtin or inherited."""
        new, owner = self._live[name], self._owner
        if name.startswith("__") or owner is builtins:
            return False
        if isinstance(owner, ModuleType):
            is_part = isinstance(new, ModuleType) or not _is_callable(new)
            old = new if is_part else vars(builtins).get(name, new)
        elif isinstance(owner, type):
            old = next((vars(c)[name] for c in owner.__mro__[1:] if name in vars(c)), new)
        else:
            old = getattr(type(owner), name, new)
        return old is not new and _is_callable(old)


def _nothing(_live: object) -> None:
    return None


def _is_callable(value: Any) -> bool:
    return callable(value) or isinstance(value, property | staticmethod | classmethod | ModuleType)


def _is_constant(value: Any) -> bool:
    """Say whether a name is to go on standing for it; others are a module's notes to itself."""
    return _is_callable(value) or isinstance(value, int | float | complex | str)


def _is_equal(new: Any, old: Any) -> bool:
    return not _is_callable(old) and type(new) is type(old) and new == old


class SharedNames:
    """Keep the names of the core, or of all libraries that are imported."""

    def __init__(self, spaces: Iterable[Space]) -> None:
        self._spaces = list(spaces)

    def put_back(self, *, imported: bool) -> list[Replaced]:
        """Put back what was replaced, and return it; `imported` says whether libraries were."""
        replaced: list[Replaced] = []
        for space in self._spaces:
            if not space.is_as_it_was():
                replaced += space.put_back(imported=imported)
        return replaced

    def of(self, labels: Collection[str]) -> list[Space]:
        """Return those of some modules and classes alone."""
        return [space for space in self._spaces if space.label in labels]


def core() -> SharedNames:
    """Return the names that nearly every fit uses."""
    return SharedNames(_core())


def _core() -> Iterator[Space]:
    for name in CORE:
        module = sys.modules.get(name)
        if isinstance(module, ModuleType):
            yield Space(module, name, every=True)
    for name, classes in _CLASSES.items():
        module = sys.modules.get(name)
        for part in classes:
            if isinstance(cls := getattr(module, part, None), type):
                yield Space(cls, f"{name}.{part}", every=True)
    stats = sys.modules.get("scipy.stats")
    for part in _DISTRIBUTIONS:
        if hasattr(owner := getattr(stats, part, None), "__dict__"):
            yield Space(owner, f"scipy.stats.{part}", every=True)


class Libraries(SharedNames):
    """Keep the names of all modules that are imported, and of their classes, but for plug-ins'.

    What a plug-in does to its own names reaches nobody else. To look at all of them takes some
    milliseconds.
    """

    def __init__(self) -> None:
        super().__init__(())
        self._known: dict[str, Any] = {}
        self.pace = Pace(FREE)
        self.learn()

    def put_back(self, *, imported: bool = True) -> list[Replaced]:
        """Put back what was replaced and return it; keep the names of what was imported since."""
        replaced = super().put_back(imported=imported and self._is_new())
        for name, module in self._known.items():
            if sys.modules.get(name, module) is not module:
                sys.modules[name] = module
                replaced.append(Replaced("sys.modules", name, is_back=True))
        self.learn()
        return replaced

    def _is_new(self) -> bool:
        return len(self._known) != len(sys.modules)

    def learn(self) -> None:
        """Keep the names of modules that were imported since the last time."""
        if not self._is_new():
            return
        for space in self._spaces:
            space.learn()
        of_plugins = {"__main__", "__mp_main__", *_modules_of_plugins()}
        for name, module in list(sys.modules.items()):
            if name not in self._known:
                self._known[name] = module
                if isinstance(module, ModuleType) and name not in of_plugins:
                    self._spaces += _spaces_of(name, module)


@cache
def libraries() -> Libraries:
    """Return the names of all libraries, kept when this is first called in a worker."""
    return Libraries()


def _modules_of_plugins() -> set[str]:
    entries = [*registry.entries("scenario").values(), *registry.entries("estimator").values()]
    return {entry.module for entry in entries if not entry.built_in}


def _spaces_of(name: str, module: ModuleType) -> Iterator[Space]:
    yield Space(module, name, every=False)
    for value in list(vars(module).values()):
        if isinstance(value, type) and value.__module__ == name:
            yield Space(value, f"{name}.{value.__qualname__}", every=False)
