"""When a cell has enough replicates: rules whose stopping does not bias what is reported.

A suite's `precision` asks for Monte Carlo errors t (`cibench.plan` has the units and, for each
measure, the count R(t) at which its error is t). Two ways lead to a cell's count N.

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
Wilson's interval, which is never zero (`plan.for_share`), and the first look comes after `FLOOR`
replicates or more. The bias has R = 1 / t^2 whatever the rows say and is not touched by stopping;
measures relative to their value follow the same theory with their own influences.

Either way a spread of zero is no evidence and never ends a cell, all estimators of a cell end
together, and the rows are those of a fixed run of the same length. What no count can reach (a
truth whose own error is larger, an estimator that never answers) is left out and said.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, inf, isfinite
from typing import TYPE_CHECKING, NamedTuple

from cibench.plan import Need

if TYPE_CHECKING:
    from cibench.suite_scoring import Precision

FLOOR = 1000
"""Replicates before the first look of a sequential run."""

MOST = 100_000
"""Replicates at which a cell ends where the suite does not say."""

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


def first(precision: Precision) -> int:
    """Return the replicates before a sequential run's first look, or the least of two stages."""
    least = precision.least if precision.pilot else max(FLOOR, precision.least)
    return min(least, most(precision))


def most(precision: Precision) -> int:
    """Return the replicates at which a cell ends, come what may."""
    return precision.most or max(MOST, precision.least)


def decide(lines: Sequence[Line], count: int, precision: Precision) -> Decision:
    """Say after `count` replicates whether the cell ends, or where to look again."""
    known = [line for line in lines if not _hopeless(line.need)]
    wanting = [line for line in known if not line.need.replicates <= count]
    if not wanting:
        return Decision(count, f"{_met(known)}{_left_out(lines)}")
    if count >= (end := most(precision)):
        return Decision(count, f"max_replicates: {_said(wanting)}{_left_out(lines)}")
    takes = [line.need.replicates for line in wanting if isfinite(line.need.replicates)]
    aim = max(takes, default=2 * count)
    if len(takes) < len(wanting):
        aim = max(aim, 2 * count)
    return Decision(min(end, ceil(max(count * (1 + AT_LEAST), min(aim, AT_MOST * count)))))


def from_pilot(lines: Sequence[Line], precision: Precision) -> Decision:
    """Return the count that an independent pilot asks for."""
    known = [line for line in lines if not _hopeless(line.need)]
    takes = [line.need.at_most if isfinite(line.need.at_most) else inf for line in known]
    count = int(min(max([first(precision), *takes]), most(precision)))
    short = [line for line, take in zip(known, takes, strict=True) if take > count]
    if short:
        return Decision(count, f"max_replicates: {_said(short)}{_left_out(lines)}")
    by = f"{_worst(known)} takes at most {count:,}" if known else "no target applies"
    return Decision(count, f"pilot of {precision.pilot:,}: {by}{_left_out(lines)}")


def _hopeless(need: Need) -> bool:
    """Say whether no number of replicates would help: not where merely nothing has varied yet."""
    return not isfinite(need.replicates) and not need.spreadless


def _met(known: Sequence[Line]) -> str:
    return f"targets met, last that of {_worst(known)}" if known else "no target applies"


def _worst(known: Sequence[Line]) -> Line:
    return max(known, key=lambda line: line.need.replicates)


def _said(wanting: Sequence[Line]) -> str:
    """Say which target is furthest away, and how many others are not met."""
    counted = [line for line in wanting if isfinite(line.need.replicates)]
    more = f" and {len(wanting) - 1} more" if len(wanting) > 1 else ""
    if counted:
        line = _worst(counted)
        return f"{line} takes {line.need.replicates:,.0f}{more}"
    return f"{wanting[0]}: {wanting[0].need.why}{more}"


def _left_out(lines: Sequence[Line]) -> str:
    lost = dict.fromkeys(f"{x}: {x.need.why}" for x in lines if _hopeless(x.need) and x.need.why)
    return "".join(f"; left out {text}" for text in lost)
