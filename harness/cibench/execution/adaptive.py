"""When a cell has enough replicates, and rounds of them: stopping that biases nothing reported.

A suite's `precision` asks for Monte Carlo errors t (`cibench.metrics.sample_size` has the units
and, for each measure, the count R(t) at which its error is t). Two ways lead to a cell's count N.

*Two stages* (`pilot = 200` in the suite). A pilot at addresses of its own, whose rows are never
scored, says how many replicates suffice at most (`Need.at_most`); the cell is then run for that
count. N is independent of the rows that are reported, so that given N they are a run of fixed
length: nothing is biased, whatever the measure (Stein 1945, Ann. Math. Stat. 16).

*Sequentially* (otherwise). The cell is looked at after n_1 < n_2 < ... replicates and stops at the
first look with R(t) <= n for every target of every estimator. Stopping then depends on the rows.
For a share p with N close to p (1 - p) / t^2, Wald's identity E[S_N - p N] = 0 gives

    E[S_N / N] - p  =  -Cov(S_N - p N, N) / E[N]^2  =  (2 p - 1) / E[N]  to first order,

0.1 of the target at p = 0.95 and t = 0.005, and less where t is larger (Chow and Robbins 1965, Ann.
Math. Stat. 36; Glynn and Whitt 1992, Ann. Appl. Probab. 2; Frey 2010, Am. Stat. 64). Two things
keep this from failing near 0 and 1, where chance may show no miss at all: the error is half of
Wilson's interval, which is never zero (`cibench.metrics.sample_size.for_share`), and the first look
comes after `FIRST_LOOK` replicates or more. The bias has R = 1 / t^2 whatever the rows say and is
not touched by stopping; measures relative to their value follow the same theory with their own
influences.

Either way a spread of zero is no evidence and never ends a cell, all estimators of a cell end
together, and the rows are those of a fixed run of the same length. What no count can reach (a
truth whose own error is larger, an estimator that never answers) is left out and said.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from math import ceil, inf, isfinite
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cibench.metrics.core import mean
from cibench.metrics.groups import present
from cibench.metrics.sample_size import Need, need
from cibench.storage import cells
from cibench.storage.groups import Part
from cibench.suite.precision import first, most
from cibench.suite.suite import NO_REFITS, Entrant, Suite

if TYPE_CHECKING:
    from cibench.storage.session import Session
    from cibench.suite.precision import Precision


AT_LEAST, AT_MOST = 0.05, 4.0
"""How much a round adds to a cell: this share of what it has, and at most this multiple of it."""


class Line(NamedTuple):
    """Say what one target takes for one estimator of a cell."""

    measure: str
    estimator: str
    need: Need

    def __str__(self) -> str:
        return f"{self.measure} of {self.estimator}"


class Decision(NamedTuple):
    """Say how many replicates a cell is to have and, if it ends there, why."""

    length: int
    stopped: str = ""


def decide(lines: Sequence[Line], count: int, precision: Precision) -> Decision:
    """Say after `count` replicates whether the cell ends, or where to look again."""
    reachable = [line for line in lines if not _unreachable(line.need)]
    unmet = [line for line in reachable if not line.need.replicates <= count]
    if not unmet:
        return Decision(count, f"{_met(reachable)}{_left_out(lines)}")
    if count >= (end := most(precision)):
        return Decision(count, f"max_replicates: {_unmet(unmet)}{_left_out(lines)}")
    takes = [line.need.replicates for line in unmet if isfinite(line.need.replicates)]
    aim = max(takes, default=2 * count)
    if len(takes) < len(unmet):
        aim = max(aim, 2 * count)
    return Decision(min(end, ceil(max(count * (1 + AT_LEAST), min(aim, AT_MOST * count)))))


def from_pilot(lines: Sequence[Line], precision: Precision) -> Decision:
    """Return the count that an independent pilot asks for."""
    reachable = [line for line in lines if not _unreachable(line.need)]
    takes = [line.need.at_most if isfinite(line.need.at_most) else inf for line in reachable]
    count = int(min(max([first(precision), *takes]), most(precision)))
    unmet = [line for line, take in zip(reachable, takes, strict=True) if take > count]
    if unmet:
        return Decision(count, f"max_replicates: {_unmet(unmet)}{_left_out(lines)}")
    by = f"{_decisive(reachable)} takes at most {count:,}" if reachable else "no target applies"
    return Decision(count, f"pilot of {precision.pilot:,}: {by}{_left_out(lines)}")


def _unreachable(need: Need) -> bool:
    """Say whether no number of replicates would help: not where merely nothing has varied yet."""
    return not isfinite(need.replicates) and not need.spreadless


def _decisive(lines: Sequence[Line]) -> Line:
    return max(lines, key=lambda line: line.need.replicates)


def _met(lines: Sequence[Line]) -> str:
    return f"targets met, last that of {_decisive(lines)}" if lines else "no target applies"


def _unmet(lines: Sequence[Line]) -> str:
    """Say which target is furthest away, and how many others are not met."""
    counted = [line for line in lines if isfinite(line.need.replicates)]
    more = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
    if counted:
        line = _decisive(counted)
        return f"{line} takes {line.need.replicates:,.0f}{more}"
    return f"{lines[0]}: {lines[0].need.why}{more}"


def _left_out(lines: Sequence[Line]) -> str:
    reasons = [f"{x}: {x.need.why}" for x in lines if _unreachable(x.need) and x.need.why]
    return "".join(f"; left out {reason}" for reason in dict.fromkeys(reasons))


PILOT = "pilot"
"""The run folder, within a run's, of the pilot that decided on its counts."""


