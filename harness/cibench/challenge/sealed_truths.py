"""The owner's file of truths and nonces, their revelation, and the check of what was sealed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cibench.utils.answers_csv import read_csv
from cibench.utils.errors import BadInput, unknown
from cibench.utils.files import write_atomically, write_private
from cibench.utils.sealing import commitment, fingerprint, sealed_text

FORMAT = 1
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
    def line(self) -> str:
        """Return the sealed text, to be revealed."""
        return sealed_text(self.content)


@dataclass(frozen=True)
class Owner:
    """Hold what stays with the owner of a bundle.

    `told` holds the twin, its digest, rows, the secret, limits and labels; `loss` the cost of a
    roll-out and which outcomes are better; `bundle` the folder, relative to the owner's file.
    """

    bundle: str
    datasets: tuple[Sealed, ...]
    cost: float
    better: str
    told: Mapping[str, Any]

    def write(self, path: Path) -> None:
        """Write the file, readable by its owner alone; raises FileExistsError."""
        text = json.dumps({"format": FORMAT, **asdict(self)}, indent=1, ensure_ascii=False)
        write_private(path, text + "\n")

    @classmethod
    def read(cls, path: Path) -> Owner:
        """Read the file and check every seal; raises BadInput where one is broken."""
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            if state.pop("format") != FORMAT:
                raise BadInput(f"{path}: an owner's file of another version of cibench")
            sealed = [Sealed(**{**d, "address": tuple(d["address"])}) for d in state["datasets"]]
            made = cls(**{**state, "datasets": tuple(sealed)})
        except OSError as error:
            raise BadInput(f"{path}: {error.strerror}") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            said = " ".join(str(error).split())
            raise BadInput(f"{path}: not an owner's file, or a damaged one: {said}") from error
        for one in made.datasets:
            if commitment(one.content) != one.commitment:
                raise BadInput(f"{path}: the truth of '{one.name}' is not the one that was sealed")
        return made

    def check_bundle(self, folder: Path) -> None:
        """Raise BadInput where the folder's commitments are not those of this file."""
        given = read_commitments(folder)
        for one in self.datasets:
            if given.get(one.name, {}).get("sha256") != one.commitment:
                raise BadInput(
                    f"{folder / COMMITMENTS}: the commitment to '{one.name}' is not the owner's"
                )


def read_commitments(folder: Path) -> dict[str, dict[str, str]]:
    """Return a bundle's commitments by data set; raises BadInput where it is no bundle."""
    path = folder / COMMITMENTS
    rows = read_csv(path)
    if not rows or not {"dataset", "sha256", "data_sha256"} <= set(rows[0]):
        raise BadInput(f"{path}: not the commitments of a bundle")
    return {row["dataset"]: row for row in rows}


@dataclass(frozen=True)
class Checked:
    """Say of a data set what was revealed of it and what does not fit, "" where all does."""

    name: str
    said: str
    problem: str


def write_reveal(owner: Owner, path: Path) -> None:
    """Write the sealed lines; raises BadInput where the place cannot be written."""
    text = "".join(f"{d.line}\n" for d in owner.datasets)
    try:
        write_atomically(path, lambda p: p.write_text(text, encoding="utf-8", newline="\n"))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from error


def verify(bundle: Path, reveal: Path) -> Iterator[Checked]:
    """Compare each revealed line, and each data set's file, with the bundle's commitments.

    Raises BadInput where bundle or reveal are none.
    """
    given, lines = read_commitments(bundle), _lines(reveal)
    for name, (_, where) in lines.items():
        if name not in given:
            raise BadInput(f"{where}: {unknown('data set of this bundle', name, given)}")
    for name, row in given.items():
        if name not in lines:
            yield Checked(name, "", "nothing was revealed of it")
            continue
        text = lines[name][0]
        content = json.loads(text)
        said = f"{content['estimand']} {content['truth']:g}"
        yield Checked(name, said, _problem(bundle, text, row, str(content["data_sha256"])))


def _problem(bundle: Path, text: str, row: dict[str, str], data: str) -> str:
    if fingerprint(text.encode()) != row["sha256"]:
        return "what was revealed is not what was sealed"
    try:
        found = fingerprint((bundle / DATA.format(name=row["dataset"])).read_bytes())
    except OSError as error:
        return f"its file cannot be read: {error.strerror}"
    return "" if found == data else "its file is not the one that was sealed"


def _lines(reveal: Path) -> dict[str, tuple[str, str]]:
    """Return the revealed lines by data set, with where they stand."""
    try:
        texts = reveal.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise BadInput(f"{reveal}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{reveal}: not a text file in UTF-8") from error
    found: dict[str, tuple[str, str]] = {}
    for number, text in enumerate(texts, 1):
        where = f"{reveal}:{number}"
        try:
            content = json.loads(text)
            name, _, _ = content["dataset"], content["data_sha256"], float(content["truth"])
            _ = content["estimand"]
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{where}: not a revealed truth") from error
        if name in found:
            raise BadInput(f"{where}: '{name}' is revealed twice")
        found[name] = (text, where)
    if not found:
        raise BadInput(f"{reveal}: reveals nothing")
    return found
