"""Open a run folder to store rows in it: a new one, or one that goes on where it stopped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cibench.model import registry
from cibench.storage import handed_in, made_elsewhere, manifest
from cibench.storage.changes import changes
from cibench.storage.imported import Imported, Record, still_so
from cibench.storage.inventory import Inventory, Redo, take
from cibench.storage.lock import check_held, locked
from cibench.storage.schema import IDENTITY
from cibench.storage.shards import REPLICATES
from cibench.storage.tidy import clear_leftovers, in_place, tidy
from cibench.storage.undrawn import Faults, entries
from cibench.suite.precision import FIRST_LOOK, first, most
from cibench.suite.suite import NO_REFITS, Refits, Suite
from cibench.utils.errors import BadInput
from cibench.utils.foreign import own_file

EXCHANGED = "changed while it ran"
"""What the manifest has for the digest of data of which nobody knows which rows are of which."""

WORDS = 6
"""How many changes are named; the others are counted."""


@dataclass(frozen=True, eq=False)
class Session:
    """Hold a run folder that is ours: what it holds, and what it said of itself before.

    What is entered into `locks` is let go when the session ends. `imported` gathers what the rows
    rest on, `handed_in` is what the manifest is to say of methods whose answers were handed in.
    """

    run: Path
    inventory: Inventory
    before: Mapping[str, Any] | None
    locks: ExitStack
    imported: Record
    handed_in: Mapping[str, Any] = field(default_factory=dict)

    @property
    def suite(self) -> Suite:
        """Return the suite, with as many replicates of each cell as it is to have for now."""
        return self.inventory.suite

    @property
    def complete(self) -> bool:
        """Say whether all is there, in place and noted, so that nothing is to be written."""
        stored, expected = sum(self.inventory.stored), sum(self.inventory.expected)
        tidy_already = not self.inventory.changed and not self.inventory.damaged
        return (
            tidy_already and stored == expected and self._noted(stored) and self._settled
            and in_place(self.run, self.inventory.shards)
        )  # fmt: skip

    def _noted(self, stored: int) -> bool:
        """Say whether the manifest says of the rows what there is: a kill may have come first."""
        before = self.before or {}
        return bool(
            before.get("finished") and before.get("stored_rows") == stored
            and before.get("expected_rows") == stored
            and before.get("stopped", []) == self.inventory.stops
        )  # fmt: skip

    @property
    def _settled(self) -> bool:
        precision, before = self.suite.precision, self.before or {}
        if precision is None:
            return True
        return bool(before.get("precision") == precision.spec and manifest.is_settled(before))

    def check_held(self) -> None:
        """Raise BadInput where another run has taken the folder, as while this one slept."""
        check_held(self.run)

    def restate(self) -> None:
        """Keep the suite as it is today, where it says something else of rows that are all there.

        What is expected and how methods are ranked are no part of a row, and tables read them here.
        What a killed process left goes.
        """
        clear_leftovers(self.run)
        if manifest.states_otherwise(self.run, self.suite):
            manifest.write_suite(self.run, self.suite)
        order = manifest.entrants(self.suite)
        if (self.before or {}).get("entrants") != order:
            manifest.note(self.run, {"entrants": order})

    def lengthen(self, lengths: Sequence[int], stopped: Mapping[int, str]) -> None:
        """Let cells have that many replicates, none fewer than until now."""
        self.inventory.grow(self.suite.with_lengths(lengths))
        manifest.note_cells(self.run, self.suite, stopped, sum(self.inventory.expected))

    def note_imported(self, imported: Imported) -> None:
        """Note in the manifest what fits have imported, before their rows are stored."""
        if self.imported.add(imported):
            manifest.note(self.run, {"imported": self.imported.known})

    def close(self, stored: int, undrawn: Faults) -> list[dict[str, Any]]:
        """Note in the manifest how many rows are stored, and what could not be drawn.

        Returns what it says of the latter.
        """
        lines = entries(self.suite, undrawn)
        manifest.close(self.run, {**self._rows(stored), "undrawn": lines})
        return lines

    def exchanged_data(self) -> list[str]:
        """Return a line for each scenario whose data sets are not those that the run began with.

        The manifest says so too, whatever its files hold later: rows may be of both.
        """
        sources = dict(manifest.read_manifest(self.run)["sources"])
        lines = []
        for name in self.suite.scenarios:
            digest = registry.entry("scenario", name).digest
            if digest is not None and digest() != sources[f"scenario {name}"]:
                sources[f"scenario {name}"] = EXCHANGED
                lines.append(
                    f"{self.run}: files of {name} were changed while it ran, so that rows may be "
                    "of either; --update sets them aside and makes them again"
                )
        if lines:
            manifest.note(self.run, {"sources": sources})
        return lines

    @property
    def undrawn(self) -> set[int]:
        """Return the cells of which the manifest says that data sets could not be drawn."""
        faulty = manifest.read_manifest(self.run).get("undrawn", ())
        keys = {tuple(entry[name] for name in IDENTITY) for entry in faulty}
        return {place for identity, place in self.suite.places.items() if identity in keys}

    def _rows(self, stored: int) -> dict[str, Any]:
        return {
            "expected_rows": sum(self.inventory.expected), "stored_rows": stored,
            "stopped": self.inventory.stops,
        }  # fmt: skip

    def begin(self, checks: Mapping[str, Any] | None = None) -> None:
        """Lay the folder out, or bring it to where the suite can go on.

        `checks` is what the manifest says of the contract checks of plug-ins. Raises BadInput where
        it cannot be written or another run has just begun in it.
        """
        manifest.check_storable(self.suite)
        try:
            if self.before is None:
                self.run.mkdir(parents=True, exist_ok=True)
                self.locks.enter_context(locked(self.run))  # first, so that it marks the folder
                if manifest.holds_run(self.run):
                    raise BadInput(f"{self.run} is in use: another run was begun in it just now")
                clear_leftovers(self.run)
            # an object store has none that is empty
            own_file(self.run, REPLICATES).mkdir(exist_ok=True)
            if self.before is not None:
                tidy(self.run, self.inventory, manifest.NOTES)
            rows = self._rows(sum(self.inventory.stored))
            known = self.imported.known
            notes = {
                **rows, **({"checks": checks} if checks else {}),
                **({} if known is None else {"imported": known}),
                **({handed_in.KEY: self.handed_in} if self.handed_in else {}),
            }  # fmt: skip
            manifest.write_notes(self.run, self.suite, self.before, notes)
        except OSError as error:
            raise BadInput(f"{self.run} cannot be written: {error.strerror or error}") from error


@contextmanager
def opened(
    run: Path, suite: Suite, *,
    update: bool = False, repair: bool = False, keep_going: bool = False,
    first_look: int = FIRST_LOOK, answers: Mapping[str, Any] | None = None,
) -> Iterator[Session]:  # fmt: skip
    """Open a run folder, with nothing written yet.

    A sequential suite's cells have `first_look` replicates or more. Raises BadInput where the
    folder is in use, holds something else than a run, rows that the suite would not give today
    (unless they are to be set aside: `update`) or damaged shards (unless what they held is to be
    run again: `repair`). Unless to `keep_going`, who raised one exception again and again is due no
    more fits in that cell. The suite is joined by methods whose answers the folder holds already,
    and by those of `answers` handed in now.
    """
    with ExitStack() as locks:
        if not manifest.holds_run(run):
            manifest.check_free(run)
            suite = handed_in.with_methods(suite, answers or {})
            suite = _as_far_as_known(suite, {}, first_look)
            yield Session(run, Inventory(suite, keep_going), None, locks, Record(), answers or {})
            return
        before = manifest.read_manifest(run)
        made_elsewhere.refuse(before, run)
        entries = {**(before.get(handed_in.KEY) or {}), **(answers or {})}
        suite = handed_in.with_methods(suite, entries)
        suite = _as_far_as_known(suite, before, first_look)
        locks.enter_context(locked(run))
        redo = _redo(before, suite)
        inventory = take(run, suite, changes(before, suite), redo, keep_going=keep_going)
        if inventory.damaged and not repair:
            damage, *others = inventory.damaged.values()
            more = f", and {len(others)} more shards" if others else ""
            raise BadInput(f"{damage}{more}; --repair runs again what is missing then")
        if inventory.changed and not update:
            raise BadInput(f"{run} holds rows that today would be others: {_words(inventory)}")
        yield Session(run, inventory, before, locks, _imported(before, inventory), entries)


def _imported(before: Mapping[str, Any], inventory: Inventory) -> Record:
    """Return what the rows that stay have imported, as far as it was noted.

    Where others are set aside, what is not so any more was theirs.
    """
    if not sum(inventory.stored):
        return Record()
    known = before.get("imported")
    return Record(still_so(known) if known and inventory.changed else known)


def _as_far_as_known(suite: Suite, before: Mapping[str, Any], first_look: int) -> Suite:
    """Return a suite that states precision with the replicates that its cells have already.

    What a run had decided on when it stopped is what it goes on with; a cell never shrinks but to
    `max_replicates`.
    """
    if suite.precision is None:
        return suite
    least, end = first(suite.precision, first_look), most(suite.precision)
    known = {tuple(c[name] for name in IDENTITY): c["replicates"] for c in before.get("cells", ())}
    every = 0 if known else int(before.get("replicates") or 0)
    identities = (cell.identity for cell in suite.cells)
    return suite.with_lengths([min(end, max(least, known.get(i, every))) for i in identities])


def _redo(before: Mapping[str, Any], suite: Suite) -> Redo:
    """Return what to compute again: fits that met a limit that moved, those to be refitted anew."""
    past, refits = before.get("limits", {}), Refits(*before.get("refits", NO_REFITS))
    moved = [status for status, now in manifest.limits(suite).items() if past.get(status) != now]
    anew = max(refits.replicates, suite.refits.replicates) if refits != suite.refits else 0
    return Redo(frozenset(moved), anew)


def _words(inventory: Inventory) -> str:
    texts = [f"{text} ({count:,} rows)" for text, count in inventory.changed.items()]
    more = [f"and {len(texts) - WORDS} more"] if len(texts) > WORDS else []
    return (
        f"{'; '.join([*texts[:WORDS], *more])}. --update sets them aside and runs what is missing, "
        "--out names another folder"
    )