def pilot_of(suite: Suite) -> Suite:
    """Return the pilot of a suite: the same cells at a seed of its own, so that no row is shared.

    Raises BadInput where the suite states no pilot.
    """
    count = suite.precision.pilot if suite.precision else None
    pilot = suite.with_replicates(count or 0)
    digest = blake2b(f"pilot of {suite.seed}".encode(), digest_size=7).digest()
    seed = int.from_bytes(digest, "big")
    spec = {**pilot.spec, "seed": seed, "name": f"{suite.name}-pilot"}
    spec.pop("refits", None)
    return dataclasses.replace(
        pilot, name=f"{suite.name}-pilot", seed=seed, refits=NO_REFITS, spec=spec
    )


def after_pilot(session: Session, faulty: Collection[int] = ()) -> dict[int, str]:
    """Let every cell have as many replicates as the pilot in the run folder asks for.

    Of `faulty` ones, whose data sets could not all be drawn, nothing is decided. Returns why, by
    cell.
    """
    suite, precision = session.suite, session.suite.precision
    assert precision is not None
    folder = session.run / PILOT
    open_cells = [cell for cell in range(len(suite.cells)) if cell not in faulty]
    lines = lines_of(folder, suite, dict.fromkeys(open_cells, ()), precision.targets)
    decisions = {cell: from_pilot(lines[cell], precision) for cell in open_cells}
    _lengthen(session, decisions)
    return {cell: decision.stopped for cell, decision in decisions.items()}


def next_round(session: Session, settled: dict[int, str], faulty: Collection[int] = ()) -> bool:
    """Look at the cells that are not settled yet and say whether any is to have more replicates.

    All that the session's suite asks for until now must be stored. `settled` takes up, by cell, why
    it ends. Of `faulty` ones, whose data sets could not all be drawn, nothing is decided; who has
    stopped in a cell has no say there.
    """
    suite, precision = session.suite, session.suite.precision
    if precision is None or precision.pilot:
        return False
    open_cells = [c for c in range(len(suite.cells)) if c not in settled and c not in faulty]
    stopped = {cell: session.inventory.stopped(cell) for cell in open_cells}
    lines = lines_of(session.run, suite, stopped, precision.targets)
    decisions = {cell: decide(lines[cell], suite.counts[cell], precision) for cell in open_cells}
    settled |= {cell: decision.stopped for cell, decision in decisions.items() if decision.stopped}
    if decisions:
        ended = {cell: Decision(suite.counts[cell], why) for cell, why in settled.items()}
        _lengthen(session, {**ended, **decisions})
    return len(settled.keys() | set(faulty)) < len(suite.cells)


def _lengthen(session: Session, decisions: Mapping[int, Decision]) -> None:
    """Note the decisions; a cell keeps what it has where that is more, or none is made."""
    counts = [
        max(decisions[c].length, n) if c in decisions else n
        for c, n in enumerate(session.suite.counts)
    ]
    session.lengthen(counts, {cell: decision.stopped for cell, decision in decisions.items()})


def lines_of(
    run: Path, suite: Suite, without: Mapping[int, Collection[Entrant]],
    targets: Mapping[str, float],
) -> dict[int, list[Line]]:  # fmt: skip
    """Return what each target takes for each estimator of some cells, from their stored rows.

    These are the cells, by their places in the suite, for which it is said which entrants they go
    `without`, if any.
    """
    lines: dict[int, list[Line]] = {cell: [] for cell in without}
    for rows in cells(run, only=without):
        cell = suite.places[rows.identity]
        if cell in without:
            lines[cell] += needs_of(rows.part, targets, without=without[cell])
    return lines


def needs_of(
    part: Part, targets: Mapping[str, float], *, without: Collection[Entrant] = ()
) -> list[Line]:
    """Return what each target takes for each estimator and estimand of a cell."""
    lines = []
    for names, group in zip(part.names, part.groups, strict=True):
        entrant = Entrant(str(names["estimator"]), str(names["options"]))
        if names["kind"] == "estimate" and entrant not in without:
            shared = float(np.nan_to_num(mean(present(group, "truth_mcse")[0])))
            level = float(names["level"])
            lines += [
                Line(measure, str(names["estimator"]), need(measure, t, group, level, shared))
                for measure, t in targets.items()
            ]
    return lines
