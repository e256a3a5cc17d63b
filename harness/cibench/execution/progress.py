"""How far a run is: rows, failures and seconds, for this terminal and for any other."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from cibench.storage import lock, note_shapes, object_store, shards
from cibench.storage.manifest import is_settled, read_catalogue, read_manifest
from cibench.storage.schema import IDENTITY
from cibench.storage.stops import summaries
from cibench.storage.undrawn import sentences
from cibench.suite.suite import Identity
from cibench.utils.addresses import is_url
from cibench.utils.errors import BadInput, Unwritable
from cibench.utils.files import write_text
from cibench.utils.foreign import own_file, read_json

SETTLED = 2.0
"""Seconds before which the first fits, which warm caches up, say nothing of the others."""


@dataclass(slots=True)  # a run may have 10^5 cells
class CellProgress:
    """Hold one cell's rows and failed fits, and the seconds that its blocks took here.

    `stopped` says why the cell has no more replicates, where precision decides; `undrawn` counts
    data sets that could not be drawn.
    """

    name: str
    identity: Identity
    total: int
    done: int = 0
    failures: int = 0
    rows: int = 0
    seconds: float = 0.0
    stopped: str = ""
    undrawn: int = 0


NOTED = tuple(each.name for each in fields(CellProgress))


@dataclass
class Progress:
    """Hold the progress of a run's cells; handed to the listener after every block.

    `cell` names the one that the last block was of. `total`, `done` and `failures` are those of all
    cells, summed as they come: a run may have 10^5 cells and as many blocks. What was stored before
    does not count for the rate.
    """

    cells: list[CellProgress]
    cell: str = ""
    started: float = field(default_factory=perf_counter)

    def __post_init__(self) -> None:
        self._sum()

    def _sum(self) -> None:
        self.total = self.done = self.failures = self._rows = self._waiting = 0
        self._busy = self._begun = 0.0
        for cell in self.cells:
            self._count(cell, 1)

    def _count(self, cell: CellProgress, sign: int) -> None:
        """Add a cell to the sums, or take it off again.

        What is left of a cell that has begun takes as long as it took until now, of others as rows.
        """
        self.total += sign * cell.total
        self.done += sign * cell.done
        self.failures += sign * cell.failures
        self._rows += sign * cell.rows
        self._busy += sign * cell.seconds
        left = cell.total - cell.done
        if cell.rows:
            self._begun += sign * left * cell.seconds / cell.rows
        else:
            self._waiting += sign * left

    def lengthen(self, totals: Sequence[int], stopped: Mapping[int, str] | None = None) -> None:
        """Take note of how many rows the cells are to have now, and which stopped and why."""
        for index, (cell, total) in enumerate(zip(self.cells, totals, strict=True)):
            cell.total, cell.stopped = total, (stopped or {}).get(index, "")
        self._sum()

    def add(
        self, place: int, rows: int, failures: int, seconds: float, total: int, undrawn: int
    ) -> None:
        """Count a block of the cell at a place; that is to have `total` rows by now."""
        cell = self.cells[place]
        self._count(cell, -1)
        cell.done += rows
        cell.failures += failures
        cell.rows += rows
        cell.seconds += seconds
        cell.total, cell.undrawn, self.cell = total, undrawn, cell.name
        self._count(cell, 1)

    @property
    def elapsed(self) -> float:
        """Return seconds since the clock started."""
        return max(perf_counter() - self.started, 1e-9)

    @property
    def rate(self) -> float:
        """Return rows a second since the clock started."""
        return self._rows / self.elapsed

    @property
    def left(self) -> float | None:
        """Return the seconds that the rest will take, None while nobody knows.

        Cells differ: each goes on at its own pace, one that has not begun at that of the others.
        """
        if not self._rows or self._busy <= 0 or self.elapsed < SETTLED:
            return None
        work = self._begun + self._waiting * self._busy / self._rows
        return max(0.0, work) / (self._busy / self.elapsed)


Listener = Callable[[Progress], object]


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
        with contextlib.suppress(Unwritable):
            write_text(self._run / STATUS, self._content(state), durable=False)

    def _content(self, state: str) -> Iterator[str]:
        """Yield the note in pieces, a cell each: 10^5 at once take 100 MB."""
        import psutil

        p = self._progress
        about = {
            "state": state, "process": os.getpid(), "host": socket.gethostname(),
            "process_started": psutil.Process().create_time(), "updated": time.time(),
            "done": p.done, "total": p.total, "failures": p.failures, "rate": p.rate,
            "left": p.left,
        }  # fmt: skip
        yield f'{json.dumps(about)[:-1]}, "cells": ['
        for place, cell in enumerate(p.cells):
            text = json.dumps({name: getattr(cell, name) for name in NOTED})
            yield f", {text}" if place else text
        yield "]}"


@dataclass(frozen=True)
class Status:
    """Say how far a run is.

    `state` is running, finished, interrupted, unfinished (scenarios could not draw data sets) or,
    where the process went without a word, killed. A run is running as long as a living process has
    its folder, also before its first rows. Of one of which that process has noted nothing yet, or
    that is not running, rows are those in the shards. `cells` hold name, total, done and failures;
    there are none where the run never wrote a note. `notes` say what could not be drawn, and who
    has stopped.
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
    notes: list[str] = field(default_factory=list)


