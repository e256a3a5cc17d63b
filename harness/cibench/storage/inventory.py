"""What a run folder holds: which fits are stored, and which rows do not stay."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cibench.model.types import Array
from cibench.storage import shards
from cibench.storage.changes import Change
from cibench.storage.handed_in import methods_of
from cibench.storage.schema import FINE
from cibench.storage.shards import Span
from cibench.storage.stops import FIRST, Starts, entry
from cibench.suite.suite import Entrant, Identity, Suite
from cibench.utils.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa

TEXTS = ("scenario", "dials", "parameters", "estimator", "options", "status")
ADDRESSES = (*TEXTS, "n", "replicate", "refit")


@dataclass(frozen=True, eq=False)
class Shard:
    """Hold where a shard is, of which cells, how many rows it has, and which do not stay.

    `stale` rows belong to another suite or other code, `again` rows are to be computed anew;
    `cells` are those of all but the stale ones. Where cells do not come in the suite's order,
    `order` has the rows so that they do.
    """

    path: Path
    cells: Span | None
    rows: int
    stale: Array
    again: Array
    order: Array | None = None


class Layout(NamedTuple):
    """Say where in one row of flags for all of a suite's fits those of each cell are.

    A cell's flags are entrant by entrant, and replicate by replicate; `begins` has the place of
    the first, `counts` how many replicates there are. `widths` are the rows of a fit, for each
    cell's entrants one after the other, whose places `entrants` has.
    """

    begins: Array
    counts: Array
    entrants: Array
    widths: Array

    @classmethod
    def of(cls, suite: Suite) -> Layout:
        """Return where the fits of a suite are."""
        counts = np.array(suite.counts, np.int64)
        widths = [cell.widths for cell in suite.cells]
        entrants = _begins(np.array([len(each) for each in widths], np.int64))
        begins = _begins(counts * np.diff(entrants))
        return cls(begins, counts, entrants, np.array([w for each in widths for w in each]))

    def views(self, flags: Array) -> list[Array]:
        """Return the flags of each cell, by entrant and replicate."""
        numbers = (self.begins[:-1], self.begins[1:], np.diff(self.entrants), self.counts)
        parts = zip(*(each.tolist() for each in numbers), strict=True)
        return [flags[begin:end].reshape(shape) for begin, end, *shape in parts]

    def rows(self, flags: Array) -> Array:
        """Return how many rows the fits that have flags have, by cell."""
        fits = _sums(flags, _begins(np.repeat(self.counts, np.diff(self.entrants))))
        return _sums(fits * self.widths, self.entrants)


def _begins(sizes: Array) -> Array:
    return np.concatenate([[0], np.cumsum(sizes)])


def _sums(values: Array, begins: Array) -> Array:
    """Return the sum of each stretch of values, as whole numbers; an empty one has 0."""
    sums = np.zeros(begins.size - 1, np.int64)
    filled = np.diff(begins) > 0
    if filled.any():
        sums[filled] = np.add.reduceat(values, begins[:-1][filled], dtype=np.int64)
    return sums


@dataclass(eq=False)
class Inventory:
    """Hold a folder's shards, the fits that are stored and what is wrong.

    `have` says for each cell, entrant and replicate whether the fit is stored; `failures` counts
    each cell's fits without an answer, and `starts` note how the first ended in cells where some
    failed: who raised one exception again and again is due no more fits there, but to
    `keep_going`. `changed` are the words for stale rows and how many there are, `damaged` the
    shards that cannot be read, with the reason.
    """

    suite: Suite
    keep_going: bool = False
    starts: dict[int, Starts] = field(default_factory=dict)
    shards: list[Shard] = field(default_factory=list)
    changed: Counter[str] = field(default_factory=Counter)
    damaged: dict[Path, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.handed_in = methods_of(self.suite)
        self.layout = Layout.of(self.suite)
        self.flags = np.zeros(self.layout.begins[-1], dtype=bool)
        self.have = self.layout.views(self.flags)
        self.failures = np.zeros(len(self.suite.cells), np.int64)

    def fill(self) -> None:
        """Take note that all fits were tried that are due until now."""
        stopped = {cell: self.have[cell] | self.due(cell) for cell in self._partial()}
        self.flags[:] = True
        for cell, tried in stopped.items():
            self.have[cell][:] = tried

    def due(self, cell: int) -> Array:
        """Return which fits of a cell, by entrant and replicate, are to be stored."""
        due = np.ones_like(self.have[cell])
        if not self.keep_going and cell in self.starts:
            due[self.starts[cell].stopped, FIRST:] = False
        due[self._handed_in(cell)] = False
        return due

    def _handed_in(self, cell: int) -> list[int]:
        """Return the places of a cell's entrants whose answers were imported: nothing is due."""
        if not self.handed_in:
            return []
        entrants = self.suite.cells[cell].entrants
        return [place for place, each in enumerate(entrants) if each.estimator in self.handed_in]

    def _partial(self) -> list[int]:
        """Return the cells in which not every fit is due, in order."""
        some = (cell for cell in range(len(self.suite.cells)) if self.handed_in)
        handed_in = {cell for cell in some if self._handed_in(cell)}
        return sorted({*self._stopping(), *handed_in})

    def note_start(self, cell: int, table: pa.Table) -> None:
        """Take note of how first fits of a cell ended, as rows of a block or a shard say it.

        Where none failed there is nothing to note: who has not failed from the first replicate on
        does not stop.
        """
        if "failed" in shards.coded(table, "status")[0]:
            known = self.suite.cells[cell]
            self.starts.setdefault(cell, Starts(len(known.entrants))).note(known, table)

    def _stopping(self) -> list[int]:
        """Return the cells in which somebody has stopped, in order."""
        if self.keep_going:
            return []
        return [cell for cell in sorted(self.starts) if self.starts[cell].stopped]

    @property
    def stops(self) -> list[dict[str, Any]]:
        """Return for a manifest who has stopped in which cell, and how many replicates are left."""
        entries = []
        for index in self._stopping():
            left = (~(self.have[index] | self.due(index))).sum(axis=1)
            left[self._handed_in(index)] = 0
            cell = self.suite.cells[index]
            entries += [entry(cell, int(e), int(left[e])) for e in np.flatnonzero(left)]
        return entries

    def grow(self, suite: Suite) -> None:
        """Take note that cells are to have more replicates."""
        before, self.suite = self.have, suite
        self.layout = Layout.of(suite)
        self.flags = np.zeros(self.layout.begins[-1], dtype=bool)
        self.have = self.layout.views(self.flags)
        for had, have in zip(before, self.have, strict=True):
            have[:, : had.shape[1]] = had

    @property
    def stored(self) -> list[int]:
        """Return for each cell how many of its rows are stored, not counting refits."""
        rows: list[int] = self.layout.rows(self.flags).tolist()
        return rows

    @property
    def expected(self) -> list[int]:
        """Return for each cell how many rows it has once all is stored, not counting refits."""
        layout = self.layout
        rows: list[int] = (_sums(layout.widths, layout.entrants) * layout.counts).tolist()
        for cell in self._partial():
            rows[cell] = self.expected_of(cell)
        return rows

    def expected_of(self, cell: int) -> int:
        """Return how many rows a cell has once all is stored, not counting refits."""
        fits = (self.have[cell] | self.due(cell)).sum(axis=1)
        return int(fits @ np.array(self.suite.cells[cell].widths))

    def stopped(self, cell: int) -> list[Entrant]:
        """Return who has no more fits in a cell: stopped there, or not to be asked at all."""
        places = self._handed_in(cell)
        if not self.keep_going and cell in self.starts:
            places = sorted({*places, *self.starts[cell].stopped})
        return [self.suite.cells[cell].entrants[entrant] for entrant in places]

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


