"""Open a run folder to store rows in it: a new one, or one that goes on where it stopped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cibench.storage import manifest
from cibench.storage.changes import changes
from cibench.storage.inventory import Inventory, Redo, take, tidy
from cibench.storage.lock import locked
from cibench.storage.schema import IDENTITY
from cibench.storage.shards import REPLICATES
from cibench.storage.writer import Writer
from cibench.suite.precision import first, most
from cibench.suite.suite import NO_REFITS, Refits, Suite
from cibench.utils.errors import BadInput

WORDS = 6
"""How many changes are named; the others are counted."""


@dataclass(frozen=True, eq=False)
class Session:
    """Hold a run folder that is ours: what it holds, and what it said of itself before."""

    run: Path
    inventory: Inventory
    before: Mapping[str, Any] | None
    held: ExitStack

    @property
    def suite(self) -> Suite:
        """Return the suite, with as many replicates of each cell as it is to have for now."""
        return self.inventory.suite

    @property
    def complete(self) -> bool:
        """Say whether all is there and the folder needs nothing written."""
        rows = sum(self.inventory.stored)
        tidy_already = not self.inventory.changed and not self.inventory.damaged
        whole = bool(self.before and tidy_already and rows == self.suite.expected_rows)
        return whole and self._settled

    @property
    def _settled(self) -> bool:
        asked, before = self.suite.precision, self.before or {}
        if asked is None:
            return True
        return bool(before.get("precision") == asked.spec and manifest.is_settled(before))

    def lengthen(self, lengths: Sequence[int], stopped: Mapping[int, str]) -> None:
        """Let cells have that many replicates, none fewer than until now."""
        suite = self.suite.with_lengths(lengths)
        manifest.note_cells(self.run, suite, stopped)
        self.inventory.grow(suite)

    def begin(self) -> Writer:
        """Lay the folder out, or bring it to where the suite can go on, and return its writer.

        Raises BadInput where it cannot be written or another run has just begun in it.
        """
        try:
            if self.before is None:
                (self.run / REPLICATES).mkdir(parents=True, exist_ok=True)
                self.held.enter_context(locked(self.run))
                if manifest.holds_run(self.run):
                    raise BadInput(f"{self.run} is in use: another run was begun in it just now")
            else:
                tidy(self.run, self.inventory, manifest.NOTES)
            manifest.write_notes(self.run, self.suite, self.before, sum(self.inventory.stored))
        except OSError as error:
            raise BadInput(f"{self.run} cannot be written: {error.strerror or error}") from error
        return Writer(self.run, self.suite, self.inventory.shards)


@contextmanager
def opened(run: Path, suite: Suite, update: bool, repair: bool) -> Iterator[Session]:
    """Open a run folder, with nothing written yet.

    Raises BadInput where it is in use, holds something else than a run, rows that the suite would
    not give today (unless they are to be set aside: `update`) or damaged shards (unless what they
    held is to be run again: `repair`).
    """
    with ExitStack() as held:
        if not manifest.holds_run(run):
            manifest.check_free(run)
            suite = _begun(suite, {})
            yield Session(run, Inventory.empty(suite), None, held)
            return
        before = manifest.read_manifest(run)
        suite = _begun(suite, before)
        held.enter_context(locked(run))
        found = take(run, suite, changes(before, suite), _redo(before, suite))
        if found.damaged and not repair:
            first, *others = found.damaged.values()
            more = f", and {len(others)} more shards" if others else ""
            raise BadInput(f"{first}{more}; --repair runs again what is missing then")
        if found.changed and not update:
            raise BadInput(f"{run} holds rows that today would be others: {_words(found)}")
        yield Session(run, found, before, held)


def _begun(suite: Suite, before: Mapping[str, Any]) -> Suite:
    """Return a suite that states precision with the replicates that its cells have already.

    What a run had decided on when it stopped is what it goes on with; a cell never shrinks but to
    `max_replicates`.
    """
    if suite.precision is None:
        return suite
    least, end = first(suite.precision), most(suite.precision)
    known = {tuple(c[name] for name in IDENTITY): c["replicates"] for c in before.get("cells", ())}
    every = 0 if known else int(before.get("replicates") or 0)
    keys = [tuple(cell.key[name] for name in IDENTITY) for cell in suite.cells]
    return suite.with_lengths([min(end, max(least, known.get(key, every))) for key in keys])


def _redo(before: Mapping[str, Any], suite: Suite) -> Redo:
    """Return what to compute again: fits that met a limit that moved, those to be refitted anew."""
    past, refits = before.get("limits", {}), Refits(*before.get("refits", NO_REFITS))
    moved = [status for status, now in manifest.limits(suite).items() if past.get(status) != now]
    anew = max(refits.replicates, suite.refits.replicates) if refits != suite.refits else 0
    return Redo(frozenset(moved), anew)


def _words(found: Inventory) -> str:
    said = [f"{text} ({count:,} rows)" for text, count in found.changed.items()]
    more = [f"and {len(said) - WORDS} more"] if len(said) > WORDS else []
    return (
        f"{'; '.join([*said[:WORDS], *more])}. --update sets them aside and runs what is missing, "
        "--out names another folder"
    )
