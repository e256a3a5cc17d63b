"""What the fits of a run imported: the distributions, their versions, and digests of edited ones.

A process has much in it that no fit needs: the harness's own libraries, a test session's. So what
counts is what can be reached from the code of a scenario or an estimator: the modules that it names
and imports within functions, what these hold in turn and what their distributions require, as far
as it is loaded; and whatever was loaded while they ran.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache, partial
from importlib import metadata
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from cibench.model import registry
from cibench.model.registry import BUILT_IN, Entry
from cibench.storage.installed import Package, digest_of, package_of, requirements

Imported = Mapping[str, Any]
"""What a manifest says of it: `versions` by distribution; `digests` of those of which a version
does not say all, each with its `modules` and what it is `used_by`; what is fitted in other
processes and is `unobserved` here."""

NOTHING: Imported = {"versions": {}, "digests": {}, "unobserved": []}

MOST_OBJECTS = 20_000
"""How many objects of a plug-in's own are looked at."""

TESTS = frozenset({"test", "tests"})
"""Folders of tests that look like packages: each module there counts by itself."""

PLAIN = frozenset({str, bytes, int, float, bool, complex, type(None)})
"""What leads nowhere."""

OURS = "cibench"
_PLUGINS = tuple(f"{package}." for package in BUILT_IN.values())

_late: dict[tuple[str, ...], set[str]] = {}
_known: dict[tuple[object, ...], Imported] = {}


def note_loaded(names: tuple[str, ...], modules: Collection[str]) -> None:
    """Note modules that were loaded while scenarios and estimators of these names ran."""
    if modules:
        _late.setdefault(names, set()).update(modules)


def forget() -> None:
    """Look anew at what is loaded, since files may have been edited and loaded again."""
    _known.clear()


def imported_by(names: tuple[str, ...]) -> Imported:
    """Return what scenarios and estimators rest on in this process, such as "estimator did/twfe".

    It is computed anew only when modules have been loaded since.
    """
    key = (len(sys.modules), *names)
    if key not in _known:
        try:
            _known[key] = _observed(names)
        except Exception:  # nobody knows what strangers put into a process; rows must not end by it
            _known[key] = {**NOTHING, "unobserved": sorted(names)}
    return _known[key]


def joined(first: Imported, other: Imported) -> Imported:
    """Return what two processes, or two runs into one folder, have imported together."""
    digests: dict[str, Any] = dict(first["digests"])
    for name, entry in other["digests"].items():
        digests[name] = _both(digests[name], entry) if name in digests else entry
    versions = {
        name: _several(
            side["versions"][name] for side in (first, other) if name in side["versions"]
        )
        for name in sorted({*first["versions"], *other["versions"]})
    }
    away = sorted({*first["unobserved"], *other["unobserved"]})
    return {
        "versions": versions,
        "digests": dict(sorted(digests.items())),
        "unobserved": away,
    }


class Record:
    """Gather what the fits of a run have imported; `known` is None where nobody noted it."""

    def __init__(self, known: Imported | None = NOTHING) -> None:
        self.known = known

    def add(self, imported: Imported) -> bool:
        """Take in what some fits imported, and say whether that is more than was known."""
        if self.known is None:
            return False
        before, self.known = self.known, joined(self.known, imported)
        return self.known != before


