"""Read one [[cells]] table of a suite file: which scenarios at which settings face whom."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from cibench.model import registry
from cibench.model.design import Scenario, dials, find_scenario, parameters, try_configure
from cibench.model.method import find_estimator
from cibench.suite.precision import MOST_COUNTED, is_count
from cibench.suite.suite import Cell, Entrant, Refusal
from cibench.suite.target_names import faults_of
from cibench.utils.errors import BadInput, unknown
from cibench.utils.files import canonical
from cibench.utils.toml import Table

ENTRY_KEYS = (
    "scenario", "n", "dials", "vary", "parameters", "estimators", "options", "expect", "equal",
)  # fmt: skip
VARY = ("one-at-a-time", "crossed")


def expand(table: Table, cells: list[Cell], refusals: list[Refusal]) -> None:
    """Add the cells of one [[cells]] table, and what its globs brought in that declines.

    What is wrong is noted; the cells are then those of what is right.
    """
    classes, matched = _scenarios(table), _matched(table)
    sizes = _sizes(table, exist=bool(classes) and all(cls.sizes() for cls in classes))
    vary = table.take("vary", str, VARY[0], VARY.__contains__, f"one of {', '.join(VARY)}")
    options = table.table("options")
    _check_estimators(options)
    without: list[str] = []
    for cls in classes:
        settings = _settings(table, cls, classes, vary)
        facing: dict[Any, tuple[Entrant, ...]] = {}
        for scenario in settings:  # a parameter may say which question is asked
            if (asked_for := scenario.targets()) not in facing:
                for fault in faults_of(asked_for):
                    table.fault("scenario", f"{scenario.name}: {fault}")
                names = _accepting(table, scenario, matched, refusals)
                facing[asked_for] = tuple(Entrant(n, _options(options, n)) for n in names)
        without += [] if any(facing.values()) else [cls.name]
        settings = _with_data(table, cls, settings, sizes, vary)
        cells += [
            Cell(scenario, n, facing[scenario.targets()]) for n in sizes for scenario in settings
            if scenario.most_replicates(n) != 0
        ]  # fmt: skip
    if without and not table.faulty("estimators"):
        table.fault("estimators", f"none of them accepts {', '.join(without)}")
    if not classes:
        for name in dict.fromkeys(name for _, _, names in matched for name in names):
            _options(options, name)


def _sizes(table: Table, *, exist: bool) -> list[int]:
    """Return the numbers of units; 0 stands for all, where the data sets `exist`."""
    sizes = table.content.get("n", ...)
    if sizes is ...:
        table.fault("n", "is missing; it takes a number of units or a list of them")
        return [1]
    right = []
    for number, n in enumerate(sizes if isinstance(sizes, list) and sizes else [sizes]):
        counted = isinstance(n, int) and not isinstance(n, bool)
        if counted and (is_count(n) or (exist and n == 0)):
            right.append(n)
        else:
            most = f", {MOST_COUNTED:,} at most" if isinstance(n, int) and n > MOST_COUNTED else ""
            table.fault("n", f"{n!r} is not a number of units{most}", number)
    return right or [1]


def _scenarios(table: Table) -> list[type[Scenario]]:
    names: dict[str, None] = {}
    for number, pattern in enumerate(table.strings("scenario", ...)):
        if not pattern.startswith(tuple(FILES)):  # one that is a file's still was complained of
            names.update(dict.fromkeys(_named(table, "scenario", "scenario", number, pattern)))
    return [find_scenario(name) for name in names]


def _with_data(
    table: Table, cls: type[Scenario], settings: list[Scenario], sizes: list[int], vary: str
) -> list[Scenario]:  # fmt: skip
    """Return the settings that there are data sets of; notes where one was asked for by name.

    Of a grid, and of settings that are crossed, those without any are left out.
    """
    if not cls.sizes():
        return settings
    for number, n in enumerate(sizes):
        if n not in (0, *cls.sizes()):
            there = ", ".join(map(str, cls.sizes()[:MOST_LISTED]))
            table.fault("n", f"{cls.name} has no data set of {n} units, but of {there}", number)
    some = [s for s in settings if any(s.most_replicates(n) != 0 for n in sizes)]
    by_grid = vary == VARY[1] or "grid" in canonical(table.content.get("dials"))
    if len(some) < len(settings) and not by_grid and not table.faulty("n"):
        without = next(s for s in settings if s not in some)
        moved = {k: getattr(without, k) for k in cls.specs}
        off = {k: v for k, v in moved.items() if v != cls.specs[k].default}
        key = "dials" if off.keys() & {*dials(cls)} or not off else "parameters"
        where = " and ".join(f"{k} = {v}" for k, v in off.items()) or "its default setting"
        table.fault(key, f"{cls.name} has no data set with {where}")
    return some


MOST_LISTED = 8
"""Numbers of units that a complaint repeats."""


def _matched(table: Table) -> list[tuple[int, str, list[str]]]:
    """Return where each name or glob of estimators stands, and whom it stands for."""
    return [
        (number, pattern, _named(table, "estimators", "estimator", number, pattern))
        for number, pattern in enumerate(table.strings("estimators", ...))
    ]


def _named(table: Table, key: str, kind: registry.Kind, number: int, pattern: str) -> list[str]:
    """Return what a name or glob stands for; what is unknown may be a broken plug-in's."""
    try:
        return registry.matching(kind, pattern)
    except BadInput as error:
        table.fault(key, "" if table.source.faulty(("plugins",)) else error, number)
        return []


