"""Answers to the questions of a suite as rows of a run: all of them sound, or none is stored.

The data set of each answer is drawn again from its address and held to the hash that the answer
says; its truth is that of any other row. Whoever made the answers, cibench did not, and the rows'
method is marked so wherever it is named.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cibench.exchange.answers import Answered, Answers, check_hash, read_answers, refuse
from cibench.exchange.questions import DataSet, Question, drawn, questions_of, read_sealed
from cibench.execution.settings import TUNING
from cibench.model import registry
from cibench.model.method import Estimator
from cibench.model.types import SUBDIVISIONS, TARGET, Estimate, Target
from cibench.storage import handed_in, manifest, provenance
from cibench.storage.made_elsewhere import refuse as refuse_elsewhere
from cibench.storage.reader import cells
from cibench.storage.session import Session, opened
from cibench.storage.targets import target_of
from cibench.storage.writer import Writer
from cibench.suite.parse import find_suite
from cibench.suite.suite import Suite
from cibench.utils.errors import BadInput
from cibench.utils.missing import missing
from cibench.workers.block import Entrant, as_table, rows_of
from cibench.workers.fit import Fitted, answer_of
from cibench.workers.unit_answers import Unusable

if TYPE_CHECKING:
    import pyarrow as pa

FAMILY = "imported"
"""The family of methods that are named without one."""


@dataclass(frozen=True)
class Imported:
    """Say what was stored: under which name, how many data sets of how many are answered."""

    estimator: str
    answered: int
    data_sets: int
    stored: int

    @property
    def complete(self) -> bool:
        """Say whether every data set that the method might have answered has an answer."""
        return self.answered == self.data_sets


def import_answers(
    run: str | Path, answers: str | Path, estimator: str, *, suite: Suite | None = None
) -> Imported:
    """Store answers that somebody else made as rows of a run, under the name of a method.

    `answers` is a file as `export_suite` leaves it to be filled in (CSV, Parquet or .dta), or a
    folder of such. `estimator` is family/name, or a name in the family "imported". `run` is a run
    folder of the suite; with a `suite` one is begun where there is none, and one that is there is
    to have its data sets. Answers of a method that come in parts are stored part by part. Raises
    BadInput, with nothing stored, for answers to questions that the run has not, twice, to other
    data, or other than stored ones.

    >>> import cibench, pandas as pd
    >>> from cibench.exchange import export_suite, import_answers
    >>> from cibench.suite import parse_suite
    >>> cell = {"scenario": "did/two-group", "n": 30, "estimators": "did/collapsed"}
    >>> suite = parse_suite({"name": "small", "seed": 1, "replicates": 3, "cells": [cell]})
    >>> _ = export_suite(suite, "out")
    >>> answers = pd.read_csv("out/answers.csv").assign(estimate=[0.4, 0.6, 0.5], std_error=0.2)
    >>> answers.to_csv("mine.csv", index=False)
    >>> run = cibench.run(suite, "run")
    >>> import_answers("run", "mine.csv", "mine").complete
    True
    >>> cibench.load("run").scores[["estimator", "answered"]]
           estimator  answered
    0  did/collapsed         3
    1  imported/mine         3
    """
    folder, name = Path(run), _name(estimator)
    suite = _suite_of(folder, suite)
    sealed = read_sealed(folder) if folder.is_dir() else None
    by_data_set = list(questions_of(suite, sealed["secret"] if sealed else ""))
    questions = {q.name: q for several in by_data_set for q in several}
    read = read_answers(Path(answers), questions, str(run))
    before = _before(folder).get(handed_in.KEY) or {}
    entry = _entry(read, before.get(name), name)
    method = handed_in.register(name, entry)
    fits = [_Fit.of(suite, method, several, read) for several in by_data_set]
    asked_for = [fit for fit in fits if fit is not None]
    due = [fit for fit in asked_for if fit.answers]
    rows = _rows(suite, method, due)
    stored = _stored(folder, name)
    new = _new_rows(suite, rows, stored, read)
    known = len({key[:-1] for key in stored})
    answered = known + sum(map(len, new.values()))
    entry |= {"answered": answered, "data_sets": len(asked_for)}
    _store(folder, suite, name, entry, new)
    count = sum(len(lines) for each in new.values() for lines in each.values())
    return Imported(name, answered, len(asked_for), count)


def _name(estimator: str) -> str:
    name = estimator if "/" in estimator else f"{FAMILY}/{estimator}"
    if not registry.NAME.fullmatch(name):
        raise BadInput(
            f"--estimator: '{estimator}' is not of the form name or family/name in lower case and "
            "hyphens"
        )
    return name


def _before(folder: Path) -> dict[str, Any]:
    return manifest.read_manifest(folder) if manifest.holds_run(folder) else {}


def _suite_of(folder: Path, suite: Suite | None) -> Suite:
    """Return the suite whose questions are answered: the run's own, where there is a run."""
    if manifest.holds_run(folder):
        refuse_elsewhere(_before(folder), folder)
        own = find_suite(folder)
        if suite is not None and _asks(suite) != _asks(own):
            raise BadInput(
                f"suite: {folder} holds a run already, of '{own.name}' with other data sets than "
                f"'{suite.name}'; leave the suite out, or begin a run in another folder"
            )
        suite = own
    elif suite is None:
        raise BadInput(f"{folder} is not a run folder; --suite begins a run of a suite there")
    if suite.precision is not None:
        raise BadInput(
            "precision: nobody knows how many data sets there will be; state 'replicates'"
        )
    return suite