def _both(first: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    known = None not in (first["digest"], other["digest"])
    return {
        "digest": _several([first["digest"], other["digest"]]) if known else None,
        "modules": sorted({*first["modules"], *other["modules"]}),
        "used_by": sorted({*first["used_by"], *other["used_by"]}),
    }


def _several(texts: Iterable[str]) -> str:
    return ", ".join(sorted({part for text in texts for part in text.split(", ")}))


def current(entry: Mapping[str, Any]) -> str | None:
    """Return the digest that a package of a record has today; None where it is not there."""
    return digest_of(entry["modules"])


def still_so(record: Imported) -> Imported:
    """Return what of a record is as it is today: other versions and digests are of other rows."""
    digests = {n: e for n, e in record["digests"].items() if current(e) == e["digest"]}
    versions = {n: v for n, v in record["versions"].items() if n not in record["digests"]}
    for name in list(versions):
        with suppress(metadata.PackageNotFoundError, ValueError):
            if metadata.version(name) != versions[name]:
                del versions[name]
    versions |= {n: record["versions"][n] for n in digests if n in record["versions"]}
    return {**record, "versions": versions, "digests": digests}


def _observed(names: tuple[str, ...]) -> Imported:
    loaded, record = _Loaded(), NOTHING
    reached: dict[str, list[str]] = {}
    for name in names:
        kind, _, plugin = name.partition(" ")
        entry = registry.entry("scenario" if kind == "scenario" else "estimator", plugin)
        if getattr(entry.value, "elsewhere", None) is not None:
            record = joined(record, {**NOTHING, "unobserved": [name]})
        else:
            reached[name] = loaded.reached_from({*_own_imports(entry), *_used(entry.value)})
    known = {unit for units in reached.values() for unit in units}
    others = set(loaded.reached_from(_late.get(names, ()))) - known  # nobody knows whose they are
    for name, units in reached.items():
        record = joined(record, _record([*units, *others], name))
    return joined(record, _record([OURS], ""))


def _used(value: Any) -> tuple[str, ...]:
    return tuple(getattr(value, "uses", ()))


def _record(units: Iterable[str], name: str) -> Imported:
    versions, modules = dict[str, str](), dict[str, list[str]]()
    for unit in units:
        package = _package(unit)
        if package.version is not None:
            versions[package.name] = package.version
        if not package.fixed:
            modules.setdefault(package.name, []).append(unit)
    digests = {
        package: {"digest": digest_of(own), "modules": sorted(own),
                  "used_by": [name] if name else []}
        for package, own in sorted(modules.items())
    }  # fmt: skip
    return {"versions": versions, "digests": digests, "unobserved": []}


@cache
def _package(unit: str) -> Package:
    return package_of(unit)


class _Loaded:
    """Hold the modules that are loaded by the unit that they are a part of."""

    def __init__(self) -> None:
        self.parts: dict[str, list[str]] = {}
        for name in list(sys.modules):
            if unit := unit_of(name):
                self.parts.setdefault(unit, []).append(name)

    def reached_from(self, names: Iterable[str]) -> list[str]:
        """Return the units that modules of these names belong to, and all that these rest on."""
        reached: set[str] = set()
        waiting = {unit for name in names if (unit := unit_of(name))}
        while waiting:
            unit = waiting.pop()
            if unit in reached or unit == OURS or unit not in self.parts:
                continue
            reached.add(unit)
            waiting |= _leads_to(unit, tuple(self.parts[unit])) - reached
        return sorted(reached)


def unit_of(name: str) -> str:
    """Return the package, or the module, that counts as a whole; "" of the standard library.

    It is the part of a module's name that has a file first: folders without are namespaces.
    """
    parts = _full_name(name).split(".")
    if parts[0] in sys.stdlib_module_names or parts[0] in {"__main__", "__mp_main__"}:
        return ""
    for length in range(1, len(parts) + 1):
        unit = ".".join(parts[:length])
        if unit in TESTS and length < len(parts):
            continue
        if isinstance(_vars(sys.modules.get(unit)).get("__file__"), str):
            return unit
    return ""


def _full_name(name: str) -> str:
    """Return the name by which a module was found, where compiled code calls itself another."""
    full = getattr(_vars(sys.modules.get(name)).get("__spec__"), "name", None)
    return full if isinstance(full, str) and full.endswith(f".{name}") else name


def _vars(module: Any) -> dict[str, Any]:
    return vars(module) if isinstance(module, ModuleType) else {}


@cache
def _leads_to(unit: str, modules: tuple[str, ...]) -> frozenset[str]:
    """Return the units that those modules of a unit lead to; the more are loaded, the more may."""
    package, names = _package(unit), set[str]()
    for name in modules:
        for value in list(_vars(sys.modules.get(name)).values()):
            names |= _owners(value)
            if not package.fixed:
                names |= {m for code in _code_of(value, name) for m in _imports_in(code)}
    names |= _required(package.name) if package.version is not None else set()
    return frozenset(filter(None, map(unit_of, names))) - {unit}


def _owners(value: Any) -> set[str]:
    """Return the modules that a name of a module stands for, or comes from."""
    if isinstance(value, ModuleType):
        owner = vars(value).get("__name__")
    elif isinstance(value, type | FunctionType | BuiltinFunctionType):
        owner = getattr(value, "__module__", None)
    else:
        return set()
    return {owner} if isinstance(owner, str) else set()


def _required(distribution: str) -> set[str]:
    """Return modules of what a distribution requires without any extra."""
    names = requirements(distribution)
    tops = {name for name in list(sys.modules) if "." not in name} if names else set()
    units = {unit for name in tops if (unit := unit_of(name)) and unit != OURS}
    return {unit for unit in units if _package(unit).name in names}


def _code_of(value: Any, module: str) -> Iterator[CodeType]:
    """Yield the code of functions that a module defines, methods too."""
    if isinstance(value, FunctionType) and value.__module__ == module:
        yield value.__code__
    elif isinstance(value, type) and value.__module__ == module:
        for part in list(vars(value).values()):
            for function in _functions_in(part):
                yield function.__code__


def _functions_in(part: Any) -> Iterator[FunctionType]:
    for each in (part, getattr(part, "__func__", None), getattr(part, "fget", None)):
        if isinstance(each, FunctionType):
            yield each


def _imports_in(code: CodeType) -> Iterator[str]:
    """Yield the modules that code imports, functions within it too."""
    if any(name.partition(".")[0] in sys.modules for name in code.co_names):
        for step in dis.get_instructions(code):
            if step.opname == "IMPORT_NAME" and isinstance(step.argval, str):
                yield step.argval
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _imports_in(part)


def _own_imports(entry: Entry) -> set[str]:
    """Return the modules that a plug-in's own code names: its function, and what that calls."""
    folder = entry.path.parent if entry.path else None
    value = entry.value if isinstance(entry.value, type) else getattr(entry.value, "fit", None)
    names, seen, waiting = set[str](), set[int](), [value]
    kept: list[Any] = []  # alive, so that no other object has its number
    while waiting and len(seen) < MOST_OBJECTS:
        each = waiting.pop()
        if id(each) in seen or type(each) in PLAIN:
            continue
        seen.add(id(each))
        kept.append(each)
        with suppress(Exception):  # an object of strangers may do anything when it is looked at
            waiting += _next(each, names, folder)
    return {name for name in names if not _is_own(name, folder)}


def _is_own(name: Any, folder: Path | None) -> bool:
    """Say whether a module is a plug-in's own, of which each definition counts by itself.

    So do those of files beside it, which its digest has where its code names them.
    """
    if not isinstance(name, str) or name.startswith(_PLUGINS) or name == "__main__":
        return True
    attributes = _vars(sys.modules.get(name))
    file = attributes.get("__file__")
    if not isinstance(file, str):
        return name not in sys.modules  # code without a module
    if _package(unit_of(name) or name).fixed or unit_of(name) != name or "__path__" in attributes:
        return False
    return folder is not None and Path(file).resolve().parent == folder


def _next(value: Any, names: set[str], folder: Path | None) -> list[Any]:
    """Return what an object leads to, and note the module that it is, or comes from."""
    names |= _owners(value)
    leads: list[Any] = []
    match value:
        case FunctionType():
            leads = _of_function(value, names, folder)
        case partial():
            leads = [value.func, *value.args, *value.keywords.values()]
        case MethodType():
            leads = [value.__func__, value.__self__]
        case staticmethod() | classmethod():
            leads = [value.__func__]
        case property():
            leads = [value.fget]
        case type():
            if _is_own(getattr(value, "__module__", None), folder):
                leads = [*vars(value).values(), *value.__bases__]
        case dict():
            leads = [*value.values()]
        case tuple() | list() | set() | frozenset():
            leads = [*value]
        case _ if not isinstance(value, ModuleType):
            own = _is_own(getattr(type(value), "__module__", None), folder)
            leads = [type(value), *(vars(value).values() if own and _has_parts(value) else ())]
    return leads


def _has_parts(value: Any) -> bool:
    return isinstance(getattr(value, "__dict__", None), dict)


def _of_function(function: FunctionType, names: set[str], folder: Path | None) -> list[Any]:
    names |= _owners(function)
    around = [cell.cell_contents for cell in function.__closure__ or () if _is_full(cell)]
    around += [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    around.append(getattr(function, "__wrapped__", None))
    home = function.__globals__.get("__name__")
    if not (_is_own(function.__module__, folder) and _is_own(home, folder)):
        return around
    used = [function.__globals__[name] for name in _names_in(function.__code__)
            if name in function.__globals__]  # fmt: skip
    package = function.__globals__.get("__package__")
    for module in _imports_in(function.__code__):
        names |= {module, f"{package}.{module}"} if package else {module}
    return [*around, *used]


def _is_full(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _names_in(part)
