"""Suites: a TOML file becomes cells, each a scenario at one setting with a number of units."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from sys import intern
from typing import TYPE_CHECKING, Any, NamedTuple

from cibench.model.design import Dial, Parameter, Scenario, dials, parameters, values_of
from cibench.model.method import find_estimator
from cibench.model.types import Target
from cibench.suite.precision import COUNT, is_count
from cibench.utils.errors import BadInput
from cibench.utils.files import canonical
from cibench.utils.toml import to_toml

if TYPE_CHECKING:
    from cibench.suite.precision import Precision


class Entrant(NamedTuple):
    """Name one estimator with all its options, as the canonical JSON that rows carry.

    >>> from cibench.suite import Entrant
    >>> Entrant("panel/twfe", "{}").estimator
    'panel/twfe'
    """

    estimator: str
    options: str


class Refusal(NamedTuple):
    """Say why an estimator that a glob brought in has no rows for a scenario."""

    scenario: str
    estimator: str
    reason: str


class Refits(NamedTuple):
    """Say that the fits of the first replicates are repeated, so many times each."""

    replicates: int
    times: int


NO_REFITS = Refits(0, 0)

Identity = tuple[str, str, int, str]
"""Scenario, dials, units and parameters of a cell, as the columns of these names have them."""


@dataclass(frozen=True)
class Cell:
    """Hold a scenario at one setting, a number of units and the estimators that face it.

    >>> from cibench.suite import find_suite
    >>> cell = find_suite("quickstart").cells[0]
    >>> str(cell), cell.moved, len(cell.entrants)
    ('rd/cct-1 n=500', (None, None), 4)
    """

    scenario: Scenario
    n: int
    entrants: tuple[Entrant, ...]

    @property
    def moved(self) -> tuple[str | None, float | None]:
        """Return the one dial that is off its default and its setting, else (None, None)."""
        return self._moved(values_of(self.scenario, Dial))

    def _moved(self, settings: Mapping[str, float]) -> tuple[str | None, float | None]:
        specs = self.scenario.specs
        off = [(name, value) for name, value in settings.items() if value != specs[name].default]
        return off[0] if len(off) == 1 else (None, None)

    @cached_property
    def key(self) -> Mapping[str, Any]:
        """Return the columns that name the cell in every table."""
        settings = values_of(self.scenario, Dial)
        dial, setting = self._moved(settings)
        return {
            "scenario": self.scenario.name,
            "dial": dial,
            "setting": setting,
            "dials": intern(canonical(settings)),  # which many cells share
            "n": self.n,
            "parameters": intern(canonical(values_of(self.scenario, Parameter))),
        }

    def targets_of(self, estimator: str) -> tuple[Target | None, ...]:
        """Return what one estimator answers here; a diagnostic has one answer to no target."""
        method = find_estimator(estimator)
        return method.targets_of(self.scenario) if method.kind == "estimate" else (None,)

    @cached_property
    def identity(self) -> Identity:
        """Return what of its key no other cell of a suite shares."""
        key = self.key
        return key["scenario"], key["dials"], key["n"], key["parameters"]

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Return how many rows a fit of each entrant has."""
        return tuple(len(self.targets_of(entrant.estimator)) for entrant in self.entrants)

    def at_most(self, replicates: int) -> int:
        """Return a number of replicates, or how many data sets there are where these are fewer."""
        most = self.scenario.most_replicates(self.n)
        return replicates if most is None else min(replicates, most)

    @property
    def rows(self) -> int:
        """Return how many rows one replicate of the cell has."""
        return sum(self.widths)

    def __str__(self) -> str:
        fields: dict[str, Any] = {**parameters(type(self.scenario)), **dials(type(self.scenario))}
        values = {**values_of(self.scenario, Parameter), **values_of(self.scenario, Dial)}
        moved = [f" {k}={_short(v)}" for k, v in values.items() if v != fields[k].default]
        return f"{self.scenario.name} n={self.n}{''.join(moved)}"