class Located(NamedTuple):
    """Say where the rows of a table belong: each one's cell and entrant, -1 for none of the suite.

    `cells` are the identities of the cells, `codes` the place of each row's among them.
    """

    cells: list[Identity]
    codes: Array
    cell: Array
    entrant: Array

    def in_order(self, replicate: Array) -> Array | None:
        """Return an order by cell, replicate and entrant; None where rows have it already."""
        if shards.ascend(self.cell, replicate, self.entrant):
            return None
        return np.lexsort((self.entrant, replicate, self.cell))


def locate(suite: Suite, table: pa.Table) -> Located:
    """Say where the rows of a table belong in a suite."""
    cells, codes = shards.identities(table)
    places = [suite.places.get(cell, -1) for cell in cells]
    kinds: dict[tuple[Entrant, ...], int] = {}
    kind = [
        kinds.setdefault(suite.cells[place].entrants, len(kinds)) if place >= 0 else -1
        for place in places
    ]
    own, entrant = np.array(kind, np.int64)[codes], np.full(codes.size, -1)
    for entrants, number in kinds.items():
        entrant = np.where(own == number, shards.places(table, entrants), entrant)
    return Located(cells, codes, np.array(places, np.int64)[codes], entrant)


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
    inventory = Inventory(suite, keep_going)
    for path in shards.paths(run):
        try:
            _enter(inventory, path, shards.read(path, ADDRESSES, TEXTS), changes, redo)
        except BadInput as error:
            inventory.damaged[path] = str(error)
    inventory.changed += Counter()  # without what concerns no row
    return inventory


