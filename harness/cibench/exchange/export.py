"""The data sets of a suite as files, for tools that know nothing of cibench, with the questions.

With the truths sealed nothing that leaves tells a truth, nor the address from which whoever has
the scenario could draw it again: names of questions are keyed by a secret, data sets come in an
order of the secret's, and the suite stays with its owner, in a run folder that awaits the answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from cibench.exchange.data_formats import FORMATS, encoded
from cibench.exchange.questions import DataSet, drawn, questions_of, write_sealed, written_hash
from cibench.storage.manifest import holds_run
from cibench.storage.session import opened
from cibench.storage.targets import row_of
from cibench.suite.suite import Suite
from cibench.utils.errors import BadInput, unknown
from cibench.utils.files import (
    asset,
    check_new,
    csv_text,
    make_folder,
    prepared_folder,
    put_folder,
    write_bytes,
    write_text,
)
from cibench.utils.sealing import Seal, fingerprint, nonce

ANSWERS, QUESTIONS, ROLES, README = "answers.csv", "questions.csv", "roles.csv", "README.md"
COMMITMENTS = "commitments.csv"
"""As in a bundle: `cibench twin verify` holds what is revealed to it."""

BLANK = (
    "estimate", "std_error", "ci_low", "ci_high", "df", "p_value", "declined",
)  # fmt: skip
"""The columns of an answer that a tool fills in."""


@dataclass(frozen=True)
class Exported:
    """Say what was written: the folder, how many data sets and questions, where the truths are."""

    folder: Path
    data_sets: int
    questions: int
    owner: Path | None = None


def export_suite(
    suite: Suite, out: str | Path, *, ending: str = "csv", sealed: bool = False,
    owner: str | Path | None = None,
) -> Exported:  # fmt: skip
    """Write the data sets of a suite into a new folder, with a file of questions to answer.

    `ending` names the format: csv, parquet, dta or npz. With the truths `sealed` they stay in the
    run folder `owner` (by default OUT-owner), which the answers are imported into. Raises BadInput,
    with nothing written, where a folder holds something, a data set cannot be drawn, or the format
    cannot hold it.

    >>> import pandas as pd
    >>> from cibench.exchange import export_suite
    >>> from cibench.suite import parse_suite
    >>> cell = {"scenario": "did/two-group", "n": 30, "estimators": "did/collapsed"}
    >>> suite = parse_suite({"name": "small", "seed": 1, "replicates": 3, "cells": [cell]})
    >>> exported = export_suite(suite, "out")
    >>> exported.data_sets, list(pd.read_csv("out/answers.csv").columns[:3])
    (3, ['question', 'data_hash', 'estimate'])
    """
    out = Path(out)
    if ending not in FORMATS:
        raise BadInput(f"--format: {unknown('format', ending, FORMATS)}")
    if suite.precision is not None:
        raise BadInput(
            "precision: nobody knows how many data sets there will be; state 'replicates'"
        )
    if sealed:
        _check_noise(suite)
    check_new(out)
    place = Path(owner) if owner is not None else out.with_name(f"{out.name}-owner")
    if sealed:
        check_new(place)
        if holds_run(place):
            raise BadInput(f"{place} holds a run; name another folder for the owner")
    elif owner is not None:
        raise BadInput("--owner: belongs to --sealed; without it nothing is kept")
    with prepared_folder(out, {}) as coming:
        make_folder(coming / "data")
        writer = _Writer(suite, coming, ending, nonce() if sealed else "")
        writer.write()
        if sealed:
            _begin(place, suite, writer.owners(out.name))
        put_folder(coming, out)
    return Exported(out, writer.data_sets, len(writer.questions), place if sealed else None)


def _check_noise(suite: Suite) -> None:
    """Raise BadInput where two cells share their noise: the difference of their data is a truth's.

    Settings of a scenario with as many units are drawn from one address, so that they differ by
    the setting alone. Beside each other they tell whoever compares them what was sealed.
    """
    first: dict[tuple[str, int], str] = {}
    for cell in suite.cells:
        key = cell.scenario.name, cell.n
        if before := first.get(key):
            raise BadInput(
                f"--sealed: '{before}' and '{cell}' share their noise, so that data sets of the "
                "two differ by what is sealed; give each another n"
            )
        first[key] = str(cell)


def _begin(folder: Path, suite: Suite, content: dict[str, Any]) -> None:
    """Lay out the run folder that the answers are imported into, and keep the truths there."""
    with opened(folder, suite) as session:
        session.begin()
        session.close(0, {})
    write_sealed(folder, content)


class _Writer:
    """Write data sets one by one, and note the questions."""

    def __init__(self, suite: Suite, folder: Path, ending: str, secret: str) -> None:
        self._suite, self._folder, self._ending, self._secret = suite, folder, ending, secret
        self.questions: list[dict[str, Any]] = []
        self.seals: list[dict[str, Any]] = []
        self.roles: dict[str, list[dict[str, str]]] = {}
        self.data_sets = 0

    def write(self) -> None:
        """Write all files."""
        every = list(questions_of(self._suite, self._secret))
        if self._secret:
            every.sort(key=self._shuffled)
        width = len(str(len(every)))
        for number, asked_for in enumerate(every, 1):
            name = f"data/{number:0{width}d}.{self._ending}"
            self._write(drawn(self._suite, asked_for), name)
        self.data_sets = len(every)
        self._write_tables()

    def _shuffled(self, asked_for: Any) -> bytes:
        """Return what data sets are sorted by so that their order tells nothing."""
        return blake2b(
            asked_for[0].name.encode(), digest_size=16, key=bytes.fromhex(self._secret)
        ).digest()

    def _write(self, data: DataSet, name: str) -> None:
        cell = self._suite.cells[data.questions[0].cell]
        roles = cell.scenario.assigned_roles()
        columns = {column: data.draw.columns[column] for column in roles.columns}
        content = encoded(columns, self._ending, name)
        write_bytes(self._folder / name, content)
        design = self._design(asdict(roles))
        for question in data.questions:
            row = {
                "question": question.name, "file": name, "data_hash": written_hash(data.hash),
                "rows": len(next(iter(columns.values()))), "design": design,
                **row_of(question.target), "level": self._suite.level,
            }  # fmt: skip
            if not self._secret:
                key = cell.key
                place = {k: key[k] for k in ("scenario", "n", "dials", "parameters")}
                row |= {**place, "replicate": question.replicate}
            else:
                self._seal(data, question.name, question.target, fingerprint(content))
            self.questions.append(row)

    def _seal(self, data: DataSet, name: str, target: Any, sha256: str) -> None:
        truth = data.truths[target]
        content = {
            "dataset": name, "estimand": str(target), "truth": float(truth.value),
            "truth_mcse": float(truth.mcse), "data_sha256": sha256, "nonce": nonce(),
        }  # fmt: skip
        seal = Seal.of(content)
        sealed = {**content, "question": name, "commitment": seal.commitment}
        self.seals.append({k: v for k, v in sealed.items() if k != "dataset"})

    def _design(self, roles: Mapping[str, Any]) -> str:
        """Return the name of a set of roles, noted when it is first met."""
        rows = []
        for role, value in roles.items():
            for column in value if isinstance(value, tuple) else (value,):
                if column not in ("", None):
                    rows.append({"role": role, "column": str(column)})
        known = next((name for name, others in self.roles.items() if others == rows), "")
        name = known or f"design{len(self.roles) + 1}"
        self.roles.setdefault(name, rows)
        return name

    def _write_tables(self) -> None:
        import pandas as pd

        questions = pd.DataFrame(self.questions).astype({"horizon": "Int64"})
        blank = pd.DataFrame("", index=questions.index, columns=[*BLANK])
        answers = pd.concat([questions[["question", "data_hash"]], blank], axis=1)
        roles = [{"design": name, **row} for name, rows in self.roles.items() for row in rows]
        tables = {QUESTIONS: questions, ANSWERS: answers, ROLES: pd.DataFrame(roles)}
        if self._secret:
            files = questions.set_index("question")["file"]
            tables[COMMITMENTS] = pd.DataFrame([
                {"dataset": s["question"], "sha256": s["commitment"],
                 "data_sha256": s["data_sha256"], "file": files[s["question"]]}
                for s in self.seals
            ])  # fmt: skip
        else:
            write_text(self._folder / "suite.toml", self._suite.as_toml())
        for name, table in tables.items():
            write_text(self._folder / name, csv_text(table))
        text = asset("cibench", "templates/questions.md.txt")
        sealed = SEALED_WORDS if self._secret else OPEN_WORDS
        text = text.replace("@TRUTHS@", sealed).replace("@COUNT@", f"{self.data_sets:,}")
        write_text(self._folder / README, text)

    def owners(self, name: str) -> dict[str, Any]:
        """Return what the owner keeps of an export of that name."""
        return {"secret": self._secret, "export": name, "questions": self.seals}


OPEN_WORDS = """\
`suite.toml` is the suite whose data sets these are; with `cibench` installed,
`cibench import RUN answers.csv --estimator NAME` takes the answers into a run of it."""

SEALED_WORDS = """\
The truths are sealed: `commitments.csv` has the SHA-256 of a line for each question that holds its
truth and a secret number. When the lines are revealed, `cibench twin verify FOLDER LINES` shows
that nobody has changed them, nor the data, since."""


def revealed(content: Mapping[str, Any]) -> Iterator[Seal]:
    """Yield the seals of an owner's file, to be revealed."""
    for entry in content["questions"]:
        kept = {k: v for k, v in entry.items() if k not in ("question", "commitment")}
        yield Seal({"dataset": entry["question"], **kept}, entry["commitment"])