def _asks(suite: Suite) -> list[Any]:
    """Return what decides the questions of a suite: which data sets it has, and of what targets."""
    cells = [[cell.key, n] for cell, n in zip(suite.cells, suite.counts, strict=True)]
    scenarios = {k: v for k, v in provenance.sources(suite).items() if k.startswith("scenario ")}
    return [suite.seed, suite.level, cells, scenarios]


def _entry(read: Answers, before: Mapping[str, Any] | None, name: str) -> dict[str, Any]:
    """Return what the manifest is to say of the method; raises BadInput where it has changed."""
    targets = {answer.question.target for answer in read.by_question.values()}
    plain = sorted({str(t.estimand) for t in targets if t.horizon is None})
    horizons = sorted({str(t.estimand) for t in targets if t.horizon is not None})
    by = [part for part in SUBDIVISIONS if any(getattr(t, part) is not None for t in targets)]
    entry = {
        "source": read.source, "targets": plain, "horizons": horizons, "gives": list(read.gives),
        **({"by": by} if by else {}),
    }  # fmt: skip
    if before is not None:
        for key in ("targets", "horizons", "gives"):
            if entry[key] != before[key]:
                was, now = (", ".join(e[key]) or "none" for e in (before, entry))
                raise BadInput(
                    f"{name} has answers already, whose {key} are {was}, not {now}; import under "
                    "another name"
                )
        entry["source"] = before["source"]
    return entry


@dataclass(frozen=True)
class _Fit:
    """Hold what one data set asks of the method, and its answers to that."""

    questions: tuple[Question, ...]
    answers: Mapping[Target, Answered]

    @classmethod
    def of(
        cls, suite: Suite, method: Estimator, several: tuple[Question, ...], read: Answers
    ) -> _Fit | None:
        """Return it for a data set's questions, None where the method may answer none of them."""
        wanted = method.targets_of(suite.cells[several[0].cell].scenario)
        asked_for = tuple(q for q in several if q.target in wanted)
        if not asked_for:
            return None
        known = read.by_question
        return cls(asked_for, {q.target: known[q.name] for q in asked_for if q.name in known})


Key = tuple[Any, ...]
"""A cell's identity, a replicate and a target."""


def _rows(
    suite: Suite, method: Estimator, fits: list[_Fit]
) -> list[tuple[_Fit, DataSet, list[dict[str, Any]]]]:
    """Return each fit with its data set and rows; raises BadInput for answers to other data."""
    faults, rows = list[str](), []
    for fit in fits:
        data = drawn(suite, fit.questions)
        wrong = [line for a in fit.answers.values() if (line := check_hash(a, data.hash))]
        if wrong:
            faults += wrong
            continue
        targets = tuple(q.target for q in fit.questions)
        entrant = Entrant(method, {}, handed_in.NO_OPTIONS, targets, targets)
        level = suite.level
        returned = {t: _returned(fit.answers.get(t), t, level, method.gives) for t in targets}
        answers = [answer_of(method, _picked(returned[t], t), t, targets) for t in targets]
        fitted = Fitted(answers, None, math.nan)
        lines = rows_of(fit.questions[0].replicate, entrant, fitted, data.truths, data.hash)
        rows.append((fit, data, [{**line, "seconds": None} for line in lines]))
    refuse(faults)
    return rows


