"""Data twins in a suite: `scenario = "twin:ota.twin"`, a path relative to the suite."""

from __future__ import annotations

from pathlib import Path

from cibench.errors import BadInput
from cibench.table import Table

TWIN = "twin:"
"""What a scenario's name begins with where the rest is the path of a data twin."""


def with_twins(table: Table, folder: Path) -> tuple[Table, list[str]]:
    """Return the suite with data twins called by their scenario's name, and their files.

    The name holds the twin's digest: wherever the file lies, its data have one address.
    """
    cells, files = table.content.get("cells"), []
    if not isinstance(cells, list) or not all(isinstance(c, dict) for c in cells):
        return table, []
    renamed = []
    for number, cell in enumerate(cells, 1):
        entry = Table(cell, table.where, f"cells[{number}].")
        given = entry.content.get("scenario")
        names = entry.strings("scenario", []) if given else []
        if any(name.startswith(TWIN) for name in names):
            named = [_twin(entry, name, folder) for name in names]
            files += [file for _, file in named if file]
            cell = {**cell, "scenario": [name for name, _ in named]}  # noqa: PLW2901
        renamed.append(cell)
    return Table({**table.content, "cells": renamed}, table.where), files


def _twin(table: Table, name: str, folder: Path) -> tuple[str, str]:
    """Return a scenario's name and, if it is a twin, its file."""
    if not name.startswith(TWIN):
        return name, ""
    from cibench.twins.scenarios import register_twin

    path = str((folder / name.removeprefix(TWIN)).resolve())
    try:
        return register_twin(path).name, path
    except BadInput as error:
        raise table.bad("scenario", error) from error