@dataclass(frozen=True)
class Suite:
    """Hold what a run is to do: its cells, how many replicates of each, and from which seed.

    A fit may take `timeout` seconds and `memory` bytes. `spec` is the content of the suite file,
    with its paths made absolute; `published` a table of figures to put ours beside. `refits` says
    how many of the first data sets are fitted again and how often, `refusals` why estimators that a
    glob brought in have no rows. With `precision` targets instead of a count, `replicates` is 0 and
    `lengths` holds how many each cell is to have as far as that is known. `cibench.suite` has
    `read_suite` for a file, `parse_suite` for a mapping of the same form and `find_suite` for what
    a user names.

    >>> from cibench.suite import parse_suite
    >>> cell = {"scenario": "did/two-group", "n": [20, 50], "estimators": "panel/twfe"}
    >>> suite = parse_suite({"name": "small", "seed": 1, "replicates": 10, "cells": [cell]})
    >>> len(suite.cells), suite.expected_rows, suite.with_replicates(3).expected_rows
    (2, 20, 6)
    """

    name: str
    seed: int
    replicates: int
    cells: tuple[Cell, ...]
    level: float = 0.95
    precision: Precision | None = None
    timeout: float | None = None
    memory: float | None = None
    plugins: tuple[str, ...] = ()
    published: Path | None = None
    refusals: tuple[Refusal, ...] = ()
    refits: Refits = NO_REFITS
    lengths: tuple[int, ...] = ()
    spec: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def with_replicates(self, replicates: int) -> Suite:
        """Return the same suite with another number of replicates; BadInput if it is none."""
        if not is_count(replicates):
            raise BadInput(f"replicates: {replicates} is not {COUNT}")
        targets = ("precision", "min_replicates", "max_replicates", "pilot")
        kept = {key: value for key, value in self.spec.items() if key not in targets}
        spec = {**kept, "replicates": replicates}
        return dataclasses.replace(
            self, replicates=replicates, precision=None, lengths=(), spec=spec
        )

    def with_plugin(self, plugin: str) -> Suite:
        """Return the same suite with one more plug-in, loaded after the others."""
        plugins = (*self.plugins, plugin)
        return dataclasses.replace(
            self, plugins=plugins, spec={**self.spec, "plugins": list(plugins)}
        )

    def with_lengths(self, lengths: Sequence[int]) -> Suite:
        """Return the same suite with a number of replicates for each cell, for the time being."""
        return dataclasses.replace(self, lengths=tuple(lengths))

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Return how many replicates each cell is to have; where data sets exist, no more."""
        wanted = self.lengths or (self.replicates,) * len(self.cells)
        return tuple(cell.at_most(n) for n, cell in zip(wanted, self.cells, strict=True))

    @cached_property
    def places(self) -> Mapping[Identity, int]:
        """Return the place of each cell in the suite."""
        return {cell.identity: place for place, cell in enumerate(self.cells)}

    @property
    def estimators(self) -> list[str]:
        """Return the names of all estimators that have rows, sorted."""
        return sorted({e.estimator for cell in self.cells for e in cell.entrants})

    @property
    def scenarios(self) -> list[str]:
        """Return the names of all scenarios, sorted."""
        return sorted({cell.scenario.name for cell in self.cells})

    @property
    def expected_rows(self) -> int:
        """Return how many replicate rows a complete run of this suite stores."""
        return sum(n * cell.rows for n, cell in zip(self.counts, self.cells, strict=True))

    @property
    def libraries(self) -> list[str]:
        """Return the import names of the libraries that estimators and scenarios use here."""
        methods = [find_estimator(name) for name in self.estimators]
        used = {use for method in methods if method.elsewhere is None for use in method.uses}
        return sorted(used | {u for cell in self.cells for u in cell.scenario.uses})

    def as_toml(self) -> str:
        """Return the text of a suite file that reads back as this suite."""
        return to_toml(self.spec)


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def merge(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """Return the cells with none twice: entries that name the same one join their estimators."""
    merged: dict[Identity, Cell] = {}
    for cell in cells:
        identity = cell.identity
        if identity in merged:
            entrants = dict.fromkeys((*merged[identity].entrants, *cell.entrants))
            cell = dataclasses.replace(cell, entrants=tuple(entrants))  # noqa: PLW2901
        merged[identity] = cell
    return tuple(merged.values())