def look(run: Path, place: str = "") -> Status:
    """Return how far the run in a folder is, which its user calls by a place: itself, or a URL.

    Raises BadInput where there is none.
    """
    manifest, note = read_manifest(run), _note(run)
    owner = object_store.owner(place) if is_url(place) else lock.owner(run)
    where = f"process {note['process']} on {note['host']}" if note else ""
    state, cells = note.get("state", "interrupted"), note.get("cells", [])
    current = state == "running" and (where == owner or (not owner and _goes_on(note, owner)))
    if current:
        done, rate, left = note["done"], note["rate"], note["left"]
    else:
        stored = _stored(run)
        done, rate, left = sum(stored.values()), 0.0, None
        whole = done == manifest["expected_rows"] and is_settled(manifest)
        state = _state(manifest, state, whole=whole, owned=bool(owner))
        for cell in cells:
            if "identity" in cell:  # as a note says it since shards have several cells
                cell["done"] = stored.get(tuple(cell["identity"]), 0)
    return Status(
        run, state, (owner or where) if state == "running" else where, done,
        manifest["expected_rows"], note.get("failures", 0), rate, left, cells,
        _notes(run, manifest, place),
    )  # fmt: skip


def _state(manifest: Mapping[str, Any], noted: str, *, whole: bool, owned: bool) -> str:
    """Return the state of a run whose note is not that of a process that runs it."""
    if whole:
        return "finished"
    if owned:
        return "running"
    if noted == "finished":
        return "unfinished" if manifest.get("undrawn") else "interrupted"
    return "killed" if noted == "running" else noted


def _goes_on(note: dict[str, Any], owner: str | None) -> bool:
    """Say whether the process of a note goes on, where no lock is known to be its own.

    Locks tell of this machine's processes; not every disk tells them of another machine's.
    """
    known = owner is not None and note["host"] == socket.gethostname()
    return not known and _alive(note)


def _notes(run: Path, manifest: Mapping[str, Any], place: str) -> list[str]:
    undrawn = manifest.get("undrawn") or ()
    lines = sentences(undrawn, place or run, read_catalogue(run)) if undrawn else []
    return [*lines, *summaries(manifest.get("stopped") or ())]


def _note(run: Path) -> dict[str, Any]:
    try:
        note: dict[str, Any] = read_json(own_file(run, STATUS), note_shapes.STATUS)
    except BadInput:  # none, or one of a disk that was full
        return {}
    return note


def _alive(note: dict[str, Any]) -> bool:
    """Say whether the process of a note goes on; of another machine's one knows its age only."""
    import psutil

    if note["host"] != socket.gethostname():
        return bool(time.time() - note["updated"] < 10 * EVERY + len(note["cells"]) / 50)
    try:
        started: float = psutil.Process(note["process"]).create_time()
        return abs(started - float(note["process_started"])) < 1
    except psutil.Error:
        return False


def _stored(run: Path) -> dict[Identity, int]:
    """Return the rows of each cell that the shards hold, but for refits; of bad shards none."""
    rows: dict[Identity, int] = {}
    for path in shards.paths(run):
        with contextlib.suppress(BadInput):
            table = shards.read(path, (*IDENTITY, "refit"), ("scenario", "dials", "parameters"))
            cells, codes = shards.identities(table)
            numbers = np.bincount(codes[table["refit"].to_numpy() == 0], minlength=len(cells))
            for cell, number in zip(cells, numbers.tolist(), strict=True):
                rows[cell] = rows.get(cell, 0) + number
    return rows
