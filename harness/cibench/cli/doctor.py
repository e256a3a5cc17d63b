"""The command `cibench doctor`: versions, what is missing or broken, and threads."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires, version


def doctor() -> None:
    """Show versions, optional libraries, broken plug-ins and threads."""
    import numpy as np  # noqa: F401 - loads the BLAS that is asked about below
    from threadpoolctl import threadpool_info

    from cibench.gate.versions.requirements import supported
    from cibench.model import registry
    from cibench.render.terminal import console, table
    from cibench.storage.provenance import machine
    from cibench.utils.machine import cores
    from cibench.utils.names import canonical_name
    from cibench.utils.version import __version__

    out, here = console(), machine()
    out.print(f"cibench {__version__}, Python {here['python']}, {here['platform']}\n", style="bold")
    states = supported()
    rows = [
        {"package": n, "extra": e, "version": v, "works with": states.get(canonical_name(n), "")}
        for n, e, v in dependencies()
    ]
    out.print(table(rows), "")
    for library, names in lacking().items():
        out.print(f"pip install {library}  brings {', '.join(names)}", markup=False)
    for module, error in registry.broken().items():
        out.print(f"broken plug-in {module}: {error}", markup=False)
    blas = ", ".join(f"{i['internal_api']} {i['num_threads']}" for i in threadpool_info())
    out.print(f"cores {cores()}; threads outside of runs: {blas or 'none'}; each fit runs with one")


def dependencies() -> list[tuple[str, str, str]]:
    """Return package, extra ("" for a hard dependency) and installed version or "missing"."""
    rows = []
    for line in requires("cibench") or []:
        name = re.split(r"[\s<>=!~;\[(]", line, maxsplit=1)[0]
        extra = re.search(r"extra == ['\"]([^'\"]+)", line)
        try:
            installed = version(name)
        except PackageNotFoundError:
            installed = "missing"
        rows.append((name, extra.group(1) if extra else "", installed))
    return rows


def lacking() -> dict[str, list[str]]:
    """Return the libraries that are not installed and the estimators that use each."""
    from cibench.model import registry
    from cibench.model.method import PIP_NAMES, installed

    missing: dict[str, list[str]] = {}
    for name, entry in registry.entries("estimator").items():
        for library in entry.value.uses:
            if not installed(library):
                missing.setdefault(PIP_NAMES.get(library, library), []).append(name)
    return missing