def _title(identity: Identity) -> str:
    scenario, dials, n, parameters = identity
    values = {**json.loads(dials), **json.loads(parameters)}
    return f"{scenario} n={n} " + " ".join(f"{k}={v}" for k, v in values.items())


def _enter(
    inventory: Inventory, path: Path, table: pa.Table, changes: Sequence[Change], redo: Redo
) -> None:
    """Note which fits a shard holds; raises BadInput where one is there twice."""
    if not table.num_rows:
        raise BadInput(f"{path}: not readable: it holds no rows")
    place, replicate = locate(inventory.suite, table), table["replicate"].to_numpy()
    stale = _mark(inventory, table, changes)
    stale |= _unasked(inventory, table, place, stale)
    live = np.flatnonzero(~stale)
    fits = _Fits.of(inventory, path, table, place, live)
    status = shards.texts(table, "status")[live]
    again = np.isin(status, list(redo.statuses)) | (replicate[live] < redo.replicates)
    again &= ~_handed_in(inventory, table)[live]
    again = fits.whole(again | fits.partial)
    stays = live[~again]
    inventory.flags[fits.fit[~again]] = True
    _note_starts(inventory, path, table, place.cell, stays)
    lost = ~again & ~np.isin(status, FINE)
    cells, refits = place.cell[live][lost], table["refit"].to_numpy()[live][lost]
    each = np.unique(np.stack([cells, fits.fit[lost], refits]), axis=1)[0]
    np.add.at(inventory.failures, each, 1)
    leaves = np.zeros(table.num_rows, bool)
    leaves[live[again]] = True
    cells = place.cell[live]
    span = Span(int(cells.min()), int(cells.max())) if live.size else None
    order = None if shards.ascend(cells) else np.argsort(place.cell, kind="stable").astype(np.int32)
    inventory.shards.append(Shard(path, span, table.num_rows, stale, leaves, order))


