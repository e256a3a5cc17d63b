"""The owner's file: truths, nonces, addresses and parameters, which stay with the owner."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cibench.answers import read_csv
from cibench.commitment import commitment, sealed_text
from cibench.errors import BadInput
from cibench.files import write_private

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
