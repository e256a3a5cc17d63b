"""Run what the suite `quirks` states to be equal of the estimators of one plug-in file.

`python identities.py estimators/FILE.py`: the tables of the suite in which an identity of theirs
stands are judged as `cibench check --expect` does, with these estimators and one other of each.
The exit code is 1 where two methods differ that theory makes equal, 2 where there is no identity.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from cibench.execution.settings import RunSettings
from cibench.gate.expectations import check_expectations
from cibench.model import registry
from cibench.suite.parse import find_suite, parse_suite
from cibench.utils.errors import BadInput

REPLICATES, EVERYWHERE = 2, 4
"""Data sets of a table, and tables in which what holds everywhere is looked at."""


def registered_by(file: str) -> set[str]:
    """Return the names of the estimators that a plug-in file registers."""
    path = Path(file).resolve()
    entries = registry.entries("estimator").items()
    return {name for name, entry in entries if entry.path and entry.path.resolve() == path}


def tables(spec: Mapping[str, Any], names: set[str]) -> Iterator[dict[str, Any]]:
    """Yield the suite's tables cut to the identities that hold some of the names."""
    everywhere = _about(spec.get("equal", ()), names)
    left = EVERYWHERE
    for table in spec["cells"]:
        own = _about(table.get("equal", ()), names)
        general = everywhere if left and not own else []
        stated = [*own, *general]
        members = [name for name in table["estimators"] if _in_some(name, stated, names, table)]
        if len(members) < 2 or not any(name in names for name in members):
            continue
        left -= bool(general)
        options = {k: v for k, v in table.get("options", {}).items() if k in members}
        cut = [{**each, "methods": _within(each, members)} for each in stated]
        equal = [each for each in cut if len(each["methods"]) > 1]
        yield {**table, "estimators": members, "options": options, "equal": equal}


def _about(stated: Any, names: set[str]) -> list[dict[str, Any]]:
    return [e for e in stated if any(_among(name, e["methods"]) for name in names)]


def _within(stated: Mapping[str, Any], members: list[str]) -> list[str]:
    return [name for name in members if _among(name, stated["methods"])]


def _in_some(
    name: str, stated: list[dict[str, Any]], names: set[str], table: Mapping[str, Any]
) -> bool:
    """Say whether a method is one of the file's, or the first other that one should equal."""
    for each in stated:
        there = _within(each, table["estimators"])
        others = [other for other in there if other not in names]
        if name in there and (name in names or name in others[:1]):
            return True
    return False


def _among(name: str, globs: Any) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def main(file: str) -> int:
    """Judge the identities of a file's estimators; print each that does not hold."""
    spec = find_suite("quirks").spec
    cells = list(tables(spec, registered_by(file)))
    if not cells:
        print(f"Error: the suite quirks states no identity of {file}", file=sys.stderr)
        return 2
    top = {key: value for key, value in spec.items() if key != "equal"}
    suite = parse_suite({**top, "cells": cells, "replicates": REPLICATES})
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "check"
        settings = RunSettings(workers=1)
        judged = check_expectations(suite, out, settings, replicates=REPLICATES)
        wrong = [row for row in judged.equalities if row["verdict"] in judged.failing]
    for row in wrong:
        about = f"{row['estimator']} and {row['other']} on {row['scenario']}"
        print(f"FAILED {about} - {row['quantity']}: {row['verdict']}")
    return int(bool(wrong))


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except BadInput as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
