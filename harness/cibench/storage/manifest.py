"""The run folder: suite, manifest, catalogue and shards of replicate rows, each put in place whole.

Nothing here needs the registry to be read again: a folder can be scored and reported for ever.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cibench.storage.lock import LOCK
from cibench.storage.schema import IDENTITY
from cibench.storage.shards import REPLICATES
from cibench.suite.suite import Suite
from cibench.utils.errors import BadInput
from cibench.utils.files import write_bytes, write_json, write_text
from cibench.utils.toml import read_toml, to_toml

FORMAT = 2
SUITE, MANIFEST, CATALOGUE, PUBLISHED = (
    "suite.toml", "manifest.json", "catalogue.json", "published.csv",
)  # fmt: skip
NOTES = (SUITE, MANIFEST, CATALOGUE, PUBLISHED)
"""The files in which a run says what it is."""


def holds_run(folder: Path) -> bool:
    """Say whether a run was begun in a folder."""
    return (folder / MANIFEST).exists()


def check_free(folder: Path) -> None:
    """Refuse a folder with something in it, or a path that is a file.

    What a run leaves that was killed while it laid out its folder is nothing.
    """
    if folder.is_file():
        raise BadInput(f"{folder} is a file, not a folder")
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    begun = {name for name in names if name in (*NOTES, REPLICATES) or name.startswith(".")}
    if names - begun or (names and LOCK not in names):
        raise BadInput(
            f"{folder} is not empty and not a run folder; name another with --out, or remove it"
        )


def write_notes(
    folder: Path, suite: Suite, before: Mapping[str, Any] | None, rows: Mapping[str, Any]
) -> None:
    """Write what the run says of itself: suite, catalogue and, last, the manifest.

    `before` is the manifest of a run that goes on, `rows` what it says of its rows.
    """
    from cibench.model.descriptions import describe
    from cibench.storage import provenance

    machine = provenance.machine()
    machines = before.get("machines", [_machine(before)]) if before else []
    manifest = {
        "format": FORMAT,
        "suite": suite.name,
        "seed": suite.seed,
        "replicates": max(suite.counts, default=0),
        "level": suite.level,
        "limits": limits(suite),
        "refits": list(suite.refits),
        "created": before["created"] if before else _now(),
        "finished": None,
        **rows,
        "protocol": provenance.protocol(suite),
        "versions": provenance.versions(suite.libraries),
        **machine,
        "machines": [*machines, *([] if machine in machines else [machine])],
        "sources": provenance.sources(suite),
        "declined": [refusal._asdict() for refusal in suite.refusals],
        **({"precision": suite.precision.spec, "cells": cells(suite)} if suite.precision else {}),
    }
    write_suite(folder, suite)
    write_json(folder / CATALOGUE, describe(suite.scenarios, suite.estimators))
    write_json(folder / MANIFEST, manifest)


def limits(suite: Suite) -> dict[str, float | None]:
    """Return what a fit may take, by the status of the rows of those that took more."""
    return {"timeout": suite.timeout, "memory": suite.memory}


def _machine(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {name: manifest[name] for name in ("platform", "python", "cpu_features")}


def write_suite(folder: Path, suite: Suite) -> None:
    """Write the suite as it is run, with the figures that it names, into a run folder."""
    if suite.published:
        write_bytes(folder / PUBLISHED, suite.published.read_bytes())
    write_text(folder / SUITE, _text_of(suite))
    if not suite.published:  # after the suite file that named it
        (folder / PUBLISHED).unlink(missing_ok=True)


def states_otherwise(folder: Path, suite: Suite) -> bool:
    """Say whether a run folder's suite file and figures are not what `write_suite` would write."""
    ours, figures = folder / PUBLISHED, None
    if suite.published:
        figures = suite.published.read_bytes()
    there = ours.read_bytes() if ours.is_file() else None
    return (folder / SUITE).read_text(encoding="utf-8") != _text_of(suite) or there != figures


def _text_of(suite: Suite) -> str:
    return to_toml({**suite.spec, "published": PUBLISHED}) if suite.published else suite.as_toml()


def cells(suite: Suite, stopped: Mapping[int, str] | None = None) -> list[dict[str, Any]]:
    """Return how many replicates each cell is to have and why it ends there, "" if it may not."""
    reasons = stopped or {}
    return [
        {
            **{name: cell.key[name] for name in IDENTITY},
            "replicates": n,
            "stopped": reasons.get(i, ""),
        }
        for i, (cell, n) in enumerate(zip(suite.cells, suite.counts, strict=True))
    ]


def note_cells(folder: Path, suite: Suite, stopped: Mapping[int, str], expected: int) -> None:
    """Note in the manifest what `cells` says, before rows are stored that rest on it."""
    entries = {
        "replicates": max(suite.counts, default=0), "expected_rows": expected,
        "cells": cells(suite, stopped),
    }  # fmt: skip
    write_json(folder / MANIFEST, {**read_manifest(folder), **entries})


def is_settled(manifest: Mapping[str, Any]) -> bool:
    """Say whether it is known how many replicates every cell is to have."""
    return all(cell["stopped"] for cell in manifest.get("cells", ()))


def close(folder: Path, rows: Mapping[str, Any]) -> None:
    """Note in the manifest what it says of rows and, if all are stored, that the run has ended."""
    manifest = {**read_manifest(folder), **rows}
    whole = manifest["stored_rows"] == manifest["expected_rows"] and is_settled(manifest)
    write_json(folder / MANIFEST, {**manifest, "finished": _now() if whole else None})


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest; raises BadInput where the folder is no run or one of a later format."""
    manifest = _read_json(folder, MANIFEST)
    if manifest.get("format", 0) > FORMAT:
        version = manifest.get("versions", {}).get("cibench", "another version")
        raise BadInput(f"{folder / MANIFEST}: written by cibench {version}, whose format is newer")
    return manifest


def read_suite(folder: Path) -> dict[str, Any]:
    """Return the content of the suite file as it ran; nothing where there is none."""
    path = folder / SUITE
    return read_toml(path)[0] if path.exists() else {}


def read_catalogue(folder: Path) -> dict[str, Any]:
    """Return the catalogue as it was when the suite ran."""
    return _read_json(folder, CATALOGUE)


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadInput(f"{folder} is not a run folder: it has no {name}") from error
    except (OSError, ValueError) as error:
        raise BadInput(f"{folder / name}: not readable: {error}") from error
    return content


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
