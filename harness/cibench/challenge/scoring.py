"""Read vendors' answers and score them: bias, coverage, wrong signs, what decisions cost.

The regret of a decision is what the best one would have brought beyond it, a unit and in the
outcome's units: |gain| where it was wrong, else nothing. Data sets are independent; errors are
those of a mean, limits of shares are Wilson's. A truth that was simulated adds its own error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from math import hypot
from pathlib import Path

import numpy as np

from cibench.challenge.documents import DECISIONS
from cibench.challenge.sealed_truths import Owner, Sealed
from cibench.metrics import METRICS
from cibench.metrics.core import Score, mean_score, proportion, root
from cibench.metrics.intervals import covers
from cibench.render.numbers import number
from cibench.utils.answers_csv import interval_in
from cibench.utils.errors import BadInput, unknown
from cibench.utils.files import write_csv
from cibench.utils.foreign import read_csv

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
        return bool(covers(self.low, self.high, self.dataset.truth))

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
    """Read a vendor's answers; raises BadInput naming the line and the column.

    See `write_bundle` for the whole way.
    """
    rows = read_csv(path)
    heading = rows[0] if rows else {}
    for column in COLUMNS:
        if rows and column not in heading:
            named = ", ".join(map(str, heading))
            raise BadInput(f"{path}:1: no column '{column}' among {named}")
    sealed = {d.name: d for d in owner.datasets}
    by_name: dict[str, Answer] = {}
    for row in rows:
        where, name = f"{path}:{row.line}", row["dataset"].strip()
        if name not in sealed:
            raise BadInput(f"{where}: {unknown('data set of this bundle', name, sealed)}")
        if name in by_name:
            raise BadInput(f"{where}: '{name}' is answered twice")
        if any(row.get(c, "").strip() for c in (*COLUMNS[1:], "decision")):
            by_name[name] = _answer(sealed[name], row, where, owner)
    if not by_name:
        raise BadInput(f"{path}: no answers")
    answers = tuple(by_name[n] for n in sealed if n in by_name)
    return Submission(path.stem, answers, tuple(n for n in sealed if n not in by_name))


def _answer(dataset: Sealed, row: Mapping[str, str], where: str, owner: Owner) -> Answer:
    estimate, low, high = interval_in(row, where)
    decision = row.get("decision", "").strip().lower()
    if decision and decision not in DECISIONS:
        raise BadInput(f"{where}: {unknown('decision', decision, DECISIONS)}")
    rolls_out = decision == DECISIONS[0] if decision else gain(estimate, owner) > 0
    return Answer(dataset, estimate, low, high, rolls_out)


def gain(effect: float, owner: Owner) -> float:
    """Return what a roll-out brings a unit, in the outcome's units, its cost paid."""
    return (effect if owner.better == "higher" else -effect) - owner.cost


NAMES = {
    **{name: METRICS[name].label for name in ("bias", "rmse", "coverage")},
    "counted": "unanswered as misses", "wrong_sign": "wrong sign", "regret": "regret a unit",
}  # fmt: skip


@dataclass(frozen=True)
class Marks:
    """Hold a vendor's scores; `counted` is coverage with data sets left out as misses."""

    bias: Score
    rmse: Score
    coverage: Score
    counted: Score
    wrong_sign: Score
    regret: Score

    @property
    def texts(self) -> dict[str, str]:
        """Return the scores as people read them: errors in brackets, shares with limits."""
        return {NAMES[f.name]: _text(getattr(self, f.name)) for f in fields(self)}


@dataclass(frozen=True)
class Line:
    """Hold what a vendor said of one data set and how good that was."""

    vendor: str
    dataset: str
    truth: float
    estimate: float
    low: float
    high: float
    error: float
    covers: bool
    wrong_sign: bool | None
    rolls_out: bool
    regret: float


def regret_of(answer: Answer, owner: Owner) -> float:
    """Return what a decision lost against the best one, a unit."""
    brought = gain(answer.dataset.truth, owner)
    return max(brought, 0.0) - (brought if answer.rolls_out else 0.0)


def lines_of(submission: Submission, owner: Owner) -> list[Line]:
    """Return a line for each data set that a vendor answered."""
    return [
        Line(
            submission.vendor, a.dataset.name, a.dataset.truth, a.estimate, a.low, a.high, a.error,
            a.covers, a.wrong_sign, a.rolls_out, regret_of(a, owner),
        )
        for a in submission.answers
    ]  # fmt: skip


def marks_of(submission: Submission, owner: Owner) -> Marks:
    """Score one vendor."""
    answers = submission.answers
    errors = np.array([a.error for a in answers])
    signs = [a.wrong_sign for a in answers if a.wrong_sign is not None]
    covered = sum(a.covers for a in answers)
    bias, shared = mean_score(errors), max(a.dataset.truth_mcse for a in answers)
    return Marks(
        Score(bias.value, hypot(bias.mcse, shared)),
        root(mean_score(errors**2)),
        proportion(covered, len(answers)),
        proportion(covered, len(answers) + len(submission.missing)),
        proportion(sum(signs), len(signs)),
        mean_score(np.array([regret_of(a, owner) for a in answers])),
    )


def _text(score: Score) -> str:
    if np.isnan(score.value):
        return "–"
    if not np.isnan(score.low):
        return f"{100 * score.value:.0f} % ({100 * score.low:.0f}–{100 * score.high:.0f})"
    error = "" if np.isnan(score.mcse) else f" ({number(score.mcse)})"
    return f"{number(score.value, score.mcse)}{error}"


def check_vendors(paths: list[Path]) -> None:
    """Raise BadInput where two files would carry one vendor's name."""
    names = [p.stem for p in paths]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(f"two submissions are called '{name}'; a vendor is named by its file")


def write_table(lines: list[Line], path: Path) -> None:
    """Write a row for each answer as CSV; raises BadInput where the place cannot be written."""
    import pandas as pd

    write_csv(path, pd.DataFrame([asdict(line) for line in lines]), private=True)
