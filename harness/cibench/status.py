"""How far a run is, for another terminal: a small file beside its rows, and what it says."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cibench import store
from cibench.errors import BadInput
from cibench.files import write_atomically
from cibench.progress import Progress
from cibench.storage import shards

STATUS = ".status.json"
EVERY = 2.0
"""Seconds between two notes; a note of many cells is written less often."""


class Watch:
    """Write down now and then how far a run is."""

    def __init__(self, run: Path, progress: Progress) -> None:
        self._run, self._progress = run, progress
        self._next = 0.0

    def note(self, state: str, at_once: bool = False) -> None:
        """Write the note if it is time; a full disk does not stop what is only a note."""
        now = time.monotonic()
        if now < self._next and not at_once:
            return
        self._next = now + max(EVERY, len(self._progress.cells) / 500)
        text = json.dumps(self._said(state))
        with contextlib.suppress(OSError):
            write_atomically(self._run / STATUS, lambda p: p.write_text(text, encoding="utf-8"))

    def _said(self, state: str) -> dict[str, Any]:
        import psutil

        p = self._progress
        return {
            "state": state, "process": os.getpid(), "host": socket.gethostname(),
            "process_started": psutil.Process().create_time(), "updated": time.time(),
            "done": p.done, "total": p.total, "failures": p.failures, "rate": p.rate,
            "left": p.left, "cells": [asdict(cell) for cell in p.cells],
        }  # fmt: skip


@dataclass(frozen=True)
class Status:
    """Say how far a run is.

    `state` is running, finished, interrupted or, where the process went without a word, killed.
    Of a run that is not running, rows are those in the shards. `cells` hold name, total, done and
    failures; there are none where the run never wrote a note.
    """

    run: Path
    state: str
    where: str
    done: int
    total: int
    failures: int
    rate: float
    left: float | None
    cells: list[dict[str, Any]]


def look(run: Path) -> Status:
    """Return how far the run in a folder is; raises BadInput where there is none."""
    manifest, said = store.read_manifest(run), _note(run)
    state, done = said.get("state", "interrupted"), said.get("done", 0)
    if state == "running" and not _alive(said):
        state = "killed"
    cells = said.get("cells", [])
    if state != "running":
        stored = _stored(run)
        done = sum(stored.values())
        whole = done == manifest["expected_rows"] and store.is_settled(manifest)
        state = "finished" if whole else "interrupted" if state == "finished" else state
        for index, cell in enumerate(cells):
            cell["done"] = stored.get(index, 0)
    where = f"process {said.get('process')} on {said.get('host')}" if said else ""
    return Status(
        run, state, where, done, manifest["expected_rows"], said.get("failures", 0),
        said.get("rate", 0.0), said.get("left"), cells,
    )  # fmt: skip


def _note(run: Path) -> dict[str, Any]:
    try:
        said: dict[str, Any] = json.loads((run / STATUS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return said


def _alive(said: dict[str, Any]) -> bool:
    """Say whether the process of a note goes on; of another machine's one knows its age only."""
    import psutil

    if said["host"] != socket.gethostname():
        return bool(time.time() - said["updated"] < 10 * EVERY + len(said["cells"]) / 50)
    try:
        started: float = psutil.Process(said["process"]).create_time()
        return abs(started - float(said["process_started"])) < 1
    except psutil.Error:
        return False


def _stored(run: Path) -> dict[int, int]:
    """Return the rows of each cell that the shards hold, but for refits; of bad shards none."""
    rows: dict[int, int] = {}
    for path in shards.paths(run):
        with contextlib.suppress(BadInput, ValueError, IndexError):
            cell, refits = int(path.stem.split("-")[1]), shards.read(path, ["refit"])["refit"]
            rows[cell] = rows.get(cell, 0) + int((refits.to_numpy() == 0).sum())
    return rows