def _settings(
    table: Table, cls: type[Scenario], classes: list[type[Scenario]], vary: str
) -> list[Scenario]:
    """Return the scenario at every combination of parameters and every setting of its dials."""
    fixed = _values(table, "parameters", cls, classes)
    if table.content.get("dials") == "grid":
        moved: dict[str, list[Any]] = {name: ["grid"] for name in dials(cls)}
    else:
        moved = _values(table, "dials", cls, classes)
    for name, spec in dials(cls).items():
        if moved.get(name) == ["grid"]:
            moved[name] = [spec.default, *spec.grid]
    settings = []
    for base in _product(fixed):
        if vary == "crossed":
            combinations = list(_product(moved))
        else:
            combinations = [{}, *({name: s} for name, values in moved.items() for s in values)]
        settings += [_configured(table, cls, base, chosen) for chosen in combinations]
    return settings


def _configured(
    table: Table, cls: type[Scenario], base: Mapping[str, Any], chosen: Mapping[str, Any]
) -> Scenario:
    """Return the scenario with these parameters and dials, as far as it can have them."""
    values = {**base, **chosen}
    scenario, problems = try_configure(cls, values)
    for name, problem in problems.items():
        key = "dials" if name in chosen or (chosen and not name) else "parameters"
        if name:
            table.fault(key, problem, name, *_index(table, key, name, values[name]))
        else:
            table.fault(key, problem)
    return scenario


def _index(table: Table, key: str, name: str, value: Any) -> list[int]:
    """Return where a value stands in a list of them, nothing where it stands alone."""
    values = table.content[key][name]
    values = values if isinstance(values, list) else []
    return [number for number, other in enumerate(values) if other is value][:1]


def _values(
    table: Table, key: str, cls: type[Scenario], classes: list[type[Scenario]]
) -> dict[str, list[Any]]:
    """Return lists of values for the dials or the parameters that this scenario has.

    With several scenarios in one table a field belongs to at least one of them.
    """
    of: Callable[[type[Scenario]], Mapping[str, Any]] = dials if key == "dials" else parameters
    part, own = table.table(key), of(cls)
    known = sorted({name for other in classes for name in of(other)})
    values = {}
    for name, value in part.content.items():
        if name not in known:
            if not table.faulty("scenario"):
                part.fault(name, unknown(key.removesuffix("s"), name, known))
        elif value == [] or isinstance(value, dict) or (value == "grid" and key != "dials"):
            part.fault(name, f"{value!r} is neither a value nor a list of values")
        elif name in own:
            values[name] = value if isinstance(value, list) else [value]
    return values


