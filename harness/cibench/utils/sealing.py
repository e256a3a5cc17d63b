"""Seal truths: commit to them before they are known to others, reveal them later, verify both.

A commitment is the SHA-256 of a canonical text that holds a secret nonce. Whoever has it learns
nothing from it, for nobody can guess 256 bits; whoever gave it cannot change the truth afterwards,
for no other text has the same digest. A zero is sealed without its sign, which readers of JSON and
CSV keep or drop as they like.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

from cibench.utils.errors import BadInput
from cibench.utils.files import canonical
from cibench.utils.foreign import as_json, read_csv, read_text
from cibench.utils.shapes import TEXT

BYTES = 32


def nonce() -> str:
    """Return 256 secret random bits in hexadecimal, from the operating system."""
    return secrets.token_hex(BYTES)


def fingerprint(content: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal, as `sha256sum` prints it."""
    return sha256(content).hexdigest()


@dataclass(frozen=True)
class Seal:
    """Hold what is sealed, a nonce among its values, and the commitment to it."""

    content: Mapping[str, Any]
    commitment: str

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Seal:
        """Seal a content, which must hold a nonce."""
        text = next(_spellings(content))
        return cls(json.loads(text), fingerprint(text.encode()))

    @property
    def text(self) -> str:
        """Return the text that was sealed, to be revealed, "" where the content is another one.

        It is JSON, keys sorted, without spaces; older seals hold with the sign their zeros had.
        """
        texts = _spellings(self.content)
        return next((t for t in texts if fingerprint(t.encode()) == self.commitment), "")


def _spellings(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts of a content: zeros without their sign, then with every choice of signs."""
    zeros = [key for key, value in content.items() if isinstance(value, float) and value == 0]
    for signed in product((0.0, -0.0), repeat=len(zeros)):
        yield canonical({**content, **dict(zip(zeros, signed, strict=True))})


def check_seals(path: Path, seals: Mapping[str, Seal]) -> None:
    """Raise BadInput where a content of a secret file is not the one that was sealed."""
    for name, seal in seals.items():
        if not seal.text:
            raise BadInput(f"{path}: the truth of '{name}' is not the one that was sealed")


def read_commitments(path: Path, name: str, *others: str) -> dict[str, dict[str, str]]:
    """Return the rows of a table of commitments by its column `name`; BadInput where it is none."""
    rows = read_csv(path)
    if not rows or not {name, "sha256", *others} <= set(rows[0]):
        raise BadInput(f"{path}: not the commitments of a bundle")
    return {row[name]: row for row in rows}


@dataclass(frozen=True)
class Revealed:
    """Hold one revealed text, what it says and where it stands; "" and nothing where none was."""

    text: str = ""
    content: Mapping[str, Any] | None = None
    where: str = ""

    def problem(self, commitment: str) -> str:
        """Say what keeps it from being what was sealed, "" where it is."""
        if self.content is None:
            return "nothing was revealed of it"
        if fingerprint(self.text.encode()) != commitment:
            return "what was revealed is not what was sealed"
        return ""


def reveal(seals: Iterable[Seal]) -> str:
    """Return the sealed texts, one a line, to be given away."""
    return "".join(f"{seal.text}\n" for seal in seals)


def read_reveal(path: Path, name: str, *others: str) -> dict[str, Revealed]:
    """Return revealed texts by what they say under `name`; BadInput with the line of a wrong one.

    Each has a `truth` that is a number and all the `others`.
    """
    shape = {name: TEXT, "truth": float, **dict.fromkeys(others, TEXT)}
    revealed: dict[str, Revealed] = {}
    for number, text in enumerate(read_text(path).splitlines(), 1):
        where = f"{path}:{number}"
        content = as_json(text, shape, where, "a revealed truth")
        known = content[name]
        if known in revealed:
            raise BadInput(f"{where}: '{known}' is revealed twice")
        revealed[known] = Revealed(text, content, where)
    if not revealed:
        raise BadInput(f"{path}: reveals nothing")
    return revealed
