"""Answers that somebody hands in: read, and held to the questions before anything is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.exchange.questions import Question, written_hash
from cibench.utils.errors import BadInput, near_miss, unknown
from cibench.utils.foreign import read_table
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd

ENDINGS = (".csv", ".parquet", ".dta")
NUMBERS = ("estimate", "std_error", "ci_low", "ci_high", "df", "p_value")
MUST = ("question", "data_hash", "estimate")
KNOWN = (*MUST, "std_error", "ci_low", "ci_high", "df", "p_value", "declined")
MOST_FAULTS = 20
"""Answers that are wrong which are told; the others are counted."""


@dataclass(frozen=True)
class Answered:
    """Hold one answer: its question, what its file says, and where it stands there."""

    question: Question
    numbers: Mapping[str, float | None]
    declined: str
    data_hash: str
    where: str


@dataclass(frozen=True)
class Answers:
    """Hold all answers by the names of their questions, and where they are from.

    `gives` says which of value, se and limits any answer has; `source` is the file or folder.
    """

    by_question: Mapping[str, Answered]
    gives: tuple[str, ...]
    source: str


def read_answers(path: Path, questions: Mapping[str, Question], run: str) -> Answers:
    """Read a file of answers, or all files of a folder; raises BadInput with a line for each fault.

    `questions` are those of the run by name, `run` is what it is called in complaints.
    """
    by_question: dict[str, Answered] = {}
    faults: list[str] = []
    parts: set[str] = set()
    for file in _files(path):
        table = read_table(file, exact=True)
        _check_columns(table, file)
        parts |= {name for name in NUMBERS if name in table and table[name].notna().any()}
        for row, cells in enumerate(table.to_dict("records"), 1):
            where = f"{file}: row {row}"
            try:
                answer = _answer(cells, questions, where, run)
            except BadInput as error:
                faults += map(str, error.args)
                continue
            name = answer.question.name
            if name in by_question:
                faults.append(f"{where}: question '{name}' is answered already, by "
                              f"{by_question[name].where}")  # fmt: skip
            by_question[name] = answer
    refuse(faults)
    if not by_question:
        raise BadInput(f"{path}: it holds no answers")
    if not any(a.declined or a.numbers.get("estimate") is not None for a in by_question.values()):
        raise BadInput(
            f"{path}: no row has an estimate, and none says that its data set was declined; fill "
            "it in first: answers that are stored are not replaced"
        )
    gives = ["value", *(["se"] if "std_error" in parts else [])]
    if {"ci_low", "ci_high"} <= parts or "std_error" in parts:
        gives.append("limits")
    return Answers(by_question, tuple(gives), path.name)


def refuse(faults: Sequence[str]) -> None:
    """Raise BadInput with what is wrong, if anything is: the first of it, the rest by number."""
    if faults:
        more = len(faults) - MOST_FAULTS
        raise BadInput(*faults[:MOST_FAULTS], *([f"and {more:,} more"] if more > 0 else []))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(p for p in path.iterdir() if p.is_file() and p.suffix.lower() in ENDINGS)
    if not files:
        raise BadInput(f"{path}: it holds no answers: no file ends in {', '.join(ENDINGS)}")
    return files


def _check_columns(table: pd.DataFrame, file: Path) -> None:
    there = [str(name) for name in table.columns]
    faults = [f"{file}: {unknown('column', name, there)}" for name in MUST if name not in there]
    faults += [
        f"{file}: '{a}' stands without '{b}'; a limit takes the other, an open side is infinite"
        for a, b in (("ci_low", "ci_high"), ("ci_high", "ci_low")) if a in there and b not in there
    ]  # fmt: skip
    faults += [
        f"{file}: no column of answers is named '{name[:60]}'{hint}" for name in there
        if name not in KNOWN and (hint := near_miss(name, KNOWN))
    ]  # fmt: skip
    refuse(faults)


def _answer(
    cells: Mapping[Any, Any], questions: Mapping[str, Question], where: str, run: str
) -> Answered:
    name = "" if missing(cells["question"]) else str(cells["question"])
    if name not in questions:
        raise BadInput(f"{where}: {run} has no question '{name[:60]}'")
    text = cells.get("declined")
    declined = "" if missing(text) else str(text).strip()
    numbers = {n: _number(cells[n], f"{where}: {n}") for n in NUMBERS if n in cells}
    given_hash = "" if missing(cells["data_hash"]) else str(cells["data_hash"])
    return Answered(questions[name], numbers, declined, given_hash, where)


def _number(value: Any, where: str) -> float | None:
    """Return a number of an answer, None where there is none; raises BadInput for another text."""
    if missing(value) or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, int | float | np.number) and not isinstance(value, bool):
        return float(value)
    try:
        return float(str(value))
    except ValueError as error:
        raise BadInput(f"{where}: {str(value)[:60]!r} is not a number") from error


def check_hash(answer: Answered, number: int) -> str:
    """Say where an answer is to other data than the run's, "" where it is to the same."""
    if answer.data_hash == written_hash(number):
        return ""
    return (
        f"{answer.where}: question '{answer.question.name}': its data have the hash "
        f"{written_hash(number)}, but the answer says '{answer.data_hash[:40]}'"
    )