def _product(values: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    for combination in itertools.product(*values.values()):
        yield dict(zip(values, combination, strict=True))


def _accepting(
    table: Table, scenario: Scenario, matched: Sequence[tuple[int, str, list[str]]],
    refusals: list[Refusal],
) -> dict[str, None]:  # fmt: skip
    """Return who faces the scenario: by name a must, by glob whoever does not decline."""
    accepting: dict[str, None] = {}
    for number, pattern, names in matched:
        for name in names:
            reason = find_estimator(name).declines(scenario)
            if reason is None:
                accepting[name] = None
            elif registry.is_pattern(pattern):
                refusals.append(Refusal(scenario.name, name, reason))
            else:
                table.fault("estimators", f"'{name}' {reason}", number)
    return accepting


def _check_estimators(options: Table) -> None:
    known = registry.entries("estimator")
    for name in options.content:
        if name not in known and not options.source.faulty(("plugins",)):
            options.fault(name, unknown("estimator", name, known))


def _options(options: Table, name: str) -> str:
    """Return the estimator's options, defaults included, as canonical JSON."""
    known, chosen = find_estimator(name).options, options.table(name)
    right = {}
    for option, value in chosen.content.items():
        kind = type(known.get(option))
        kinds = (float, int) if kind is float else kind
        if option not in known:
            chosen.fault(option, unknown("option", option, known))
        elif known[option] is not None and not isinstance(value, kinds):
            chosen.fault(option, f"{value!r} is not of type {kind.__name__}")
        else:
            right[option] = value
    return canonical({**known, **right})


FILES = {
    "twin:": "cibench.twins.scenario:register_twin",
    "collection:": "cibench.collections.scenario:register_checked",
}
"""What a scenario's name begins with where the rest is a file's path, and what registers it."""


def with_files(table: Table, folder: Path) -> tuple[Table, list[str]]:
    """Return the suite with scenarios that are files called by their names, and these files.

    A twin's name holds its digest: wherever the file lies, its data have one address. Where all of
    a table's data sets exist, `n` may be left out: then it has their numbers of units.
    """
    files: list[str] = []
    unsound: set[str] = set()
    if not isinstance(table.content.get("cells"), list):
        return table, files
    entries = list(table.content["cells"])
    for entry in table.tables("cells", ...):
        names = entry.strings("scenario", []) if entry.content.get("scenario") else []
        if any(name.startswith(tuple(FILES)) for name in names):
            renamed = [
                _of_file(entry, i, name, folder, files, unsound) for i, name in enumerate(names)
            ]
            content = {**entry.content, "scenario": renamed}
            if "n" not in content and entry.faulty("scenario"):
                entry.fault("n", "")  # which the file would have said
            elif "n" not in content and (sizes := _sizes_of(renamed)):
                content["n"] = sizes
            entries[int(entry.place[-1])] = content
    return Table({**table.content, "cells": entries}, table.source), files


def _sizes_of(names: Sequence[str]) -> list[int]:
    """Return the numbers of units of data sets that exist, none where any scenario draws them."""
    known = registry.entries("scenario")
    sizes = [known[name].value.sizes() if name in known else () for name in names]
    return sorted({n for each in sizes for n in each}) if all(sizes) else []


def _of_file(
    table: Table, number: int, name: str, folder: Path, files: list[str], unsound: set[str]
) -> str:
    """Return a scenario's name; if it is a file's, add that to the files.

    What is wrong with a file is told where it is named first.
    """
    prefix = next((p for p in FILES if name.startswith(p)), None)
    if prefix is None:
        return name
    module, _, function = FILES[prefix].partition(":")
    path = str((folder / name.removeprefix(prefix)).resolve())
    if path in unsound:
        table.fault("scenario", "", number)
        return name
    try:
        scenario: str = getattr(import_module(module), function)(path).name
    except BadInput as error:
        for place, line in enumerate(error.args):
            table.fault("scenario", line, number, place)
        unsound.add(path)
        return name
    files.append(path)
    return scenario
