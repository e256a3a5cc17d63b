"""Reading one [[cells]] table of a suite file: which scenarios at which settings face whom."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from cibench import registry
from cibench.design import Scenario, configure, dials, parameters
from cibench.errors import BadInput, unknown
from cibench.files import canonical
from cibench.suite import Cell, Entrant, Refusal
from cibench.table import Table

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
