"""The questions of a suite: each of its data sets by address, each target a question with an id."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from cibench.model.design import depends_on_size, truths
from cibench.model.streams import unchanged_random_states
from cibench.model.types import Draw, Target, Truth
from cibench.suite.suite import Cell, Suite
from cibench.utils.errors import BadInput, one_line_of
from cibench.utils.files import canonical, json_text, write_private
from cibench.utils.foreign import own_file, read_json
from cibench.utils.shapes import TEXT
from cibench.workers.block import draw_replicate, hash_columns

SEALED = "sealed.json"
"""The owner's file in a run folder whose data sets were given away with their truths sealed."""

SEAL = {
    "question": TEXT, "estimand": TEXT, "truth": float, "truth_mcse": float, "data_sha256": TEXT,
    "nonce": TEXT, "commitment": TEXT,
}  # fmt: skip
SHAPE = {"format": int, "secret": TEXT, "export": TEXT, "questions": [SEAL]}
FORMAT = 1


@dataclass(frozen=True)
class Question:
    """Name one question: a cell of a suite by its place, a replicate, a target; and its id."""

    cell: int
    replicate: int
    target: Target
    name: str


@dataclass(frozen=True, eq=False)
class DataSet:
    """Hold a drawn data set, its hash, what is asked of it and what is true of it."""

    draw: Draw
    hash: int
    questions: tuple[Question, ...]
    truths: dict[Target, Truth]


def questions_of(suite: Suite, secret: str = "") -> Iterator[tuple[Question, ...]]:
    """Yield the questions of each data set of a suite, cell by cell in replicate order.

    A question's id is a digest of its address, so that it is the same wherever the suite is asked;
    with a secret nobody without it can tell which address it is.
    """
    for place, cell in enumerate(suite.cells):
        for replicate in range(suite.counts[place]):
            yield tuple(
                Question(place, replicate, target, _name(suite, cell, replicate, target, secret))
                for target in cell.scenario.targets()
            )


def _name(suite: Suite, cell: Cell, replicate: int, target: Target, secret: str) -> str:
    address = canonical([suite.seed, *cell.identity, replicate, str(target)])
    digest = blake2b(address.encode(), digest_size=8, key=bytes.fromhex(secret)).hexdigest()
    return f"q{digest}"  # a letter first: no reader of tables takes it for a number


def written_hash(number: int) -> str:
    """Return a data set's hash as files have it: a letter, then 64 bits in hexadecimal."""
    return f"h{number & (2**64 - 1):016x}"


def drawn(suite: Suite, asked_for: tuple[Question, ...]) -> DataSet:
    """Draw the data set of some questions as a worker does; raises BadInput where it cannot be."""
    question = asked_for[0]
    cell = suite.cells[question.cell]
    scenario, n = cell.scenario, cell.n
    try:
        with unchanged_random_states(), threadpool_limits(1):
            draw = draw_replicate(scenario, n, suite.seed, question.replicate)
            known = truths(scenario, n) if depends_on_size(scenario) else truths(scenario)
            for question_at in asked_for:
                known |= _of_draw(draw, question_at.target)
            number = hash_columns(draw, scenario.assigned_roles())
    except Exception as error:
        reason = one_line_of(error, type(scenario).draw)
        raise BadInput(
            f"{cell}: replicate {question.replicate} cannot be drawn: {reason}"
        ) from error
    return DataSet(draw, number, asked_for, known)


def _of_draw(draw: Draw, target: Target) -> dict[Target, Truth]:
    if target in draw.truths:
        return {target: Truth(float(draw.truths[target]))}
    if target.estimand.of_sample:
        return {target: Truth(draw.value(target))}
    return {}


def write_sealed(folder: Path, content: dict[str, Any]) -> None:
    """Write an owner's file into a run folder, new and readable by its owner alone."""
    write_private(folder / SEALED, json_text({"format": FORMAT, **content}))


def read_sealed(folder: Path) -> dict[str, Any] | None:
    """Return the owner's file of a run folder, None where there is none; raises BadInput."""
    path = own_file(folder, SEALED)
    if not path.exists():
        return None
    content: dict[str, Any] = read_json(path, SHAPE, "an owner's file, or a damaged one")
    if content["format"] != FORMAT:
        raise BadInput(f"{path}: an owner's file of another version of cibench")
    return content
