"""Reading the content of a suite file, with one clear line for whatever is wrong in it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cibench import registry
from cibench.design import Scenario, configure, dials, parameters
from cibench.errors import BadInput, unknown
from cibench.files import canonical
from cibench.suite import NO_REFITS, Cell, Entrant, Refits, Refusal, Suite, merge
from cibench.suite_scoring import SCORING_KEYS, check_scoring, read_precision
from cibench.table import Table
from cibench.twins.in_suite import with_twins

SUITE_KEYS = (
    "name", "seed", "replicates", "level", "plugins", "timeout", "memory", "published", "refits",
    "cells", *SCORING_KEYS,
)  # fmt: skip
CELL_KEYS = ("scenario", "n", "dials", "vary", "parameters", "estimators", "options", "expect")
BYTES = {"KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]B)", re.IGNORECASE)
VARY = ("one-at-a-time", "crossed")


def parse(spec: Mapping[str, Any], where: str, folder: Path) -> Suite:
    """Build the suite; raises BadInput naming the file, the key and the near miss."""
    table = Table(spec, where)
    table.check_keys(SUITE_KEYS)
    table, twins = with_twins(table, folder)
    plugins = [_absolute(p, folder) for p in table.strings("plugins", [])]
    plugins = list(dict.fromkeys([*plugins, *twins]))
    for plugin in plugins:
        try:
            registry.load_plugin(plugin)
        except BadInput as error:
            raise table.bad("plugins", error) from error
    entries = table.take("cells", list, ..., bool, "one or more [[cells]] tables")
    cells: list[Cell] = []
    refusals: list[Refusal] = []
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict):
            raise table.bad("cells", f"{entry!r} is not a table")
        _expand(Table(entry, where, f"cells[{number}]."), cells, refusals)
    published = _published(table, folder)
    check_scoring(table, cells)
    precision = read_precision(table)
    paths = {"plugins": plugins, "published": str(published.resolve()) if published else ""}
    paths = {key: value for key, value in paths.items() if value}
    real = (int, float)
    suite = Suite(
        name=table.take("name", str, ..., _is_name, "a name of letters, digits, - and _"),
        seed=table.take("seed", int, ..., lambda v: v >= 0, "a whole number of 0 or more"),
        replicates=table.take(
            "replicates", int, 0 if precision else ..., lambda v: v > 0, "a whole number above 0"
        ),
        precision=precision,
        level=float(table.take("level", real, 0.95, lambda v: 0 < v < 1, "between 0 and 1")),
        timeout=table.take("timeout", real, None, lambda v: v > 0, "seconds above 0"),
        memory=_memory(table),
        plugins=tuple(plugins),
        published=published,
        cells=merge(cells),
        refusals=tuple(dict.fromkeys(refusals)),
        refits=_refits(table),
        spec={**table.content, **paths},
    )
    _check_expectations(suite, where)
    return suite


def _refits(table: Table) -> Refits:
    """Return how often fits are repeated with other algorithm streams: never, if not said."""
    if "refits" not in table.content:
        return NO_REFITS
    given = table.table("refits")
    given.check_keys(Refits._fields)
    wanted = "a whole number above 0"
    return Refits(*(given.take(key, int, ..., lambda v: v > 0, wanted) for key in Refits._fields))


def _check_expectations(suite: Suite, where: str) -> None:
    """Raise BadInput where an `expect` is wrong or two tables contradict each other."""
    from cibench.catalogue import describe
    from cibench.expectations.checks import check
    from cibench.expectations.entries import entries, said

    tables = entries(suite.spec)
    if not any("expect" in table.content for table in tables):
        return
    catalogue = describe(suite.scenarios, suite.estimators)
    check(suite.spec, catalogue, where, suite.level)
    for cell in suite.cells:
        for entrant in cell.entrants:
            names = {**cell.key, "estimator": entrant.estimator}
            try:
                said(tables, names, catalogue["scenarios"][cell.scenario.name])
            except BadInput as error:
                raise BadInput(f"{where}: {error}") from error


def _memory(table: Table) -> float | None:
    wanted = 'an amount of memory such as "500MB" or "2GB"'
    text = table.take("memory", str, "", bool, wanted)
    found = MEMORY.fullmatch(text.strip())
    if text and not (found and float(found[1])):
        raise table.bad("memory", f"{text!r} is not {wanted}")
    return float(found[1]) * BYTES[found[2].upper()] if found else None


def _published(table: Table, folder: Path) -> Path | None:
    name = table.take("published", str, "", bool, "the path of a CSV file")
    if not name:
        return None
    from cibench.published import read_published

    try:
        read_published(folder / name)
    except BadInput as error:
        raise table.bad("published", error) from error
    return folder / str(name)


def _is_name(name: str) -> bool:
    return name.replace("-", "").replace("_", "").isalnum()


def _absolute(plugin: str, folder: Path) -> str:
    is_file = plugin.endswith((".py", ".twin"))
    return str((folder / plugin).resolve()) if is_file else plugin


def _expand(table: Table, cells: list[Cell], refusals: list[Refusal]) -> None:
    """Add the cells of one [[cells]] table, and what its globs brought in that declines."""
    table.check_keys(CELL_KEYS)
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
    return [registry.find_scenario(name) for name in names]


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
            reason = registry.find_estimator(name).declines(scenario)
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
    known = registry.find_estimator(name).options
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
