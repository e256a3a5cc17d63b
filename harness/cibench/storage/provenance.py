"""What a run rests on: versions, machine, and digests of the code that made the rows."""

from __future__ import annotations

import ast
import platform
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cibench.model import registry
from cibench.model.method import PIP_NAMES
from cibench.model.registry import Entry
from cibench.suite.suite import Suite
from cibench.utils.files import canonical
from cibench.utils.version import __version__

ALWAYS = ("numpy", "pandas", "scipy", "pyarrow")
EVERYONES = ("cibench", *ALWAYS)
"""The packages that every row rests on, whatever its estimator uses."""


def packages(modules: Iterable[str]) -> list[str]:
    """Return the names on the package index of import names, sorted."""
    return sorted({PIP_NAMES.get(module, module) for module in modules})


def versions(modules: Iterable[str]) -> dict[str, str]:
    """Return the installed version of each package, by its name on the package index."""
    installed = {}
    for package in packages((*ALWAYS, *modules)):
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            installed[package] = "not installed"
    return {"cibench": __version__, **installed}


def machine() -> dict[str, Any]:
    """Return platform, Python and the CPU features that numpy found: bits depend on all three."""
    import numpy as np

    build = np.show_config(mode="dicts")
    features = build.get("SIMD Extensions", {}).get("found", []) if build else []
    return {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cpu_features": sorted(features),
    }


def source_digest(entry: Entry) -> str | None:
    """Return the digest of the defining file and of what it imports from its own folder.

    None for code without a file: its rows cannot be told from those of another version.
    """
    return None if entry.path is None else file_digest(entry.path)


def file_digest(defining: Path) -> str:
    """Return the digest of a file and of what it imports from its own folder."""
    digest = blake2b(digest_size=16)
    for path in sorted(_with_neighbours(defining)):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def files_of(entry: Entry) -> list[Path]:
    """Return the defining file and what it imports from its own folder, sorted; none without."""
    return sorted(_with_neighbours(entry.path)) if entry.path else []


def _with_neighbours(path: Path, seen: frozenset[Path] = frozenset()) -> frozenset[Path]:
    """Return a module's file and, however deep, the files beside it that it imports."""
    seen = seen | {path}
    for name in _imported(path):
        neighbour = path.with_name(f"{name.rsplit('.', 1)[-1]}.py")
        if neighbour not in seen and neighbour.is_file():
            seen = _with_neighbours(neighbour, seen)
    return seen


def _imported(path: Path) -> tuple[str, ...]:
    """Return what a file imports, within functions too: modules, and names that may be modules."""
    return _imports_of(path.read_bytes())


@lru_cache(maxsize=256)  # a run asks for the same sources' digest several times
def _imports_of(source: bytes) -> tuple[str, ...]:
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += filter(None, [node.module])
            names += [f"{node.module or ''}.{alias.name}".strip(".") for alias in node.names]
    return tuple(names)


def modules(suite: Suite) -> list[str]:
    """Return the modules of the libraries in use that workers import before any clock starts.

    An estimator says which libraries it uses, and its source which parts of them: importing
    `statsmodels` alone would leave a second of imports to the first fit.
    """
    used = set(suite.libraries)
    for name in suite.estimators:
        entry = registry.entry("estimator", name)
        for path in files_of(entry):
            used |= {m for m in _imported(path) if m.split(".")[0] in entry.value.uses}
    return sorted(used)


def sources(suite: Suite) -> dict[str, str | None]:
    """Return the source digest of every scenario and estimator of the suite."""
    entries = {f"scenario {name}": registry.entry("scenario", name) for name in suite.scenarios}
    entries |= {f"estimator {n}": registry.entry("estimator", n) for n in suite.estimators}
    return {name: source_digest(entry) for name, entry in entries.items()}


def protocol(suite: Suite) -> str:
    """Return the digest of what decides a row besides its replicate number: seed, cells, code."""
    cells = [[cell.key, cell.entrants] for cell in suite.cells]
    content = [suite.seed, suite.level, cells, sources(suite)]
    return blake2b(canonical(content).encode(), digest_size=16).hexdigest()
