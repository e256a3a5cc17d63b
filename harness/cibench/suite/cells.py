"""Read one [[cells]] table of a suite file: which scenarios at which settings face whom."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cibench.model import registry
from cibench.model.design import Scenario, configure, dials, find_scenario, parameters
from cibench.model.method import find_estimator
from cibench.suite.suite import Cell, Entrant, Refusal
from cibench.utils.errors import BadInput, unknown
from cibench.utils.files import canonical
from cibench.utils.toml import Table

KEYS = ("scenario", "n", "dials", "vary", "parameters", "estimators", "options", "expect")
VARY = ("one-at-a-time", "crossed")


def expand(table: Table, cells: list[Cell], refusals: list[Refusal]) -> None:
    """Add the cells of one [[cells]] table, and what its globs brought in that declines."""
    table.check_keys(KEYS)
    sizes = table.content.get("n", ...)
    sizes = sizes if isinstance(sizes, list) and sizes else [sizes]
    if sizes == [...]:
        raise table.bad("n", "is missing; it takes a number of units or a list of them")
    for n in sizes:
        if not isinstance(n, int) or isinstance(n, bool) or n < 1:
            raise table.bad("n", f"{n!r} is not a number of units")
    classes = _scenarios(table)
    for cls in classes:
        settings = list(_settings(table, cls, classes))
        entrants = _entrants(table, settings[0], refusals)
        cells += [Cell(scenario, n, entrants) for n in sizes for scenario in settings]


def _scenarios(table: Table) -> list[type[Scenario]]:
    names: dict[str, None] = {}
    for pattern in table.strings("scenario", ...):
        try:
            names.update(dict.fromkeys(registry.matching("scenario", pattern)))
        except BadInput as error:
            raise table.bad("scenario", error) from error
    return [find_scenario(name) for name in names]


def _settings(
    table: Table, cls: type[Scenario], classes: list[type[Scenario]]
) -> Iterator[Scenario]:
    """Yield the scenario at every combination of parameters and every setting of its dials."""
    vary = table.take("vary", str, VARY[0], VARY.__contains__, f"one of {', '.join(VARY)}")
    fixed = _values(table.table("parameters"), parameters(cls), [parameters(c) for c in classes])
    if table.content.get("dials") == "grid":
        moved: dict[str, list[Any]] = {name: ["grid"] for name in dials(cls)}
    else:
        moved = _values(table.table("dials"), dials(cls), [dials(c) for c in classes])
    for name, spec in dials(cls).items():
        if moved.get(name) == ["grid"]:
            moved[name] = [spec.default, *spec.grid]
    for base in _product(fixed):
        if vary == "crossed":
            combinations = list(_product(moved))
        else:
            combinations = [{}, *({name: s} for name, values in moved.items() for s in values)]
        for chosen in combinations:
            try:
                yield configure(cls, {**base, **chosen})
            except BadInput as error:
                raise table.bad("dials" if chosen else "parameters", error) from error


def _values(
    table: Table, own: Mapping[str, Any], all_known: list[Mapping[str, Any]]
) -> dict[str, list[Any]]:
    """Return lists of values for the fields this scenario has.

    With several scenarios in one table a field belongs to at least one of them.
    """
    known = sorted({name for names in all_known for name in names})
    for name, value in table.content.items():
        if name not in known:
            what = table.path.rstrip(".").rsplit(".", 1)[-1].removesuffix("s")
            raise table.bad(name, unknown(what, name, known))
        if (
            value == []
            or isinstance(value, dict)
            or (value == "grid" and "dials" not in table.path)
        ):
            raise table.bad(name, f"{value!r} is neither a value nor a list of values")
    return {
        name: value if isinstance(value, list) else [value]
        for name, value in table.content.items()
        if name in own
    }


def _product(values: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    for combination in itertools.product(*values.values()):
        yield dict(zip(values, combination, strict=True))


def _entrants(table: Table, scenario: Scenario, refusals: list[Refusal]) -> tuple[Entrant, ...]:
    """Return who faces the scenario: by name a must, by glob whoever does not decline."""
    options = table.table("options")
    names: dict[str, None] = {}
    for pattern in table.strings("estimators", ...):
        try:
            matched = registry.matching("estimator", pattern)
        except BadInput as error:
            raise table.bad("estimators", error) from error
        for name in matched:
            reason = find_estimator(name).declines(scenario)
            if reason is None:
                names[name] = None
            elif registry.is_pattern(pattern):
                refusals.append(Refusal(scenario.name, name, reason))
            else:
                raise table.bad("estimators", f"'{name}' {reason}")
    if not names:
        raise table.bad("estimators", f"none of them accepts {scenario.name}")
    for name in options.content:
        if name not in registry.entries("estimator"):
            raise options.bad(name, unknown("estimator", name, registry.entries("estimator")))
    return tuple(Entrant(name, _options(options, name)) for name in names)


def _options(table: Table, name: str) -> str:
    """Return the estimator's options, defaults included, as canonical JSON."""
    known = find_estimator(name).options
    given = table.table(name).content
    for option, value in given.items():
        where = f"{name}.{option}"
        if option not in known:
            raise table.bad(where, unknown("option", option, known))
        kind = float if isinstance(known[option], float) else type(known[option])
        if known[option] is not None and not isinstance(
            value, (kind, int if kind is float else kind)
        ):
            raise table.bad(where, f"{value!r} is not of type {kind.__name__}")
    return canonical({**known, **given})


TWIN = "twin:"
"""What a scenario's name begins with where the rest is the path of a data twin."""


def with_twins(table: Table, folder: Path) -> tuple[Table, list[str]]:
    """Return the suite with data twins called by their scenario's name, and their files.

    The name holds the twin's digest: wherever the file lies, its data have one address.
    """
    cells, files = table.content.get("cells"), []
    if not isinstance(cells, list) or not all(isinstance(c, dict) for c in cells):
        return table, []
    renamed = []
    for number, cell in enumerate(cells, 1):
        entry = Table(cell, table.where, f"cells[{number}].")
        given = entry.content.get("scenario")
        names = entry.strings("scenario", []) if given else []
        if any(name.startswith(TWIN) for name in names):
            named = [_twin(entry, name, folder) for name in names]
            files += [file for _, file in named if file]
            cell = {**cell, "scenario": [name for name, _ in named]}  # noqa: PLW2901
        renamed.append(cell)
    return Table({**table.content, "cells": renamed}, table.where), files


def _twin(table: Table, name: str, folder: Path) -> tuple[str, str]:
    """Return a scenario's name and, if it is a twin, its file."""
    if not name.startswith(TWIN):
        return name, ""
    from cibench.twins.scenario import register_twin

    path = str((folder / name.removeprefix(TWIN)).resolve())
    try:
        return register_twin(path).name, path
    except BadInput as error:
        raise table.bad("scenario", error) from error
