"""What the [[cells]] tables of a suite expect, of which rows, and what follows from declarations.

expect = { floor = 0.9, fails = { "rdrobust/*" = { sorting = 0.2 } } }

`floor` is the coverage that a valid method exceeds; nominal less five points where nothing is said.
`bias` is the largest bias that it may have, in empirical standard errors (0.5), `se_ratio` the
least and the largest ratio of its standard errors to that ([0.8, 1.25]). Each is one for all, or a
table of one for each name or glob of estimators. `fails` says from which setting of a
dial on a method must fail: there and at all settings farther from the default on the same side.
Of a dial that goes both ways it takes a setting on either side, and the default itself stands for
all settings; "default" in place of the dials says that the method fails with none of them moved,
because of what the design breaks. `violates` names assumptions that these cells break by their
size or parameters, beyond what the scenario breaks by design, and `why` gives a reason in words.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, NamedTuple

from cibench.model.catalogue import alternatives, fails
from cibench.model.types import SUBDIVISIONS
from cibench.utils.errors import BadInput
from cibench.utils.missing import missing
from cibench.utils.toml import several

Names = Mapping[str, Any]
"""What names a row: scenario, dials, n, parameters and estimator at least."""

AT_DEFAULT = "default"

BOUNDS = ("floor", "bias", "se_ratio")
"""What a valid method keeps to: the bounds that a suite may state."""

SHORTFALL = 0.05
"""How far below nominal the bound for coverage lies, where nothing else is asked for."""


class Expected(StrEnum):
    """Say what the declarations lead to expect of a row."""

    VALID = "valid"
    FAILS = "fails"
    NOTHING = ""
    OTHER_QUESTION = "different question"


@dataclass(frozen=True)
class Entry:
    """Hold one [[cells]] table as far as expectations go; `number` is its place, from 1."""

    number: int
    content: Mapping[str, Any]

    @cached_property
    def expect(self) -> Mapping[str, Any]:
        """Return its `expect`, empty where it says nothing."""
        content: Mapping[str, Any] = self.content.get("expect") or {}
        return content

    @cached_property
    def crossed(self) -> bool:
        """Say whether it moves its dials together."""
        return bool(self.content.get("vary") == "crossed")

    def holds(self, names: Names, about: Mapping[str, Any]) -> bool:
        """Say whether a row is of one of its cells; `about` is the scenario's catalogue entry."""
        content = self.content
        return (
            fits(names["scenario"], several(content["scenario"]))
            and fits(names["estimator"], several(content["estimators"]))
            and int(names["n"]) in several(content["n"])
            and self._has_parameters(parsed(names["parameters"]), about)
            and self._has_dials(parsed(names["dials"]), about.get("dials") or {})
        )

    def _has_parameters(self, values: Names, about: Mapping[str, Any]) -> bool:
        parameters, known = self.content.get("parameters") or {}, about.get("parameters") or {}
        return all(
            value in (several(parameters[name]) if name in parameters else [known[name]["default"]])
            for name, value in values.items()
            if name in parameters or name in known
        )

    def _has_dials(self, values: Names, known: Mapping[str, Any]) -> bool:
        """Say whether the dials are where this table puts them."""
        settings = self.content.get("dials") or {}
        settings = dict.fromkeys(known, "grid") if settings == "grid" else settings
        if not self.crossed and len(off_default(values, known)) > 1:
            return False
        return all(
            name in known and value in self._settings(settings.get(name), known[name])
            for name, value in values.items()
        )

    def _settings(self, setting: Any, dial: Mapping[str, Any]) -> list[Any]:
        default = [dial["default"]]
        if setting is None:
            return default
        if setting == "grid":
            return [*default, *dial["grid"]]
        return several(setting) if self.crossed else [*default, *several(setting)]


@dataclass(frozen=True)
class Statement:
    """Hold what all tables say of one row: its bounds, the settings at which its method fails.

    `at_default` is set where it fails with no dial moved. The empty one is what nobody said.
    """

    floor: float | None = None
    fails: Mapping[str, tuple[float, ...]] | None = None
    at_default: bool = False
    violates: frozenset[str] = frozenset()
    why: str = ""
    bias: float | None = None
    se_ratio: tuple[float, float] | None = None


def entries(spec: Mapping[str, Any]) -> list[Entry]:
    """Return the [[cells]] tables of a suite, as they are in the file."""
    return [Entry(number, content) for number, content in enumerate(spec.get("cells") or (), 1)]