def _picked(returned: object, target: Target) -> object:
    return {target: returned} if isinstance(returned, Estimate) else returned


def _returned(
    answer: Answered | None, target: Target, level: float, gives: tuple[str, ...]
) -> object:
    """Return an answer as a fit would have returned it."""
    if answer is None:
        return Unusable("failed", "no answer was handed in")
    if answer.declined:
        return Unusable("declined", answer.declined[:300])
    number = answer.numbers
    value, se, df = (number.get(name) for name in ("estimate", "std_error", "df"))
    if value is None:
        return Unusable("failed", "no estimate")
    if df is not None and not df > 0:
        return Unusable("failed", f"degrees of freedom are {df:g}")
    low, high = number.get("ci_low"), number.get("ci_high")
    if low is None and high is None and "limits" in gives and se is not None and se >= 0:
        symmetric = Estimate.on_scale(value, se, level, target.estimand, df)
        low, high = symmetric.low, symmetric.high
    return Estimate(value, se, low, high, df=df, p_value=number.get("p_value"))


def _stored(folder: Path, name: str) -> dict[Key, float | None]:
    """Return the stored estimates of a method, by address."""
    if not manifest.holds_run(folder):
        return {}
    wanted = ("replicate", "estimator", *TARGET, "estimate")
    stored: dict[Key, float | None] = {}
    for cell in cells(folder, also=wanted):
        for row in cell.table.select(list(wanted)).to_pylist():
            if row["estimator"] == name:
                stored[*cell.identity, row["replicate"], target_of(row)] = row["estimate"]
    return stored


def _new_rows(
    suite: Suite, rows: list[tuple[_Fit, DataSet, list[dict[str, Any]]]],
    stored: Mapping[Key, float | None], read: Answers,
) -> dict[int, dict[int, list[dict[str, Any]]]]:  # fmt: skip
    """Return the rows that are not stored yet by cell and replicate; BadInput where others are."""
    new: dict[int, dict[int, list[dict[str, Any]]]] = {}
    faults = []
    for fit, _, lines in rows:
        place, replicate = fit.questions[0].cell, fit.questions[0].replicate
        identity = suite.cells[place].identity
        there = [(*identity, replicate, target_of(row)) for row in lines]
        if not any(key in stored for key in there):
            new.setdefault(place, {})[replicate] = lines
            continue
        for key, row in zip(there, lines, strict=True):
            before, now = stored.get(key), row.get("estimate")
            if before != now and not (missing(before) and missing(now)):
                question = next(q for q in fit.questions if q.target == key[-1])
                answer = read.by_question.get(question.name)
                where = answer.where if answer else read.source
                faults.append(
                    f"{where}: question '{question.name}' has another answer in the run already"
                )
    refuse(faults)
    return new


def _store(
    folder: Path, suite: Suite, name: str, entry: Mapping[str, Any],
    new: Mapping[int, Mapping[int, list[dict[str, Any]]]],
) -> None:  # fmt: skip
    """Write the rows into the run folder, and what the manifest says of their method."""
    with opened(folder, suite, answers={name: entry}) as session:
        checks = (session.before or {}).get("checks")
        session.begin(checks)
        writer = Writer(
            session.run, session.suite, session.inventory.shards,
            flush_seconds=TUNING.flush_seconds, waiting_rows=TUNING.waiting_rows,
            shard_rows=TUNING.shard_rows, most_bytes=TUNING.most_bytes,
        )  # fmt: skip
        try:
            for place, by_replicate in new.items():
                writer.add(place, _table(session, place, by_replicate))
                _note(session, place, name, list(by_replicate))
        finally:
            writer.flush(everything=True)
            session.close(sum(session.inventory.stored), {})


def _table(
    session: Session, place: int, by_replicate: Mapping[int, list[dict[str, Any]]]
) -> pa.Table:
    lines = [row for replicate in sorted(by_replicate) for row in by_replicate[replicate]]
    return as_table(session.suite.cells[place].key, session.suite.level, lines)


def _note(session: Session, place: int, name: str, replicates: list[int]) -> None:
    """Take note in the inventory that fits are stored."""
    entrants = session.suite.cells[place].entrants
    (own,) = (i for i, each in enumerate(entrants) if each.estimator == name)
    session.inventory.have[place][own, replicates] = True
