"""Scoring a class: who was how far off, whose interval covered, and what 95 % would have been."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cibench.lessons.classroom.assignment import DECISIONS, KEY, sealed
from cibench.metrics.core import Score, mean_score, proportion
from cibench.metrics.intervals import covers
from cibench.utils.answers_csv import interval_in
from cibench.utils.errors import BadInput, unknown
from cibench.utils.foreign import own_file, read_csv, read_json
from cibench.utils.sealing import Seal, check_seals
from cibench.utils.shapes import TEXT

NUMBERS = ("estimate", "low", "high")


@dataclass(frozen=True)
class Answer:
    """Hold a student's answer beside the truth that was sealed."""

    student: str
    truth: float
    setting: float
    salt: str
    commitment: str
    estimate: float
    low: float
    high: float
    decision: str

    @property
    def error(self) -> float:
        """Return how far off the estimate is."""
        return self.estimate - self.truth

    @property
    def covers(self) -> bool:
        """Say whether the interval holds the truth."""
        return bool(covers(self.low, self.high, self.truth))

    @property
    def right(self) -> bool | None:
        """Say whether the decision was right; None where it was left open."""
        if self.decision == DECISIONS[2]:
            return None
        return (self.decision == DECISIONS[0]) == (self.truth != 0)


@dataclass(frozen=True)
class Class:
    """Hold all answers, those who gave none, and how good the answers were together."""

    title: str
    answers: tuple[Answer, ...]
    missing: tuple[str, ...]

    @property
    def coverage(self) -> Score:
        """Return the share of intervals that cover, with Wilson limits."""
        return proportion(sum(a.covers for a in self.answers), len(self.answers))

    @property
    def bias(self) -> Score:
        """Return the mean error with its standard error."""
        import numpy as np

        return mean_score(np.array([a.error for a in self.answers]))

    @property
    def right(self) -> Score:
        """Return the share of right decisions among those that decided."""
        decided = [a.right for a in self.answers if a.right is not None]
        return proportion(sum(decided), len(decided))


def read_class(folder: Path, answers: Path) -> Class:
    """Return the class of an assignment's folder and a file of answers.

    Raises BadInput naming the line of a faulty answer, or where the key does not fit its seals.
    """
    key = _key(folder)
    students: Mapping[str, Any] = key["students"]
    by_student: dict[str, Answer] = {}
    rows = read_csv(answers)
    for column in ("student", *NUMBERS, "decision"):
        if rows and column not in rows[0]:
            raise BadInput(f"{answers}:1: no column '{column}' among {', '.join(rows[0])}")
    for row in rows:
        where, name = f"{answers}:{row.line}", row["student"].strip()
        if name not in students:
            raise BadInput(f"{where}: {unknown('student of this assignment', name, students)}")
        if name in by_student:
            raise BadInput(f"{where}: '{name}' answers twice")
        if any(row[column].strip() for column in (*NUMBERS, "decision")):
            by_student[name] = _answer(name, students[name], row, where)
    if not by_student:
        raise BadInput(f"{answers}: no answers")
    missing = tuple(name for name in students if name not in by_student)
    return Class(str(key["title"]), tuple(by_student.values()), missing)


KEY_SHAPE = {
    "title": TEXT,
    "students": {
        str: {"truth": float, "setting": float, "salt": TEXT, "commitment": TEXT},
    },
}
"""What of a teacher's key is read."""


def _key(folder: Path) -> dict[str, Any]:
    path = own_file(folder, KEY)
    if not path.exists():
        raise BadInput(f"{folder} is not an assignment: it has no {KEY}")
    key: dict[str, Any] = read_json(path, KEY_SHAPE, "a teacher's key, or a damaged one")
    seals = {name: _seal(name, entry) for name, entry in key["students"].items()}
    check_seals(folder / KEY, seals)
    for name, seal in seals.items():  # as it was sealed, to the sign of a zero
        key["students"][name]["truth"] = json.loads(seal.text)["truth"]
    return key


def _seal(name: str, entry: Mapping[str, Any]) -> Seal:
    return Seal(sealed(name, entry["truth"], entry["salt"]), entry["commitment"])


def _answer(name: str, entry: Mapping[str, Any], row: Mapping[str, str], where: str) -> Answer:
    estimate, low, high = interval_in(row, where)
    decision = row["decision"].strip().lower()
    if decision not in DECISIONS:
        raise BadInput(f"{where}: {unknown('decision', decision, DECISIONS)}")
    return Answer(
        name, entry["truth"], entry["setting"], entry["salt"], entry["commitment"], estimate, low,
        high, decision,
    )  # fmt: skip