def stated(tables: Sequence[Entry], names: Names, about: Mapping[str, Any]) -> Statement:
    """Return what the tables say of a row; raises BadInput where two contradict each other."""
    statement = Statement()
    for entry in tables:
        if entry.expect and entry.holds(names, about):
            other = stated_by(entry, str(names["estimator"]))
            for key, problem in contradictions(statement, other):
                raise BadInput(f"cells[{entry.number}].expect.{key}: {problem}")
            statement = joined(statement, other)
    return statement


def stated_by(entry: Entry, estimator: str) -> Statement:
    """Return what one table says of an estimator: of several patterns the closest has the word."""
    expect = entry.expect
    floor, bias, se_ratio = (_bound(expect.get(key), estimator) for key in BOUNDS)
    broken = closest(expect.get("fails") or {}, estimator)
    at_default = broken == AT_DEFAULT
    dials = {} if at_default or broken is None else broken
    return Statement(
        None if floor is None else float(floor),
        {dial: tuple(map(float, several(settings))) for dial, settings in dials.items()},
        at_default, frozenset(several(expect.get("violates") or [])), str(expect.get("why") or ""),
        None if bias is None else float(bias),
        None if se_ratio is None else (float(se_ratio[0]), float(se_ratio[1])),
    )  # fmt: skip


def _bound(stated: Any, estimator: str) -> Any:
    return closest(stated, estimator) if isinstance(stated, Mapping) else stated


def contradictions(first: Statement, other: Statement) -> Iterator[tuple[str, str]]:
    """Yield where the other says what cannot stand beside the one: the key, and the problem."""
    for key in BOUNDS:
        before, after = getattr(first, key), getattr(other, key)
        if None not in (before, after) and before != after:
            yield key, f"{written(after)}, but another table says {written(before)}"
    mine, theirs = first.fails or {}, other.fails or {}
    for dial in mine.keys() & theirs.keys():
        if mine[dial] != theirs[dial]:
            yield "fails", f"another table gives {dial} another setting"


def joined(first: Statement, other: Statement) -> Statement:
    """Return what two tables say of a row; where they contradict each other the one's bounds."""
    return Statement(
        other.floor if first.floor is None else first.floor,
        {**(first.fails or {}), **(other.fails or {})},
        first.at_default or other.at_default, first.violates | other.violates,
        "; ".join(dict.fromkeys(filter(None, (first.why, other.why)))),
        other.bias if first.bias is None else first.bias,
        other.se_ratio if first.se_ratio is None else first.se_ratio,
    )  # fmt: skip


def written(bound: float | Sequence[float]) -> str:
    """Write a bound as a suite file has it."""
    if isinstance(bound, Sequence):
        return f"[{', '.join(f'{end:g}' for end in bound)}]"
    return f"{bound:g}"


def parsed(text: Any) -> dict[str, Any]:
    """Read a JSON map of a row; where there is none it is empty."""
    return dict(json.loads(text)) if isinstance(text, str) else {}


def fits(name: Any, patterns: Sequence[str]) -> bool:
    """Say whether a name is one of the patterns or fits one."""
    return any(fnmatchcase(str(name), pattern) for pattern in patterns)


def closest(table: Mapping[str, Any], name: str) -> Any:
    """Return the value of the longest pattern that fits a name, its own before all; else None."""
    fitting = [pattern for pattern in table if pattern == name or fnmatchcase(name, pattern)]
    best = max(fitting, key=lambda pattern: (pattern == name, len(pattern)), default=None)
    return None if best is None else table[best]


def off_default(values: Names, known: Mapping[str, Any]) -> dict[str, float]:
    """Return the dials that are off their default, with their settings."""
    moved = {name: v for name, v in values.items() if v != (known.get(name) or {}).get("default")}
    return {name: float(value) for name, value in moved.items()}


class Expectation(NamedTuple):
    """Hold what is expected, in words because of what, and which assumptions are broken."""

    expected: Expected
    because: str
    broken: tuple[str, ...] = ()


