"""What a run folder holds: which fits are stored, and which rows do not stay."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cibench.model.types import Array
from cibench.storage import shards
from cibench.storage.changes import Change
from cibench.storage.schema import FINE, IDENTITY
from cibench.storage.stops import FIRST, Starts, entry
from cibench.suite.suite import Cell, Entrant, Suite
from cibench.utils.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa

TEXTS = ("estimator", "options", "status")
ADDRESSES = (*IDENTITY, *TEXTS, "replicate", "refit")


@dataclass(frozen=True, eq=False)
class Shard:
    """Hold where a shard is, how many rows it has, and which do not stay.

    `stale` rows belong to another suite or other code, `again` rows are to be computed anew.
    """

    path: Path
    cell: int | None
    rows: int
    stale: Array
    again: Array


@dataclass(eq=False)
class Inventory:
    """Hold a folder's shards, the fits that are stored and what is wrong.

    `have` says for each cell, entrant and replicate whether the fit is stored; `failures` counts
    each cell's fits without an answer, and `starts` note how the first ended: who raised one
    exception again and again is due no more fits there, but to `keep_going`. `changed` are the
    words for stale rows and how many there are, `damaged` the shards that cannot be read, with the
    reason.
    """

    suite: Suite
    have: list[Array]
    failures: list[int]
    starts: list[Starts]
    keep_going: bool = False
    shards: list[Shard] = field(default_factory=list)
    changed: Counter[str] = field(default_factory=Counter)
    damaged: dict[Path, str] = field(default_factory=dict)

    @classmethod
    def empty(cls, suite: Suite, *, keep_going: bool = False) -> Inventory:
        """Return the inventory of a folder that holds nothing."""
        counts = zip(suite.cells, suite.counts, strict=True)
        sizes = [(len(cell.entrants), count) for cell, count in counts]
        have = [np.zeros(size, dtype=bool) for size in sizes]
        starts = [Starts(entrants) for entrants, _ in sizes]
        return cls(suite, have, [0] * len(sizes), starts, keep_going)

    def fill(self) -> None:
        """Take note that all fits were tried that are due until now."""
        for index in range(len(self.have)):
            self.have[index] |= self.due(index)

    def due(self, cell: int) -> Array:
        """Return which fits of a cell, by entrant and replicate, are to be stored."""
        due = np.ones_like(self.have[cell])
        if not self.keep_going:
            due[self.starts[cell].stopped, FIRST:] = False
        return due

    @property
    def stops(self) -> list[dict[str, Any]]:
        """Return for a manifest who has stopped in which cell, and how many replicates are left."""
        entries = []
        for index, cell in enumerate(self.suite.cells):
            left = (~(self.have[index] | self.due(index))).sum(axis=1)
            entries += [entry(cell, int(e), int(left[e])) for e in np.flatnonzero(left)]
        return entries

    def grow(self, suite: Suite) -> None:
        """Take note that cells are to have more replicates."""
        for index, count in enumerate(suite.counts):
            before = self.have[index]
            self.have[index] = np.zeros((before.shape[0], count), dtype=bool)
            self.have[index][:, : before.shape[1]] = before
        self.suite = suite

    @property
    def stored(self) -> list[int]:
        """Return for each cell how many of its rows are stored, not counting refits."""
        return [
            int(have.sum(axis=1) @ rows_of(cell))
            for have, cell in zip(self.have, self.suite.cells, strict=True)
        ]

    @property
    def expected(self) -> list[int]:
        """Return for each cell how many rows it has once all is stored, not counting refits."""
        return [self.expected_of(index) for index in range(len(self.have))]

    def expected_of(self, cell: int) -> int:
        """Return how many rows a cell has once all is stored, not counting refits."""
        fits = (self.have[cell] | self.due(cell)).sum(axis=1)
        return int(fits @ rows_of(self.suite.cells[cell]))

    def stopped(self, cell: int) -> list[Entrant]:
        """Return who has stopped in a cell."""
        stopped = [] if self.keep_going else self.starts[cell].stopped
        return [self.suite.cells[cell].entrants[entrant] for entrant in stopped]

    def missing(
        self, cell: int, start: int = 0, stop: int | None = None
    ) -> Iterable[tuple[int, int, Array]]:
        """Yield the first replicate, the number of replicates and the entrants that lack them.

        Only replicates from `start` on are looked at, and of these only those before `stop`.
        """
        lacking = (self.due(cell) & ~self.have[cell])[:, start:stop]
        cuts = np.flatnonzero((lacking[:, 1:] != lacking[:, :-1]).any(axis=0)) + 1
        for first, end in zip((0, *cuts), (*cuts, lacking.shape[1]), strict=True):
            if lacking[:, first : first + 1].any():
                yield start + int(first), int(end - first), np.flatnonzero(lacking[:, first])


def rows_of(cell: Cell) -> Array:
    """Return how many rows a fit of each entrant has."""
    return np.array([len(cell.targets_of(e.estimator)) for e in cell.entrants])


class Redo(NamedTuple):
    """Say which rows are to be computed again: of some statuses, or of the first replicates."""

    statuses: frozenset[str] = frozenset()
    replicates: int = 0


def take(
    run: Path, suite: Suite, changes: Sequence[Change], redo: Redo, *, keep_going: bool = False
) -> Inventory:
    """Read the addresses of all stored rows and return what is there.

    Rows that `changes` concern or that the suite does not ask for are stale.
    """
    inventory = Inventory.empty(suite, keep_going=keep_going)
    cells = {_identity(cell.key): index for index, cell in enumerate(suite.cells)}
    for path in shards.paths(run):
        try:
            table = shards.read(path, ADDRESSES, TEXTS)
            index = cells.get(identity := _own_identity(path, table))
            concerned = [c for c in changes if c.scenario in (None, identity[0])]
            if index is None:
                stale = _mark(inventory, table, concerned)
                inventory.changed[f"{_title(identity)} is not in the suite"] += int((~stale).sum())
                everything = np.ones(table.num_rows, bool)
                inventory.shards.append(Shard(path, None, table.num_rows, everything, ~everything))
            else:
                _enter(inventory, path, index, table, concerned, redo)
        except BadInput as error:
            inventory.damaged[path] = str(error)
    inventory.changed += Counter()  # without what concerns no row
    return inventory


def _identity(key: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(key[name] for name in IDENTITY)


def _own_identity(path: Path, table: pa.Table) -> tuple[Any, ...]:
    values = [table[name].unique().to_pylist() for name in IDENTITY]
    if any(len(distinct) != 1 for distinct in values):
        raise BadInput(f"{path}: not readable: it does not hold the rows of one cell")
    return tuple(distinct[0] for distinct in values)


def _title(identity: tuple[Any, ...]) -> str:
    scenario, dials, n, parameters = identity
    values = {**json.loads(dials), **json.loads(parameters)}
    return f"{scenario} n={n} " + " ".join(f"{k}={v}" for k, v in values.items())


def _enter(
    inventory: Inventory, path: Path, index: int, table: pa.Table, changes: Sequence[Change],
    redo: Redo,
) -> None:  # fmt: skip
    """Note which of the cell's fits a shard holds; raises BadInput where one is there twice."""
    cell, have = inventory.suite.cells[index], inventory.have[index]
    stale = _mark(inventory, table, changes)
    entrant, replicate = shards.places(table, cell.entrants), table["replicate"].to_numpy()
    names = shards.texts(table, "estimator")
    for name in set(names[entrant < 0]):
        foreign = (entrant < 0) & (names == name) & ~stale
        inventory.changed[f"{name} with its options is not in the suite for {cell}"] += (
            foreign.sum()
        )
    beyond = (replicate >= have.shape[1]) & (entrant >= 0) & ~stale
    inventory.changed[f"replicates beyond the suite's {have.shape[1]}"] += int(beyond.sum())
    stale |= (entrant < 0) | beyond
    fits = np.where(stale, 0, entrant * have.shape[1] + replicate)
    first = ~stale & (table["refit"].to_numpy() == 0)
    counts = np.bincount(fits[first], minlength=have.size)
    due = np.repeat(rows_of(cell), have.shape[1])
    if (counts > due).any() or (have.ravel() & (counts > 0)).any():
        raise BadInput(f"{path}: not readable: it holds rows that are stored already")
    status = shards.texts(table, "status")
    again = ~stale & (np.isin(status, list(redo.statuses)) | (replicate < redo.replicates))
    again |= ~stale & (counts < due)[fits]  # a part of a fit is none
    again |= ~stale & np.isin(fits, fits[again])  # and neither are its refits
    stays = ~stale & ~again
    have.ravel()[fits[stays]] = True
    _note_starts(inventory, path, index, table, stays)
    lost = np.stack([fits, table["refit"].to_numpy()])[:, stays & ~np.isin(status, FINE)]
    inventory.failures[index] += np.unique(lost, axis=1).shape[1]
    inventory.shards.append(Shard(path, index, table.num_rows, stale, again))


def _note_starts(
    inventory: Inventory, path: Path, index: int, table: pa.Table, stays: Array
) -> None:
    """Note how a shard's first fits ended, with their reasons where some failed."""
    early = stays & (table["replicate"].to_numpy() < FIRST)
    if (shards.texts(table, "status")[early] == "failed").any():
        reasons = shards.read(path, ["reason"])["reason"]
        rows = table.append_column("reason", reasons).filter(early)
        inventory.starts[index].note(inventory.suite.cells[index], rows)


def _mark(inventory: Inventory, table: pa.Table, changes: Sequence[Change]) -> Array:
    """Say which rows the changes concern, and count them under each."""
    names, stale = shards.texts(table, "estimator"), np.zeros(table.num_rows, dtype=bool)
    for change in changes:
        hit = np.ones_like(stale)
        if change.estimators is not None:
            hit = np.isin(names, list(change.estimators))
        inventory.changed[change.text] += int(hit.sum())
        stale |= hit
    return stale
