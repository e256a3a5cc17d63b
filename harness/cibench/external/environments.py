"""Estimators of this Python, asked in an environment of another that need not hold cibench.

A file with the suffix `.environment` says which: a plug-in, written by whoever compares releases.
From then on the estimators that it names are fitted there, from the same files, by the helper for
other Pythons; scenarios, truths and everything that is made of the answers stay here.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

from cibench.external.methods import Environment, function
from cibench.external.process import HELPERS, Command
from cibench.model import registry
from cibench.model.method import PIP_NAMES, Estimator
from cibench.model.registry import Entry
from cibench.utils.errors import BadInput
from cibench.utils.files import write_json
from cibench.utils.foreign import read_json
from cibench.utils.names import canonical_name

SUFFIX = ".environment"
SHAPE = {"python": str, "estimators": {str: str}, "packages": {str: [str]}}


def write_environment(path: Path, python: str, names: Sequence[str], package: str = "") -> None:
    """Write the file that has estimators fitted by another Python.

    Oracles, and those that are fitted elsewhere anyway, stay where they are. Estimators that a
    `package` itself brings are those of the environment, all others are read from their files here.
    """
    own = {
        module for module, owners in packages_distributions().items()
        if package and canonical_name(package) in map(canonical_name, owners)
    }  # fmt: skip
    entries = [registry.entry("estimator", name) for name in names]
    entries = [e for e in entries if not e.value.oracle and e.value.elsewhere is None]
    content = {
        "python": python,
        "estimators": {entry.name: _place(entry, own) for entry in entries},
        "packages": {entry.name: _packages(entry, package) for entry in entries},
    }
    write_json(path, content)


def _packages(entry: Entry, other: str) -> list[str]:
    uses = (PIP_NAMES.get(use, use) for use in entry.value.uses)
    return sorted({*uses, *([other] if other else [])})


def _place(entry: Entry, own: Set[str]) -> str:
    """Return where the helper finds an estimator: a file, one as part of a package, a module."""
    package, _, _ = entry.module.rpartition(".")
    if entry.module.split(".")[0] in own:
        return entry.module
    if entry.path is None:
        raise BadInput(f"estimator '{entry.name}' is in no file that another Python could read")
    return f"{package}={entry.path}" if package else str(entry.path)


def register_environment(path: str | Path) -> list[Estimator]:
    """Have the estimators that a file names fitted where it says; raises BadInput."""
    content: dict[str, Any] = read_json(Path(path), SHAPE, "an environment of another Python")
    places = tuple(dict.fromkeys(content["estimators"].values()))
    words = (content["python"], "-s", str(HELPERS / "cibench.py"), *places)
    command = Command(words, str(Path(path).resolve().parent), alone=True)
    methods = []
    for name in content["estimators"]:
        known = registry.entry("estimator", name)
        packages = tuple(content["packages"].get(name, ()))
        methods.append(_moved(known.value, Environment(name, command, packages)))
        registry.register(
            "estimator", name, methods[-1], known.module, known.qualname, known.files,
            known.declared_in,
        )  # fmt: skip
    return methods


def _moved(method: Estimator, environment: Environment) -> Estimator:
    fit = function(environment, method.fit.__doc__ or method.name, method.options)
    fit.__module__ = method.fit.__module__
    return replace(method, fit=fit, elsewhere=environment)