def _unasked(inventory: Inventory, table: pa.Table, place: Located, stale: Array) -> Array:
    """Say which rows the suite does not ask for, and count them under the words for it."""
    suite, counts = inventory.suite, inventory.layout.counts
    strange = place.cell < 0
    numbers = np.bincount(place.codes[strange & ~stale], minlength=len(place.cells))
    for code in np.flatnonzero(numbers):
        inventory.changed[f"{_title(place.cells[code])} is not in the suite"] += int(numbers[code])
    foreign = ~strange & (place.entrant < 0)
    here, names = foreign & ~stale, shards.texts(table, "estimator")
    for cell, name in zip(place.cell[here].tolist(), names[here], strict=True):
        words = f"{name} with its options is not in the suite for {suite.cells[cell]}"
        inventory.changed[words] += 1
    most = np.where(strange, 0, counts[place.cell])
    beyond = ~strange & ~foreign & (table["replicate"].to_numpy() >= most)
    for count in np.unique(most[beyond & ~stale]):
        number = int((beyond & ~stale & (most == count)).sum())
        inventory.changed[f"replicates beyond the suite's {count}"] += number
    unasked: Array = strange | foreign | beyond
    return unasked


class _Fits(NamedTuple):
    """Say which fit some rows belong to, by its flag's place, and which have a part of one only."""

    fit: Array
    number: Array
    partial: Array

    @classmethod
    def of(
        cls, inventory: Inventory, path: Path, table: pa.Table, place: Located, rows: Array
    ) -> _Fits:
        """Return this for some rows of a shard; raises BadInput for what is stored already."""
        layout, cell, entrant = inventory.layout, place.cell[rows], place.entrant[rows]
        replicate = table["replicate"].to_numpy()[rows]
        fit = layout.begins[cell] + entrant * layout.counts[cell] + replicate
        fits, number = np.unique(fit, return_inverse=True)
        first = table["refit"].to_numpy()[rows] == 0
        counts = np.bincount(number, first, minlength=fits.size)
        due = layout.widths[layout.entrants[cell] + entrant]
        if (counts[number] > due).any() or (inventory.flags[fits] & (counts > 0)).any():
            raise BadInput(f"{path}: not readable: it holds rows that are stored already")
        return cls(fit, number, counts[number] < due)

    def whole(self, marked: Array) -> Array:
        """Return the rows of all fits of which one is marked: a part of a fit is none."""
        numbers = np.zeros(self.number.max(initial=-1) + 1, bool)
        numbers[self.number[marked]] = True
        return numbers[self.number]


def _note_starts(
    inventory: Inventory, path: Path, table: pa.Table, cell: Array, stays: Array
) -> None:
    """Note how a shard's first fits ended, with their reasons where some failed."""
    early = stays[table["replicate"].to_numpy()[stays] < FIRST]
    failed = shards.texts(table, "status")[early] == "failed"
    if not failed.any():
        return
    early = early[np.isin(cell[early], cell[early][failed])]
    reasons = shards.read(path, ["reason"])["reason"]
    for index, rows in _by_cell(cell, early):
        some = table.append_column("reason", reasons).take(rows)
        inventory.note_start(index, some)


def _by_cell(cell: Array, rows: Array) -> Iterator[tuple[int, Array]]:
    """Yield each cell that rows are of, and these."""
    ordered = rows[np.argsort(cell[rows], kind="stable")]
    cuts = np.flatnonzero(np.diff(cell[ordered])) + 1
    for part in np.split(ordered, cuts):
        yield int(cell[part[0]]), part


def _handed_in(inventory: Inventory, table: pa.Table) -> Array:
    """Say which rows are of methods whose answers were imported, which nobody computes again."""
    if not inventory.handed_in:
        return np.zeros(table.num_rows, dtype=bool)
    return np.isin(shards.texts(table, "estimator"), sorted(inventory.handed_in))


def _mark(inventory: Inventory, table: pa.Table, changes: Sequence[Change]) -> Array:
    """Say which rows the changes concern, and count them under each."""
    stale = np.zeros(table.num_rows, dtype=bool)
    for change in changes:
        hit = np.ones_like(stale)
        if not change.data:
            hit &= ~_handed_in(inventory, table)
        if change.scenario is not None:
            hit &= shards.texts(table, "scenario") == change.scenario
        if change.estimators is not None:
            hit &= np.isin(shards.texts(table, "estimator"), list(change.estimators))
        inventory.changed[change.text] += int(hit.sum())
        stale |= hit
    return stale
