"""Which cells and estimators stand on which leaderboard, and what every scenario refers to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cibench.ranking.courses import Course, Key, key_of
from cibench.ranking.spec import CELL_KEYS, Entrant, Ranking
from cibench.sensitivity.gather import at_default, dials_of

if TYPE_CHECKING:
    import pandas as pd

Names = Mapping[str, Any]
Counted = Callable[[Names], bool]


def counting(spec: Ranking, catalogue: Mapping[str, Any]) -> Counted:
    """Return what says of a cell whether it counts: its scenario's weight, and its setting."""
    known = catalogue.get("scenarios") or {}

    def counted(names: Names) -> bool:
        if not spec.weight(str(names["scenario"])) > 0:
            return False
        if spec.settings == "all":
            return True
        return at_default(names["dials"], dials_of(known, names["scenario"]))

    return counted


def courses(
    scores: pd.DataFrame, catalogue: Mapping[str, Any], spec: Ranking, counted: Counted
) -> dict[Key, Course]:
    """Return the scenarios' shares of all boards, empty so far, each with its reference.

    The reference answers in every cell: the one that the suite names, else the first oracle of the
    catalogue, else the first contender, else the first baseline. A share without one is left out.
    """
    cells: dict[Key, dict[tuple[Any, ...], set[Entrant]]] = {}
    for names in _lines(scores):
        if counted(names):
            cell = tuple(str(names[key]) for key in CELL_KEYS)
            found = cells.setdefault(key_of(names), {}).setdefault(cell, set())
            if names["answered"]:
                found.add((str(names["estimator"]), str(names["options"])))
    made = {}
    for key, entered in cells.items():
        everywhere = set.intersection(*entered.values())
        ordered = sorted(everywhere, key=lambda entrant: _rank(entrant, catalogue, spec))
        if ordered and (not spec.reference or ordered[0][0] == spec.reference):
            made[key] = Course(ordered[0])
    return made


def _lines(scores: pd.DataFrame) -> Iterator[Names]:
    for line in scores[scores["kind"] == "estimate"].to_dict("records"):
        yield {str(name): value for name, value in line.items()}


def _rank(entrant: Entrant, catalogue: Mapping[str, Any], spec: Ranking) -> tuple[Any, ...]:
    order = list(catalogue.get("estimators") or {})
    name = entrant[0]
    place = order.index(name) if name in order else len(order)
    first = ("oracle", "", "baseline").index(spec.role(name, catalogue))
    return name != spec.reference, first, place, entrant


def by_board(
    found: Mapping[Key, Course],
) -> Iterator[tuple[str, Key, dict[str, Course]]]:
    """Yield each board: its design, one of its keys, and its scenarios' shares.

    A design is a family of scenarios, what stands before the slash; where a family has several
    scenarios, each of them is a board of its own as well.
    """
    families: dict[tuple[Any, ...], list[Key]] = {}
    for key in found:
        families.setdefault((key[0].partition("/")[0], *map(str, key[1:])), []).append(key)
    for (family, *_), keys in families.items():
        yield str(family), keys[0], {key[0]: found[key] for key in keys}
        if len(keys) > 1:
            for key in keys:
                yield key[0], key, {key[0]: found[key]}


def declined(
    found: Mapping[Key, Course], refusals: Sequence[Mapping[str, Any]], worst: float
) -> None:
    """Give the worst score to whoever declined a scenario and stands on its board elsewhere."""
    refused = {(r.get("scenario"), r.get("estimator")) for r in refusals}
    for _, _, scenarios in by_board(found):
        entrants = {e for course in scenarios.values() for e in course.counts}
        for name, course in scenarios.items():
            for entrant in entrants - set(course.counts):
                if (name, entrant[0]) in refused:
                    course.refuse(entrant, worst)
