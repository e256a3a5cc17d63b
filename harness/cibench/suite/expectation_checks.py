"""What may be wrong in a suite's `expect`, noted with its key and the near miss."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from cibench.model.catalogue import alternatives
from cibench.suite.expectations import (
    AT_DEFAULT,
    BOUNDS,
    Entry,
    Statement,
    broken_assumptions,
    contradictions,
    fits,
    joined,
    relies,
    stated_by,
)
from cibench.utils.errors import unknown
from cibench.utils.toml import several

if TYPE_CHECKING:
    from cibench.suite.suite import Cell
    from cibench.utils.toml import Table

KEYS = (*BOUNDS, "fails", "violates", "why")


class _Cells(NamedTuple):
    """What one [[cells]] table is about: its scenarios and estimators as the catalogue has them."""

    scenarios: Mapping[str, Any]
    estimators: Mapping[str, Any]
    violates: tuple[str, ...]

    def by_design(self, scenario: Mapping[str, Any]) -> set[str]:
        return {*(scenario.get("violates") or ()), *self.violates}


def check(entry: Table, catalogue: Mapping[str, Any], level: float | None) -> None:
    """Note what is wrong in the `expect` of one [[cells]] table.

    That is an unknown key, estimator, dial or assumption, a floor that is not between 0 and the
    level, a bias that is not above 0, a range of SE ratios that does not hold 1, a setting out of
    range, and a failure where the method relies on nothing that is broken.
    Without a level floors are not checked, and names only where the table's own are right.
    """
    table = entry.table("expect")
    table.check_keys(KEYS)
    table.take("why", str, "", bool, "a reason in words")
    violates, fails = table.strings("violates", []), table.table("fails")
    if entry.faulty("scenario", "estimators"):
        return
    cells = _cells(entry.content, catalogue, tuple(violates))
    _check_violates(table, cells)
    for key in BOUNDS:
        if key != "floor" or level is not None:
            _check_bounds(table, key, cells, level or 1.0)
    for pattern in fails.content:
        _check_fails(fails, pattern, cells, sure=not table.faulty("violates"))


def check_agreement(
    tables: Iterable[Table], cells: Iterable[Cell], catalogue: Mapping[str, Any]
) -> None:
    """Note where a table, of those that are right, contradicts one before it about a row."""
    right = [(Entry(int(t.place[-1]) + 1, t.content), t) for t in tables if not t.faulty()]
    for cell in cells:
        about = catalogue["scenarios"][cell.scenario.name]
        for entrant in cell.entrants:
            names, so_far = {**cell.key, "estimator": entrant.estimator}, Statement()
            for entry, table in right:
                if entry.expect and entry.holds(names, about):
                    other = stated_by(entry, entrant.estimator)
                    for key, problem in contradictions(so_far, other):
                        table.table("expect").fault(key, problem)
                    so_far = joined(so_far, other)


def _cells(
    content: Mapping[str, Any], catalogue: Mapping[str, Any], violates: tuple[str, ...]
) -> _Cells:
    scenarios, estimators = (
        {n: about for n, about in catalogue[part].items() if fits(n, several(content[key]))}
        for part, key in (("scenarios", "scenario"), ("estimators", "estimators"))
    )
    return _Cells(scenarios, estimators, violates)


def _check_violates(table: Table, cells: _Cells) -> None:
    assumed = {
        name for method in cells.estimators.values()
        for a in method.get("assumes") or () for name in alternatives(a)
    }  # fmt: skip
    for number, name in enumerate(cells.violates):
        if name not in assumed:
            table.fault("violates", unknown("assumption", name, assumed), number)


def _check_bounds(table: Table, key: str, cells: _Cells, level: float) -> None:
    """Check a bound: one for all, or a table of one for each estimator or glob of them."""
    keys, holder = [key], table
    if isinstance(table.content.get(key), Mapping):
        holder = table.table(key)
        keys = [pattern for pattern in holder.content if _matched(holder, pattern, cells)]
    for name in keys:
        if key == "se_ratio":
            wanted = "the least and the largest SE ratio, [0.8, 1.25] for example, with 1 between"
            holder.take(name, list, [0.5, 2.0], _is_range, wanted)
        elif key == "bias":
            wanted = "a bias above 0, in empirical standard errors"
            holder.take(name, (int, float), 0.5, lambda v: 0 < v < inf, wanted)
        else:
            wanted = f"a coverage above 0 and below the level {level:g}"
            holder.take(name, (int, float), 0.5, lambda v: 0 < v < level, wanted)


def _is_range(bounds: Sequence[Any]) -> bool:
    """Say whether these are two numbers above 0 with 1 between them."""
    numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in bounds)
    return len(bounds) == 2 and numbers and 0 < bounds[0] < 1 < bounds[1] < inf


def _matched(table: Table, pattern: str, cells: _Cells) -> Mapping[str, Any]:
    """Return the estimators that a name or glob stands for; some must be of these cells."""
    matched = {n: about for n, about in cells.estimators.items() if fits(n, [pattern])}
    if not matched:
        table.fault(pattern, unknown("estimator of these cells", pattern, cells.estimators))
    return matched


def _check_fails(fails: Table, pattern: str, cells: _Cells, *, sure: bool) -> None:
    """Check what is said of one estimator or glob of them: some must rely on what is broken.

    Whether they do is asked where one is `sure` of what the cells violate.
    """
    methods = _matched(fails, pattern, cells).values()
    if not methods:
        return
    if fails.content[pattern] == AT_DEFAULT:
        if sure and not _fails_by_design(methods, cells):
            fails.fault(pattern, _relies_not(methods, "anything that the design breaks"))
        return
    if not isinstance(fails.content[pattern], Mapping):
        wanted = f'"{AT_DEFAULT}" or a table of dials and settings'
        fails.fault(pattern, f"{fails.content[pattern]!r} is not {wanted}")
        return
    table = fails.table(pattern)
    known = {name for about in cells.scenarios.values() for name in about["dials"]}
    for dial in table.content:
        if dial not in known:
            table.fault(dial, unknown("dial", dial, known))
            continue
        _check_settings(table, dial, cells)
        if sure and not table.faulty(dial):
            _check_reliance(table, dial, methods, cells)


def _check_settings(table: Table, dial: str, cells: _Cells) -> None:
    """Check the settings of one dial from which on methods are to fail."""
    spec = _having(dial, cells)[0]["dials"][dial]
    settings = several(table.content[dial])
    for number, setting in enumerate(settings):
        low, high = spec["within"]
        if not isinstance(setting, int | float) or isinstance(setting, bool):
            table.fault(dial, f"{setting!r} is not a setting", number)
        elif not low <= setting <= high:
            table.fault(dial, f"{setting:g} lies outside {low:g} to {high:g}", number)
    if not table.faulty(dial):
        sides = {setting > spec["default"] for setting in settings}
        if not settings or len(sides) < len(settings):
            table.fault(dial, "takes one setting, or one on either side of the default")


def _check_reliance(
    table: Table, dial: str, methods: Collection[Mapping[str, Any]], cells: _Cells
) -> None:
    """Check that methods rely on what a dial breaks; at its default, on what the design breaks."""
    having = _having(dial, cells)
    spec = having[0]["dials"][dial]
    pairs = [(m, about, about["dials"][dial]["breaks"]) for m in methods for about in having]
    if not any(relies(m, breaks, cells.by_design(about)) for m, about, breaks in pairs):
        table.fault(dial, _relies_not(methods, f"“{spec['breaks']}”, which it breaks"))
    elif spec["default"] in several(table.content[dial]) and not _fails_by_design(methods, cells):
        table.fault(dial, _relies_not(methods, "anything that the design breaks"))


def _having(dial: str, cells: _Cells) -> list[Mapping[str, Any]]:
    return [about for about in cells.scenarios.values() if dial in about["dials"]]


def _fails_by_design(methods: Iterable[Mapping[str, Any]], cells: _Cells) -> bool:
    designs = [cells.by_design(about) for about in cells.scenarios.values()]
    return any(broken_assumptions(m, broken) for m in methods for broken in designs)


def _relies_not(methods: Iterable[Mapping[str, Any]], what: str) -> str:
    assumed = dict.fromkeys(a for m in methods for a in m.get("assumes") or ())
    return f"it does not rely on {what}; it assumes {', '.join(assumed) or 'nothing'}"
