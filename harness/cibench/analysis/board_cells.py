"""Which cells count on which leaderboard, who holds its level there, and who is the reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.analysis.coverage_verdicts import MOST_LEFT_OUT, UNJUDGED, CoverageVerdict
from cibench.analysis.expectations import FAULTS
from cibench.analysis.ranking_losses import Entered, Key, ScenarioShare, key_of
from cibench.metrics.core import mean
from cibench.model.catalogue import at_default, dials_of
from cibench.render.numbers import percent
from cibench.suite.expectations import Expected
from cibench.suite.ranking import BROKEN, CELL_KEYS, VALID, Entrant, Ranking
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd

Names = Mapping[str, Any]

TARGET_CELL = (*CELL_KEYS, "estimand", "level")
UNRANKED = ("no", *map(str, FAULTS))
"""What of `holds_level` leaves a method without a rank."""

HOLDING = (CoverageVerdict.SOUND, CoverageVerdict.CONSERVATIVE)


def cell_of(names: Names) -> tuple[str, ...]:
    """Return what tells the cell and target of a row from others."""
    return tuple("" if missing(names[key]) else str(names[key]) for key in TARGET_CELL)


@dataclass(frozen=True, eq=False)
class Settings:
    """Know of each cell to which kind of board it belongs, and of each entrant what holds there."""

    spec: Ranking
    catalogue: Mapping[str, Any]
    expected: Mapping[tuple[str, ...], bool]
    levels: Mapping[tuple[str, ...], Mapping[Entrant, Names]]

    @classmethod
    def of(
        cls, expectations: pd.DataFrame, spec: Ranking, catalogue: Mapping[str, Any]
    ) -> Settings:
        """Read them off the verdicts on all coverages of the run."""
        expected: dict[tuple[str, ...], bool] = {}
        levels: dict[tuple[str, ...], dict[Entrant, Names]] = {}
        for line in _lines_of(expectations):
            cell, entrant = cell_of(line), (str(line["estimator"]), str(line["options"]))
            levels.setdefault(cell, {})[entrant] = line
            if spec.role(entrant[0], catalogue) == "":
                own = line["expected"] in (Expected.VALID, Expected.OTHER_QUESTION)
                expected[cell] = expected.get(cell, True) and own
        return cls(spec, catalogue, expected, levels)

    def kind(self, names: Names) -> str:
        """Return on which board a cell counts, "" where on none."""
        if not self.spec.weight(str(names["scenario"])) > 0:
            return ""
        known = self.catalogue.get("scenarios") or {}
        default = at_default(names["dials"], dials_of(known, names["scenario"]))
        if self.spec.settings == "all":
            return "all"
        if self.spec.settings == "default":
            return "default" if default else ""
        return VALID if default or self.expected.get(cell_of(names), False) else BROKEN

    def holds(self, entrant: Entrant, cells: Sequence[Names]) -> tuple[str, str]:
        """Return whether an entrant holds its level where it may be expected to, and where not."""
        known = self.catalogue.get("scenarios") or {}
        verdicts = []
        for names in cells:
            line = self.levels.get(cell_of(names), {}).get(entrant)
            default = at_default(names["dials"], dials_of(known, names["scenario"]))
            if line is None or not (default or self.expected.get(cell_of(names), False)):
                continue
            verdict = CoverageVerdict(line["coverage_verdict"])
            if line["verdict"] in FAULTS:
                return str(line["verdict"]), f"{line['note']}, in {_at(line)}"
            if verdict is CoverageVerdict.BROKEN:
                return "no", _broken_at(line)
            verdicts.append(verdict)
        judged = [verdict for verdict in verdicts if verdict not in UNJUDGED]
        if not judged:
            return "", ""
        return ("yes" if all(verdict in HOLDING for verdict in judged) else "unclear"), ""


def _at(line: Names) -> str:
    moved = "" if missing(line["dial"]) else f", {line['dial']} = {line['setting']:g}"
    return f"{line['scenario']}, n = {line['n']}{moved}"


def _broken_at(line: Names) -> str:
    return (
        f"does not hold its level in {_at(line)}: coverage {percent(line['coverage'])} % "
        f"({percent(line['low'])}–{percent(line['high'])}), floor {percent(line['floor'])} %"
    )


def _lines_of(table: pd.DataFrame) -> Iterator[Names]:
    for line in table[table["kind"] == "estimate"].to_dict("records"):
        yield {str(name): value for name, value in line.items()}


def scenario_shares(
    scores: pd.DataFrame, settings: Settings, spec: Ranking, every: Sequence[Entered], kind: str
) -> dict[Key, ScenarioShare]:
    """Return the scenarios' shares of one kind's boards, empty so far, each with its reference.

    The reference answers in every cell: the one that the suite names, else the first oracle of the
    catalogue, else the first contender, else the first baseline. Scores rest on the data sets that
    it tried: who leaves out more than `MOST_LEFT_OUT` of those of a scenario comes after all who do
    not, and who has no rank for what `every` cell of the run shows after all who have, in the whole
    design, so that it has one reference. A share without one is left out.
    """
    answering: dict[Key, dict[tuple[str, ...], set[Entrant]]] = {}
    for names in _lines_of(scores):
        if settings.kind(names) == kind:
            entrants = answering.setdefault(key_of(names), {}).setdefault(cell_of(names), set())
            if names["answered"]:
                entrants.add((str(names["estimator"]), str(names["options"])))
    selective = _selective([cell for cell in every if settings.kind(cell.names) == kind], spec)
    unranked = _unranked(every, settings)
    shares = {}
    for key, of_cells in answering.items():

        def place(entrant: Entrant, key: Key = key) -> tuple[Any, ...]:
            known = (design_of(key), entrant)
            return _place(entrant, known in selective, known in unranked, settings.catalogue, spec)

        ordered = sorted(set.intersection(*of_cells.values()), key=place)
        if ordered and (not spec.reference or ordered[0][0] == spec.reference):
            shares[key] = ScenarioShare(ordered[0])
    return shares


def _selective(cells: Sequence[Entered], spec: Ranking) -> set[tuple[tuple[str, ...], Entrant]]:
    """Return by design who leaves too many data sets out in one of its scenarios."""
    lost: dict[tuple[Key, Entrant], list[float]] = {}
    for cell in cells:
        for entrant, share in zip(cell.entrants, cell.left_out(spec), strict=True):
            lost.setdefault((key_of(cell.names), entrant), []).append(share)
    return {
        (design_of(key), entrant) for (key, entrant), of_cells in lost.items()
        if mean(np.array(of_cells)) > MOST_LEFT_OUT
    }  # fmt: skip


def _unranked(cells: Sequence[Entered], settings: Settings) -> set[tuple[tuple[str, ...], Entrant]]:
    """Return by design who has no rank for a level that it does not hold, or a fault."""
    by_design: dict[tuple[str, ...], list[Entered]] = {}
    for cell in cells:
        by_design.setdefault(design_of(key_of(cell.names)), []).append(cell)
    return {
        (design, entrant) for design, own in by_design.items()
        for entrant in dict.fromkeys(e for cell in own for e in cell.entrants)
        if settings.holds(entrant, [cell.names for cell in own])[0] in UNRANKED
    }  # fmt: skip


def design_of(key: Key) -> tuple[str, ...]:
    """Return the design of a share: the family of its scenario, with the target."""
    return (key[0].partition("/")[0], *map(str, key[1:]))


def _place(
    entrant: Entrant, selective: bool, unranked: bool, catalogue: Mapping[str, Any], spec: Ranking
) -> tuple[Any, ...]:
    order = list(catalogue.get("estimators") or {})
    name = entrant[0]
    place = order.index(name) if name in order else len(order)
    first = ("oracle", "", "baseline").index(spec.role(name, catalogue))
    return name != spec.reference, selective, unranked, first, place, entrant


def by_leaderboard(
    shares: Mapping[Key, ScenarioShare],
) -> Iterator[tuple[str, Key, dict[str, ScenarioShare]]]:
    """Yield each board: its design, one of its keys, and its scenarios' shares.

    A design is a family of scenarios, what stands before the slash; where a family has several
    scenarios, each of them is a board of its own as well.
    """
    families: dict[tuple[str, ...], list[Key]] = {}
    for key in shares:
        families.setdefault(design_of(key), []).append(key)
    for (family, *_), keys in families.items():
        yield family, keys[0], {key[0]: shares[key] for key in keys}
        if len(keys) > 1:
            for key in keys:
                yield key[0], key, {key[0]: shares[key]}
