"""Who has stopped in a cell: its first fits there raised one exception again and again.

Whether an estimator stops rests on the rows of the first replicates of that cell alone, never on
when they were made: serial, parallel, resumed, reordered and extended runs stop alike. It has rows
of those replicates and of no later one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.render.numbers import count
from cibench.storage import shards
from cibench.storage.schema import IDENTITY

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from cibench.suite.suite import Cell

FIRST = 10
"""After so many identical exceptions, from the first replicate on, an estimator stops in a cell."""

OTHER = "other"
"""Stands for whatever is no exception, and for a fit whose targets failed in several ways."""

_PLACE = re.compile(r" \(([^()]+:\d+)\)$")


def alike(status: str, reason: str | None) -> str | None:
    """Return what identical exceptions share, their type and their place; None for what is none.

    The message may differ from data set to data set. A failure that names no place in the code, as
    an answer of the wrong type, is identical where its words are.
    """
    if status != "failed" or not reason:
        return None
    place = _PLACE.search(reason)
    return f"{reason.split(':', 1)[0].split(' (', 1)[0]} ({place[1]})" if place else reason


class Starts:
    """Note how the first fits of a cell's entrants ended."""

    def __init__(self, entrants: int) -> None:
        self._kinds = np.full((entrants, FIRST), "", dtype=object)

    @property
    def stopped(self) -> list[int]:
        """Return the places of the entrants that stop after their first fits."""
        return [
            place for place, (first, *others) in enumerate(self._kinds)
            if first not in ("", OTHER) and all(kind == first for kind in others)
        ]  # fmt: skip

    def note(self, cell: Cell, table: pa.Table) -> None:
        """Take note of rows of the cell, as of a block or a shard."""
        import pyarrow.compute as pc

        early = pc.and_(pc.less(table["replicate"], FIRST), pc.equal(table["refit"], 0))
        table = table.filter(early)
        if not table.num_rows:
            return
        entrants = shards.places(table, cell.entrants)
        names = ("replicate", "status", "reason")
        rows = zip(entrants, *(table[name].to_pylist() for name in names), strict=True)
        for entrant, replicate, status, reason in rows:
            if entrant >= 0:
                kind, before = alike(status, reason) or OTHER, self._kinds[entrant, replicate]
                self._kinds[entrant, replicate] = kind if before in ("", kind) else OTHER


def entry(cell: Cell, entrant: int, left_out: int) -> dict[str, Any]:
    """Return what a manifest says of an entrant that has no rows of so many replicates."""
    estimator, options = cell.entrants[entrant]
    return {
        **{name: cell.key[name] for name in IDENTITY},
        "estimator": estimator, "options": options, "left_out": left_out,
    }  # fmt: skip


SENTENCE = "stopped after ten identical exceptions"


def with_stops(notes: pd.DataFrame, stops: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return a table of notes on cells' estimators in which those of the stopped ones say so."""
    keys = (*IDENTITY, "estimator", "options")
    stopped = {tuple(stop[key] for key in keys) for stop in stops}
    if not stopped:
        return notes
    rows = zip(notes["note"], *(notes[key] for key in keys), strict=True)
    texts = [
        f"{note}; {SENTENCE}" if note and tuple(key) in stopped else note for note, *key in rows
    ]
    return notes.assign(note=texts)


def summaries(stops: Iterable[Mapping[str, Any]]) -> list[str]:
    """Say who stopped in how many cells, a line for each estimator."""
    left: dict[str, list[int]] = {}
    for stop in stops:
        left.setdefault(stop["estimator"], []).append(stop["left_out"])
    return [
        f"{name} {SENTENCE} in {count(len(numbers), 'cell')}: {count(sum(numbers), 'fit')} not made"
        for name, numbers in left.items()
    ]
