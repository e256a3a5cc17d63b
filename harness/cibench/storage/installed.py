"""Packages as they lie on this machine: whose a module is, and the digest of what may be edited.

A version that came from a package index names the same files everywhere. A checkout, on the path or
installed in editable mode, and whatever was installed from a folder or an address have a version
that says nothing of an edit: of these the files count.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, lru_cache
from hashlib import blake2b
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from urllib.parse import urlparse
from urllib.request import url2pathname

from cibench.utils.names import canonical_name

MOST_FILES, MOST_BYTES = 20_000, 2**28
"""What of a package is read for its digest; of a larger one nobody says whether it is the same."""

NO_PARTS = frozenset({"__pycache__", "baselines", "node_modules"})
"""Folders that are no part of a package: what Python, cibench and others write into one."""

PLUGINS = {"cibench": frozenset({"scenarios", "estimators"})}
"""Folders of a package whose files have digests of their own, each definition by itself."""

INSTALLED = frozenset({"site-packages", "dist-packages"})
"""What the folders are called into which installers put packages."""


class Package(NamedTuple):
    """Say whose a module is: the distribution, its version if known, and whether that says all."""

    name: str
    version: str | None
    fixed: bool


def package_of(unit: str) -> Package:
    """Return whose a top-level module, or a part of a namespace package, is.

    What no installed distribution claims goes by the module's name and `__version__`.
    """
    places, own = _places(unit), _owner(unit)
    inside = _is_installed(places)
    if own is None:
        own = next((d for d in _index().editable if _lies_in(places, d.root)), None)
    if own is not None and (inside or _lies_in(places, own.root)):
        return Package(own.name, own.version, inside and own.fixed)
    version = _vars(sys.modules.get(unit)).get("__version__")
    known = isinstance(version, str) and version.isprintable()
    return Package(own.name if own else unit, version if known else None, fixed=False)


class _Distribution(NamedTuple):
    """Hold what is known of a distribution; `root` is the checkout of an editable one."""

    name: str
    version: str
    fixed: bool
    root: Path | None
    parts: frozenset[str]
    requires: tuple[str, ...]


class _Index(NamedTuple):
    """Hold the distributions by the modules that they bring, and those that are checkouts."""

    by_module: Mapping[str, list[_Distribution]]
    by_name: Mapping[str, _Distribution]

    @property
    def editable(self) -> list[_Distribution]:
        """Return those that are checkouts."""
        return [each for each in self.by_name.values() if each.root is not None]


@cache
def _index() -> _Index:
    """Return who brings which module, as `importlib.metadata.packages_distributions` does.

    That takes five times as long, and every process needs it.
    """
    by_module: dict[str, list[_Distribution]] = {}
    by_name: dict[str, _Distribution] = {}
    for distribution in metadata.distributions():
        with suppress(Exception):  # metadata of strangers may be damaged in any way
            text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
            head = text.partition("\n\n")[0]
            name, version = (_HEAD[key].search(head) for key in ("Name", "Version"))
            if name is None or version is None:
                continue
            direct = _direct_url(distribution)
            known = _Distribution(
                canonical_name(name[1]), version[1], not direct, _checkout(direct),
                _modules(distribution), tuple(_REQUIRED.findall(head)),
            )  # fmt: skip
            for module in known.parts:
                by_module.setdefault(module, []).append(known)
            by_name.setdefault(known.name, known)
    return _Index(by_module, by_name)


_HEAD = {key: re.compile(rf"^{key}: *(\S+)\s*$", re.MULTILINE) for key in ("Name", "Version")}
_REQUIRED = re.compile(r"^Requires-Dist: *(.+?)\s*$", re.MULTILINE)


def origin_of(unit: str) -> tuple[str | None, str | None]:
    """Return a package's version, and whence it came: an address, "" a folder, None an index."""
    package = package_of(unit)
    if package.fixed:
        return package.version, None
    with suppress(metadata.PackageNotFoundError):
        direct = _direct_url(metadata.distribution(package.name))
        url, source = direct.get("url"), direct.get("vcs_info") or {}
        if isinstance(url, str) and not url.startswith("file:"):
            known = {"vcs", "commit_id"} <= set(source)
            return package.version, f"{source['vcs']}+{url}@{source['commit_id']}" if known else url
    return package.version, ""


def requirements(name: str) -> set[str]:
    """Return what a distribution requires on this machine without any extra, by name."""
    from packaging.requirements import InvalidRequirement, Requirement

    names: set[str] = set()
    known = _index().by_name.get(name)
    for line in known.requires if known else ():
        with suppress(InvalidRequirement, ValueError):
            wanted = Requirement(line) if "extra" not in line.partition(";")[2] else None
            if wanted and (wanted.marker is None or wanted.marker.evaluate()):
                names.add(canonical_name(wanted.name))
    return names


def _direct_url(distribution: metadata.Distribution) -> dict[str, Any]:
    """Return where a distribution came from, if not from an index (PEP 610)."""
    with suppress(ValueError, OSError):
        content = json.loads(distribution.read_text("direct_url.json") or "{}")
        if isinstance(content, dict):
            return content
    return {}


