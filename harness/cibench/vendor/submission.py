"""A vendor's answers, read line by line against the data sets of a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cibench.answers import interval_in, read_csv
from cibench.errors import BadInput, unknown
from cibench.vendor.owner import Owner, Sealed
from cibench.vendor.question import DECISIONS

COLUMNS = ("dataset", "estimate", "low", "high")


@dataclass(frozen=True)
class Answer:
    """Hold a vendor's answer for a data set beside the sealed truth."""

    dataset: Sealed
    estimate: float
    low: float
    high: float
    rolls_out: bool

    @property
    def error(self) -> float:
        """Return how far off the estimate is."""
        return self.estimate - self.dataset.truth

    @property
    def covers(self) -> bool:
        """Say whether the interval holds the truth."""
        return self.low <= self.dataset.truth <= self.high

    @property
    def wrong_sign(self) -> bool | None:
        """Say whether the estimate points the wrong way; None where there is no effect."""
        truth = self.dataset.truth
        return None if truth == 0 else self.estimate * truth <= 0


@dataclass(frozen=True)
class Submission:
    """Hold a vendor's answers and the data sets that it left out."""

    vendor: str
    answers: tuple[Answer, ...]
    missing: tuple[str, ...]


def read_submission(path: Path, owner: Owner) -> Submission:
    """Read a vendor's answers; raises BadInput naming the line and the column."""
    rows = read_csv(path)
    heading = rows[0] if rows else {}
    for column in COLUMNS:
        if rows and column not in heading:
            named = ", ".join(map(str, heading))
            raise BadInput(f"{path}:1: no column '{column}' among {named}")
    sealed = {d.name: d for d in owner.datasets}
    found: dict[str, Answer] = {}
    for line, row in enumerate(rows, 2):
        where, name = f"{path}:{line}", (row["dataset"] or "").strip()
        if name not in sealed:
            raise BadInput(f"{where}: {unknown('data set of this bundle', name, sealed)}")
        if name in found:
            raise BadInput(f"{where}: '{name}' is answered twice")
        if any((row.get(c) or "").strip() for c in (*COLUMNS[1:], "decision")):
            found[name] = _answer(sealed[name], row, where, owner)
    if not found:
        raise BadInput(f"{path}: no answers")
    answers = tuple(found[n] for n in sealed if n in found)
    return Submission(path.stem, answers, tuple(n for n in sealed if n not in found))


def _answer(dataset: Sealed, row: Mapping[str, str], where: str, owner: Owner) -> Answer:
    estimate, low, high = interval_in(row, where)
    decision = (row.get("decision") or "").strip().lower()
    if decision and decision not in DECISIONS:
        raise BadInput(f"{where}: {unknown('decision', decision, DECISIONS)}")
    rolls_out = decision == DECISIONS[0] if decision else gain(estimate, owner) > 0
    return Answer(dataset, estimate, low, high, rolls_out)


def gain(effect: float, owner: Owner) -> float:
    """Return what a roll-out brings a unit, in the outcome's units, its cost paid."""
    return (effect if owner.better == "higher" else -effect) - owner.cost
