"""What may be wrong in a suite's `expect`, told in one line with file, key and near miss."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from cibench.model.catalogue import alternatives
from cibench.suite.expectations import (
    AT_DEFAULT,
    Entry,
    broken_assumptions,
    entries,
    fits,
    listed,
    relies,
)
from cibench.utils.errors import unknown
from cibench.utils.toml import Table

KEYS = ("floor", "fails", "violates", "why")


class _Cells(NamedTuple):
    """What one [[cells]] table is about: its scenarios and estimators as the catalogue has them."""

    scenarios: Mapping[str, Any]
    estimators: Mapping[str, Any]
    violates: tuple[str, ...]

    def by_design(self, scenario: Mapping[str, Any]) -> set[str]:
        return {*(scenario.get("violates") or ()), *self.violates}


def check(spec: Mapping[str, Any], catalogue: Mapping[str, Any], where: str, level: float) -> None:
    """Raise BadInput for what is wrong in an `expect`.

    That is an unknown key, estimator, dial or assumption, a floor that is not between 0 and the
    level, a setting out of range, and a failure where the method relies on nothing that is broken.
    """
    for entry in entries(spec):
        table = Table(entry.content, where, f"cells[{entry.number}].").table("expect")
        table.check_keys(KEYS)
        table.take("why", str, "", bool, "a reason in words")
        cells = _cells(entry, catalogue, tuple(table.strings("violates", [])))
        _check_violates(table, cells)
        _check_floors(table, cells, level)
        fails = table.table("fails")
        for pattern in fails.content:
            _check_fails(fails, pattern, cells)


def _cells(entry: Entry, catalogue: Mapping[str, Any], violates: tuple[str, ...]) -> _Cells:
    scenarios, estimators = (
        {n: about for n, about in catalogue[part].items() if fits(n, listed(entry.content[key]))}
        for part, key in (("scenarios", "scenario"), ("estimators", "estimators"))
    )
    return _Cells(scenarios, estimators, violates)


def _check_violates(table: Table, cells: _Cells) -> None:
    assumed = {
        name for method in cells.estimators.values()
        for a in method.get("assumes") or () for name in alternatives(a)
    }  # fmt: skip
    for name in cells.violates:
        if name not in assumed:
            raise table.bad("violates", unknown("assumption", name, assumed))


def _check_floors(table: Table, cells: _Cells, level: float) -> None:
    if isinstance(table.content.get("floor"), Mapping):
        table = table.table("floor")
        floors = tuple(table.content)
        for pattern in floors:
            _matched(table, pattern, cells)
    else:
        floors = ("floor",)
    wanted = f"a coverage above 0 and below the level {level:g}"
    for key in floors:
        table.take(key, (int, float), 0.5, lambda v: 0 < v < level, wanted)


def _matched(table: Table, pattern: str, cells: _Cells) -> Mapping[str, Any]:
    """Return the estimators that a name or glob stands for; some must be of these cells."""
    matched = {n: about for n, about in cells.estimators.items() if fits(n, [pattern])}
    if not matched:
        raise table.bad(pattern, unknown("estimator of these cells", pattern, cells.estimators))
    return matched


def _check_fails(fails: Table, pattern: str, cells: _Cells) -> None:
    """Check what is said of one estimator or glob of them: some must rely on what is broken."""
    methods = _matched(fails, pattern, cells).values()
    if fails.content[pattern] == AT_DEFAULT:
        if not _fails_by_design(methods, cells):
            raise fails.bad(pattern, _relies_not(methods, "anything that the design breaks"))
        return
    if not isinstance(fails.content[pattern], Mapping):
        wanted = f'"{AT_DEFAULT}" or a table of dials and settings'
        raise fails.bad(pattern, f"{fails.content[pattern]!r} is not {wanted}")
    table = fails.table(pattern)
    known = {name for about in cells.scenarios.values() for name in about["dials"]}
    for dial in table.content:
        if dial not in known:
            raise table.bad(dial, unknown("dial", dial, known))
        _check_settings(table, dial, methods, cells)


def _check_settings(
    table: Table, dial: str, methods: Iterable[Mapping[str, Any]], cells: _Cells
) -> None:
    """Check the settings of one dial from which on methods are to fail."""
    having = [about for about in cells.scenarios.values() if dial in about["dials"]]
    settings = listed(table.content[dial])
    spec = having[0]["dials"][dial]
    for setting in settings:
        if not isinstance(setting, int | float) or isinstance(setting, bool):
            raise table.bad(dial, f"{setting!r} is not a setting")
        low, high = spec["within"]
        if not low <= setting <= high:
            raise table.bad(dial, f"{setting:g} lies outside {low:g} to {high:g}")
    sides = {setting > spec["default"] for setting in settings}
    if not settings or len(sides) < len(settings):
        raise table.bad(dial, "takes one setting, or one on either side of the default")
    pairs = [(m, about, about["dials"][dial]["breaks"]) for m in methods for about in having]
    if not any(relies(m, breaks, cells.by_design(about)) for m, about, breaks in pairs):
        raise table.bad(dial, _relies_not(methods, f"“{spec['breaks']}”, which it breaks"))
    if spec["default"] in settings and not _fails_by_design(methods, cells):
        raise table.bad(dial, _relies_not(methods, "anything that the design breaks"))


def _fails_by_design(methods: Iterable[Mapping[str, Any]], cells: _Cells) -> bool:
    designs = [cells.by_design(about) for about in cells.scenarios.values()]
    return any(broken_assumptions(m, broken) for m in methods for broken in designs)


def _relies_not(methods: Iterable[Mapping[str, Any]], what: str) -> str:
    assumed = dict.fromkeys(a for m in methods for a in m.get("assumes") or ())
    return f"it does not rely on {what}; it assumes {', '.join(assumed) or 'nothing'}"
