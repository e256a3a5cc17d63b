"""Reveal the sealed truths, and verify what was revealed against a bundle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cibench.commitment import fingerprint
from cibench.errors import BadInput, unknown
from cibench.files import write_atomically
from cibench.vendor.owner import DATA, Owner, read_commitments


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