def expectation(names: Names, catalogue: Mapping[str, Any], statement: Statement) -> Expectation:
    """Derive what is expected of one row from what method, scenario and suite declare.

    Valid: nothing that the method assumes is broken, by the design or by a dial. Fails: the suite
    says so of a setting no farther from the default, or of the default. Else nothing: between the
    default and that setting no verdict is given, nor where several dials break what the method
    assumes, as two biases may cancel.
    """
    method = (catalogue.get("estimators") or {}).get(names["estimator"])
    scenario = (catalogue.get("scenarios") or {}).get(names["scenario"])
    if not method or not scenario:
        return Expectation(Expected.NOTHING, "the catalogue does not hold it")
    if not method.get("declared", True):
        return Expectation(Expected.NOTHING, "nobody declared what it assumes")
    other = _other_question(names, method, scenario)
    if other or not scenario.get("declared", True):
        what = Expected.OTHER_QUESTION if other else Expected.NOTHING
        return Expectation(what, other or "nobody declared what its data sets break")
    dials = scenario.get("dials") or {}
    moved = off_default(parsed(names["dials"]), dials)
    if unknown := moved.keys() - dials.keys():
        return Expectation(Expected.NOTHING, f"the catalogue does not hold {min(unknown)}")
    by_design = {*(scenario.get("violates") or ()), *statement.violates}
    broken = broken_assumptions(method, by_design | {dials[d]["breaks"] for d in moved})
    if not broken:
        return Expectation(Expected.VALID, "nothing that it assumes is broken")
    at_work = {d: s for d, s in moved.items() if _touches(dials[d]["breaks"], broken)}
    return Expectation(*_broken(at_work, dials, broken, statement), tuple(broken))


def broken_assumptions(method: Mapping[str, Any], broken: Collection[str]) -> list[str]:
    """Return which of a method's assumptions fail where the named ones are broken."""
    return [a for a in method.get("assumes") or () if fails(a, broken)]


def relies(method: Mapping[str, Any], breaks: str, by_design: Collection[str]) -> bool:
    """Say whether a dial that breaks `breaks` breaks one of the method's assumptions."""
    return _touches(breaks, broken_assumptions(method, {*by_design, breaks}))


def _touches(breaks: str, assumptions: Sequence[str]) -> bool:
    return any(breaks in alternatives(a) for a in assumptions)


def _other_question(names: Names, method: Mapping[str, Any], scenario: Mapping[str, Any]) -> str:
    """Say what a method answers instead of the row's estimand, "" where it is the right one.

    It is right, too, where the scenario has methods for a population's average asked for that of
    the units at hand.
    """
    horizon = names.get("horizon")
    overall = missing(horizon)
    own = list(method.get("targets" if overall else "horizons") or ())
    population = (scenario.get("answered_by") or {}).get(names["estimand"])
    asked_for = {str(each) for each in (names.get("estimand"), population) if not missing(each)}
    asked_for |= {each.partition("(")[0] for each in asked_for}
    by = [n for n in SUBDIVISIONS if not missing(names.get(n))]
    if "ANY" in own or (asked_for & {*own} and {*by} <= {*(method.get("by") or ())}):
        return ""
    question = f"{names.get('estimand')}{'' if overall else ' per horizon'}"
    question += "".join(f" by {part}" for part in by)
    return f"it answers {', '.join(own) or 'no such thing'}, not {question}"


def _broken(
    at_work: Mapping[str, float],
    dials: Mapping[str, Any],
    broken: Sequence[str],
    statement: Statement,
) -> tuple[Expected, str]:
    """Return what is expected of a method with a broken assumption, and because of what."""
    what, declared = _are_broken(broken), statement.fails or {}
    if len(at_work) > 1:
        return Expected.NOTHING, f"{what} by several dials, which may cancel"
    if not at_work:
        still = any(spec["default"] in declared.get(name, ()) for name, spec in dials.items())
        if statement.at_default or still:
            return Expected.FAILS, f"{what} by the design"
        return Expected.NOTHING, f"{what} by the design; no failure declared"
    [(dial, setting)] = at_work.items()
    default, breaks = dials[dial]["default"], dials[dial]["breaks"]
    what = _are_broken([a for a in broken if breaks in alternatives(a)])
    here = f"{what} by {dial} = {setting:g}"
    failing = declared.get(dial, ())
    from_on = [s for s in failing if reaches(setting, s, default)]
    if from_on:
        return Expected.FAILS, f"{here}, declared to fail from {from_on[0]:g} on"
    towards = [s for s in failing if (s > default) == (setting > default)]
    milder = f"milder than the declared {towards[0]:g}" if towards else "no failure declared"
    return Expected.NOTHING, f"{here}; {milder}"


def _are_broken(assumptions: Sequence[str]) -> str:
    named = " and ".join(f"“{name}”" for name in assumptions)
    return f"{named} {'is' if len(assumptions) == 1 else 'are'} broken"


def reaches(setting: float, declared: float, default: float) -> bool:
    """Say whether a setting is as far from the default as the declared one, on its side."""
    if declared == default:
        return True
    return setting >= declared if declared > default else setting <= declared
