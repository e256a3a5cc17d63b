"""Methods whose answers somebody else made and handed in: what a run notes of them, and no fit.

Such a method stands in the manifest under `handed_in`, not in the suite's file: whatever suite the
run goes on with, its rows stay, nothing is asked of it, and nothing of it is due.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, NoReturn

import numpy as np

from cibench.model import registry
from cibench.model.estimands import named
from cibench.model.method import GIVES, Estimator
from cibench.model.types import Problem
from cibench.suite.suite import Entrant, Suite
from cibench.utils.errors import BadInput

KEY = "handed_in"
"""Under which the manifest has them, by name."""

NO_OPTIONS = "{}"


def cannot(name: str, source: str) -> str:
    """Say why nothing can be made again of such a method."""
    return (
        f"{name}: its answers were imported from {source}; cibench did not run it and cannot make "
        "them again"
    )


def register(name: str, entry: Mapping[str, Any]) -> Estimator:
    """Put such a method on the shelf; raises BadInput where the name is another's.

    `entry` is what a manifest says of it.
    """
    source = str(entry["source"])

    def fit(problem: Problem, rng: np.random.Generator) -> NoReturn:  # noqa: ARG001 - never asked
        raise BadInput(cannot(name, source))

    fit.__doc__ = f"Its answers were imported from {source}: cibench did not run it."
    method = Estimator(
        name, fit, tuple(map(named, entry["targets"])), tuple(map(named, entry["horizons"])),
        gives=tuple(part for part in GIVES if part in entry["gives"]), imported=source,
        by=tuple(entry.get("by", ())),
    )  # fmt: skip
    digest = blake2b(f"imported {name}".encode(), digest_size=16).hexdigest()
    try:
        registry.register(
            "estimator", name, method, __name__, f"{KEY}[{name}]", digest=lambda: digest
        )
    except ValueError as error:
        raise BadInput(
            f"--estimator: '{name}' is taken by an estimator that cibench or a plug-in has; import "
            "the answers under another name"
        ) from error
    return method


def with_methods(suite: Suite, entries: Mapping[str, Any]) -> Suite:
    """Return the suite with imported methods among the entrants of the cells that they may answer.

    What the suite's file says stays as it is. Raises BadInput where a name is another method's.
    """
    if not entries:
        return suite
    own = {entrant.estimator for cell in suite.cells for entrant in cell.entrants}
    if taken := sorted(own & entries.keys() - methods_of(suite)):
        raise BadInput(
            f"'{taken[0]}' is a method of the suite, so that no answers are imported under its name"
        )
    methods = [register(name, entry) for name, entry in entries.items()]
    cells = []
    for cell in suite.cells:
        more = [m.name for m in methods if m.targets_of(cell.scenario) and m.name not in own]
        entrants = (*cell.entrants, *(Entrant(name, NO_OPTIONS) for name in more))
        cells.append(dataclasses.replace(cell, entrants=entrants) if more else cell)
    return dataclasses.replace(suite, cells=tuple(cells))


def methods_of(suite: Suite) -> set[str]:
    """Return which methods of a suite are imported."""
    known = registry.entries("estimator")
    return {n for n in suite.estimators if n in known and known[n].value.imported}
