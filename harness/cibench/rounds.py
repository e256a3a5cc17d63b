"""Rounds of replicates: look at what is stored and let the cells that need more have it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from cibench.adaptive import Decision, Line, decide, from_pilot
from cibench.suite import NO_REFITS, Suite

if TYPE_CHECKING:
    from cibench.storage.session import Session

PILOT = "pilot"
"""The run folder, within a run's, of the pilot that decided on its counts."""


def pilot_of(suite: Suite) -> Suite:
    """Return the pilot of a suite: the same cells at a seed of its own, so that no row is shared.

    Raises BadInput where the suite states no pilot.
    """
    count = suite.precision.pilot if suite.precision else None
    made = suite.with_replicates(count or 0)
    digest = blake2b(f"pilot of {suite.seed}".encode(), digest_size=7).digest()
    seed = int.from_bytes(digest, "big")
    spec = {**made.spec, "seed": seed, "name": f"{suite.name}-pilot"}
    spec.pop("refits", None)
    return dataclasses.replace(
        made, name=f"{suite.name}-pilot", seed=seed, refits=NO_REFITS, spec=spec
    )


def after_pilot(session: Session) -> dict[int, str]:
    """Let every cell have as many replicates as the pilot in the run folder asks for.

    Returns why, by cell.
    """
    suite, asked = session.suite, session.suite.precision
    assert asked is not None
    folder = session.run / PILOT
    made = [from_pilot(lines_of(folder, c, asked.targets), asked) for c in range(len(suite.cells))]
    _go_on(session, dict(enumerate(made)))
    return {cell: one.stopped for cell, one in enumerate(made)}


def next_round(session: Session, settled: dict[int, str]) -> bool:
    """Look at the cells that are not settled yet and say whether any is to have more replicates.

    All that the session's suite asks for until now must be stored. `settled` takes up, by cell, why
    it ends.
    """
    suite, asked = session.suite, session.suite.precision
    if asked is None or asked.pilot:
        return False
    made = {}
    for cell, count in enumerate(suite.counts):
        if cell in settled:
            continue
        made[cell] = decide(lines_of(session.run, cell, asked.targets), count, asked)
        if made[cell].stopped:
            settled[cell] = made[cell].stopped
    if made:
        _go_on(
            session, {**{c: Decision(suite.counts[c], why) for c, why in settled.items()}, **made}
        )
    return len(settled) < len(suite.cells)


def _go_on(session: Session, made: Mapping[int, Decision]) -> None:
    """Note the decisions; a cell keeps what it has where that is more."""
    counts = [max(made[c].length, n) for c, n in enumerate(session.suite.counts)]
    session.lengthen(counts, {cell: one.stopped for cell, one in made.items()})


def lines_of(run: Path, cell: int, targets: Mapping[str, float]) -> list[Line]:
    """Return what each target takes for each estimator of a cell, from its stored rows."""
    from cibench.planning import lines
    from cibench.scoring.cutting import cut
    from cibench.scoring.shards import read
    from cibench.storage import shards

    return lines(cut(read(shards.paths_of(run, cell))), targets)
