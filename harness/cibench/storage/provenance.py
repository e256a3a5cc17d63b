"""What a run rests on: versions, machine, and the digests of what made the rows."""

from __future__ import annotations

import platform
import uuid
from collections.abc import Iterable
from functools import cache
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cibench.model import registry
from cibench.model.method import PIP_NAMES
from cibench.storage.source_digests import files_of, imports_of, source_digest
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


def versions_elsewhere(estimators: Iterable[str]) -> dict[str, str]:
    """Return the versions of languages and packages in which estimators are asked elsewhere.

    Raises BadInput where the process of one does not start. Several of one name are told together.
    """
    known: dict[str, set[str]] = {}
    for name in estimators:
        where = registry.entry("estimator", name).value.elsewhere
        for what, number in (where.versions() if where else {}).items():
            known.setdefault(what, set()).add(number)
    return {what: ", ".join(sorted(numbers)) for what, numbers in sorted(known.items())}


def versions_of(suite: Suite) -> dict[str, str]:
    """Return the versions of all that a suite's rows rest on, here and in other processes."""
    return {**versions(suite.libraries), **versions_elsewhere(suite.estimators)}


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


def modules(suite: Suite) -> list[str]:
    """Return the modules of the libraries in use that workers import before any clock starts.

    An estimator says which libraries it uses, and its source which parts of them: importing
    `statsmodels` alone would leave a second of imports to the first fit.
    """
    used = set(suite.libraries)
    for name in suite.estimators:
        entry = registry.entry("estimator", name)
        for path in files_of(entry) if entry.value.elsewhere is None else ():
            used |= {m for m in imports_of(path) if m.split(".")[0] in entry.value.uses}
    return sorted(used)


def sources(suite: Suite) -> dict[str, str | None]:
    """Return the source digest of every scenario and estimator of the suite."""
    entries = {f"scenario {name}": registry.entry("scenario", name) for name in suite.scenarios}
    entries |= {f"estimator {n}": registry.entry("estimator", n) for n in suite.estimators}
    return {name: source_digest(entry) for name, entry in entries.items()}


@cache
def host() -> str:
    """Return a digest that tells this machine from others, and nothing else of it."""
    try:
        own = Path("/etc/machine-id").read_text(encoding="utf-8").strip()
    except OSError:
        address = uuid.getnode()
        own = "" if address >> 40 & 1 else str(address)  # made up where there is no network card
    return blake2b("\n".join(["cibench", platform.node(), own]).encode(), digest_size=8).hexdigest()


def protocol(suite: Suite) -> str:
    """Return the digest of what decides a row besides its replicate number: seed, cells, code."""
    cells = [[cell.key, cell.entrants] for cell in suite.cells]
    content = [suite.seed, suite.level, cells, sources(suite)]
    return blake2b(canonical(content).encode(), digest_size=16).hexdigest()