def _checkout(direct: Mapping[str, Any]) -> Path | None:
    """Return the folder from which a distribution was installed to be edited there."""
    if not (direct.get("dir_info") or {}).get("editable"):
        return None
    return Path(url2pathname(urlparse(direct["url"]).path)).resolve()


def _modules(distribution: metadata.Distribution) -> frozenset[str]:
    """Return the modules that a distribution brings, those within folders of its own too."""
    listed = (distribution.read_text("top_level.txt") or "").split()
    lines = (distribution.read_text("RECORD") or "").splitlines()
    names = {line.partition(",")[0].rpartition("/")[0] for line in lines}
    names |= {line.partition(",")[0] for line in lines if "/" not in line.partition(",")[0]}
    parts = {part for name in names for part in _first_parts(name)}
    return frozenset({*listed, *parts})


def _first_parts(name: str) -> Iterator[str]:
    """Yield the module, and the module within a folder, that a path begins with."""
    first, _, rest = name.partition("/")
    top = first.partition(".")[0]
    if top and not first.endswith((".dist-info", ".egg-info", ".pth", ".data")):
        yield top
        if second := rest.partition("/")[0].partition(".")[0]:
            yield f"{top}.{second}"


def _owner(unit: str) -> _Distribution | None:
    """Return the first distribution on the path that brings a module."""
    owners = _index().by_module
    several = owners.get(unit) or owners.get(unit.partition(".")[0], [])
    return several[0] if several else None


def _lies_in(places: Sequence[Path], root: Path | None) -> bool:
    return root is not None and any(place.is_relative_to(root) for place in places)


def _is_installed(places: Sequence[Path]) -> bool:
    """Say whether all of a module lies where installers put packages."""
    known = [Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")]
    return bool(places) and all(
        INSTALLED & set(place.parts) or any(place.is_relative_to(k) for k in known)
        for place in places
    )


def _vars(module: Any) -> dict[str, Any]:
    """Return what a module holds; nothing of what stands for one and is none."""
    return vars(module) if isinstance(module, ModuleType) else {}


def _places(unit: str) -> list[Path]:
    """Return folders of a package, or the file of a module, whether it is imported or not."""
    attributes = _vars(sys.modules.get(unit))
    folders, file = attributes.get("__path__"), attributes.get("__file__")
    if not isinstance(file, str):
        with suppress(Exception):  # it has no spec, or a finder of strangers fails
            spec = importlib.util.find_spec(unit) if unit.isidentifier() else None
            if spec is not None:
                folders, file = spec.submodule_search_locations, spec.origin
    with suppress(Exception):  # a namespace's folders are looked up, which may fail
        if folders is not None and (several := [Path(each).resolve() for each in folders]):
            return several
    return [Path(file).resolve()] if isinstance(file, str) else []


def digest_of(units: Sequence[str]) -> str | None:
    """Return the digest of the files of modules and packages; None where they are not there.

    None too where there are more than anybody would read. Line endings of Python do not count.
    Files that are as they were when they were last looked at are not read again.
    """
    files = []
    for unit in sorted(units):
        for place in _places(unit):
            for name, path in _files(place, PLUGINS.get(unit, frozenset())):
                with suppress(OSError):  # it was there a moment ago
                    stat = path.stat()
                    files.append(_File(unit, name, path, stat.st_size, stat.st_mtime_ns))
            if len(files) > MOST_FILES:
                return None
    if not files or sum(each.size for each in files) > MOST_BYTES:
        return None
    with suppress(OSError):
        return _digest(tuple(files))
    return None


class _File(NamedTuple):
    """Hold a file of a package, and by what it is seen that it was written again."""

    unit: str
    name: str
    path: Path
    size: int
    written: int


@lru_cache(maxsize=64)
def _digest(files: tuple[_File, ...]) -> str:
    hasher = blake2b(digest_size=16)
    for each in files:
        content = each.path.read_bytes()
        if each.path.suffix in {".py", ".pyi"}:
            content = content.replace(b"\r\n", b"\n")
        hasher.update(f"{each.unit}\0{each.name}\0{len(content)}\0".encode() + content)
    return hasher.hexdigest()


def _files(place: Path, apart: frozenset[str]) -> Iterator[tuple[str, Path]]:
    """Yield the files of a package, or a module's own, by their names within it."""
    if place.is_file():
        yield place.name, place
        return
    known: set[str] = set()
    for folder, folders, names in os.walk(place, followlinks=True):
        here = os.path.realpath(folder)
        if here in known:  # links that go round
            folders.clear()
            continue
        known.add(here)
        left_out = apart if Path(folder) == place else frozenset[str]()
        folders[:] = sorted(f for f in folders if f not in left_out and _is_part(Path(folder, f)))
        for name in sorted(names):
            path = Path(folder, name)
            if not name.startswith(".") and path.suffix not in {".pyc", ".pyo"}:
                yield path.relative_to(place).as_posix(), path


def _is_part(folder: Path) -> bool:
    """Say whether a folder within a package is a part of it."""
    name = folder.name
    if name.startswith(".") or name in NO_PARTS or name.endswith((".egg-info", ".dist-info")):
        return False
    return not (folder / "pyvenv.cfg").exists()
