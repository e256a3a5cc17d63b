"""The sealed truths of a bundle: the owner's file, their revelation, the check by a vendor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from cibench.utils.errors import BadInput, unknown
from cibench.utils.files import json_text, write_private, write_text
from cibench.utils.foreign import LARGEST_TABLE, own_file, read_bytes, read_json
from cibench.utils.sealing import (
    Revealed,
    Seal,
    check_seals,
    fingerprint,
    read_commitments,
    read_reveal,
    reveal,
)
from cibench.utils.shapes import TEXT, Rule

FORMAT = 1
OWNER = {
    "format": int, "bundle": TEXT, "cost": float,
    "better": Rule(lambda v: v in ("higher", "lower"), "'higher' or 'lower'"),
    "told": {str: object},
    "datasets": [{
        "name": TEXT, "estimand": TEXT, "truth": float, "truth_mcse": float, "data_sha256": TEXT,
        "nonce": TEXT, "commitment": TEXT, "effect": float, "address": [TEXT],
    }],
}  # fmt: skip
"""What an owner's file holds."""
COMMITMENTS = "commitments.csv"
DATA = "data/{name}.csv"


@dataclass(frozen=True)
class Sealed:
    """Hold one data set's truth as it was sealed, and how to draw the data set again."""

    name: str
    estimand: str
    truth: float
    truth_mcse: float
    data_sha256: str
    nonce: str
    commitment: str
    effect: float
    address: tuple[str, ...]

    @property
    def content(self) -> dict[str, Any]:
        """Return what was sealed."""
        return {
            "dataset": self.name, "estimand": self.estimand, "truth": self.truth,
            "truth_mcse": self.truth_mcse, "data_sha256": self.data_sha256, "nonce": self.nonce,
        }  # fmt: skip

    @property
    def seal(self) -> Seal:
        """Return its seal, which holds if nobody changed what it says."""
        return Seal(self.content, self.commitment)


@dataclass(frozen=True)
class Owner:
    """Hold what stays with the owner of a bundle.

    `bundle` is the bundle's name, `datasets` are the sealed data sets; `cost` is that of a roll-out
    a unit, in the outcome's unit, `better` the outcomes that are better, "higher" or "lower";
    `provenance` holds the twin's digest and family, rows, the secret, limits, labels and notes.

    See `write_bundle`, which writes one.
    """

    bundle: str
    datasets: tuple[Sealed, ...]
    cost: float
    better: str
    provenance: Mapping[str, Any]

    def write(self, path: Path) -> None:
        """Write the file, new and readable by its owner alone; raises BadInput."""
        content = asdict(self)
        content["told"] = content.pop("provenance")
        write_private(path, json_text({"format": FORMAT, **content}))

    @classmethod
    def read(cls, path: Path) -> Owner:
        """Read the file and check every seal; raises BadInput where one is broken."""
        state = read_json(path, OWNER, "an owner's file, or a damaged one")
        if state["format"] != FORMAT:
            raise BadInput(f"{path}: an owner's file of another version of cibench")
        names = [f.name for f in fields(Sealed)]
        sealed = [
            Sealed(**{**{name: d[name] for name in names}, "address": tuple(d["address"])})
            for d in state["datasets"]
        ]
        owner = cls(state["bundle"], tuple(sealed), state["cost"], state["better"], state["told"])
        if len(seals := {each.name: each.seal for each in sealed}) < len(sealed):
            raise BadInput(f"{path}: datasets: two have one name")
        check_seals(path, seals)
        return owner

    def check_bundle(self, folder: Path) -> None:
        """Raise BadInput where the folder's commitments are not those of this file."""
        commitments = _commitments(folder)
        for dataset in self.datasets:
            if commitments.get(dataset.name, {}).get("sha256") != dataset.commitment:
                raise BadInput(
                    f"{folder / COMMITMENTS}: the commitment to '{dataset.name}' is not the owner's"
                )


@dataclass(frozen=True)
class Verification:
    """Say of a data set what was revealed of it and what does not fit, "" where all does."""

    name: str
    statement: str
    problem: str


def write_reveal(owner: Owner, path: Path) -> None:
    """Write the sealed lines, for their owner alone; BadInput where the place cannot be written."""
    write_text(path, reveal(d.seal for d in owner.datasets), private=True)


def verify(bundle: Path, revealed: Path) -> Iterator[Verification]:
    """Yield of each data set whether its revealed line and its file keep the bundle's commitment.

    Raises BadInput, as the first is asked for, where bundle or what is revealed are none, and where
    a line is of no data set of the bundle.

    See `write_bundle`, whose commitments it holds the truths to.
    """
    commitments = _commitments(bundle)
    lines = read_reveal(revealed, "dataset", "data_sha256", "estimand")
    for name, line in lines.items():
        if name not in commitments:
            raise BadInput(f"{line.where}: {unknown('data set of this bundle', name, commitments)}")
    for name, row in commitments.items():
        line = lines.get(name, Revealed())
        statement, problem = "", line.problem(row["sha256"])
        if line.content:
            statement = f"{line.content['estimand']} {line.content['truth']:g}"
            file = row.get("file") or DATA.format(name=name)
            problem = problem or _data_problem(bundle, file, str(line.content["data_sha256"]))
        yield Verification(name, statement, problem)


def _commitments(bundle: Path) -> dict[str, dict[str, str]]:
    return read_commitments(own_file(bundle, COMMITMENTS), "dataset", "data_sha256")


def _data_problem(bundle: Path, file: str, sealed: str) -> str:
    try:
        actual = fingerprint(read_bytes(own_file(bundle, file), LARGEST_TABLE))
    except BadInput as error:
        return f"its file cannot be read: {error}"
    return "" if actual == sealed else "its file is not the one that was sealed"
