"""Judge without a baseline whether every method does what its declarations promise.

The verdicts are those of `cibench.analysis.expectations`: a method of which nothing that it assumes
is broken keeps to its bounds, one whose assumptions are broken far enough does not. How many
replicates that takes is worked out beforehand from the power that is wanted.

With m numbers to judge, at most a coverage, a bias and an SE ratio for each method and cell, each
is judged at the level 1 - ALPHA / m. A method whose coverage is nominal is shown to be above a
floor p0 by R replicates if K >= c of them cover, c the least number with P(Bin(R, p0) >= c) <
ALPHA / (2 m); one without bias and with an SE ratio of 1 is shown to be within its bounds if limits
that are wider by what a normal estimate strays with that chance lie inside. All are shown with the
wanted chance if each is with a chance of 1 - (1 - power) / m (Bonferroni's inequality). Of one that
is to fail it is taken that it covers as far below the floor as nominal lies above it. A method that
is nearer to a bound takes more, and may be inconclusive. Simultaneous bands are not counted
beforehand: nobody knows before the run who gives them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cibench.analysis.equalities import UNEQUAL
from cibench.analysis.expectations import (
    ALPHA,
    BEARING,
    FAULTS,
    SURPRISES,
    ExpectationVerdict,
    count_unjudged,
)
from cibench.analysis.judged_scores import Bounds, Judged
from cibench.execution.runner import preflight
from cibench.execution.settings import EVERY_FIT, RunSettings
from cibench.gate.check import RUN, clear
from cibench.report.sections import equalities
from cibench.results.api import run as run_suite
from cibench.suite.equalities import equalities as stated_equal
from cibench.suite.expectations import Expected
from cibench.utils.errors import BadInput, unknown

if TYPE_CHECKING:
    from cibench.results.run_folder import Run
    from cibench.suite.suite import Suite

POWER = 0.95
FAILING = (*SURPRISES, *FAULTS, *UNEQUAL)
KNOWN = (*FAILING, ExpectationVerdict.INCONCLUSIVE, ExpectationVerdict.CONSERVATIVE)
"""The verdicts that can be made to fail."""

WORST_FIRST = (*KNOWN, ExpectationVerdict.FAILS, ExpectationVerdict.VALID)

FEW = 40
"""Replicates of a suite that states equalities alone, and no number."""


@dataclass(frozen=True, eq=False)
class Expectations:
    """Hold what was found of every expectation, worst first, and which verdicts fail.

    `equalities` are the lines of the equalities that the suite states.
    """

    rows: Sequence[Mapping[str, Any]]
    failing: tuple[str, ...]
    run: Run
    equalities: Sequence[Mapping[str, Any]] = ()

    @property
    def exit_code(self) -> int:
        """Return 1 if a verdict fails, 0 if none does."""
        return int(any(r["verdict"] in self.failing for r in (*self.rows, *self.equalities)))

    @property
    def headline(self) -> str:
        """Say whether the gate holds, and how many rows have each verdict."""
        counts = Counter(row["verdict"] for row in self.rows)
        parts = [f"{counts[v]} {v}" for v in WORST_FIRST if counts[v]]
        if self.equalities:
            parts.append(equalities.heading(self.equalities))
        table = self.run.expectations.to_dict("records")
        every = [{str(key): value for key, value in row.items()} for row in table]
        lacking = ", ".join(f"{name} of {n:,}" for name, n in count_unjudged(every).items())
        unjudged = f" (not judged: {lacking})" if lacking else ""
        return f"{'failed' if self.exit_code else 'passed'}: {', '.join(parts)}{unjudged}"


def failing_on(names: Sequence[str]) -> tuple[str, ...]:
    """Return the verdicts that fail: surprises and faults, and those of these names too.

    Raises BadInput with the near miss.
    """
    for name in names:
        if name not in KNOWN:
            raise BadInput(unknown("verdict", name, map(str, KNOWN)))
    return tuple(dict.fromkeys((*FAILING, *names)))


def check_expectations(
    suite: Suite, out: Path, settings: RunSettings = EVERY_FIT, *,
    failing: tuple[str, ...] = FAILING, replicates: int | None = None,
    power: float = POWER,
) -> Expectations:  # fmt: skip
    """Run a suite, with as many replicates as the power asks for, and judge its expectations.

    The run goes into the folder `run` of `out`. Raises BadInput where nothing is expected of
    anybody and nothing is stated to be equal, and where a plug-in breaks its contract, before
    anything is removed.
    """
    suite = suite.with_replicates(replicates or replicates_for(suite, power))
    settings = preflight(suite, settings, out / RUN)
    clear(out)
    return expectations_of(run_suite(suite, out / RUN, settings=settings), failing)


def expectations_of(run: Run, failing: tuple[str, ...] = FAILING) -> Expectations:
    """Return what a run shows of its expectations; raises BadInput where there is none."""
    table = run.expectations
    bearing = table[table["expected"].isin([str(e) for e in BEARING]) & (table["verdict"] != "")]
    stated = equalities.lines(run.equalities, run.catalogue)
    if bearing.empty and not stated:
        raise BadInput(f"{run.folder}: nothing is expected of any method there")
    rows = [{str(k): v for k, v in row.items()} for row in bearing.to_dict("records")]
    order = {str(verdict): place for place, verdict in enumerate(WORST_FIRST)}
    rows.sort(key=lambda row: order[row["verdict"]])
    return Expectations(rows, failing, run, stated)


def replicates_for(suite: Suite, power: float) -> int:
    """Return the replicates with which all expectations are settled with a chance of `power`.

    Where equalities alone are stated they are the suite's, since no chance is in an identity.
    Raises BadInput where neither is, or the power is not between 0 and 1.
    """
    if not 0 < power < 1:
        raise BadInput(f"--power: {power:g} is not between 0 and 1")
    rows = list(expected(suite))
    bearing = [bounds for expects, bounds in rows if expects in BEARING]
    if not bearing and any(stated_equal(suite.spec)):
        return suite.replicates or FEW
    if not bearing:
        raise BadInput(f"suite {suite.name}: nothing is expected of any method there")
    # Limits hold for all that is judged at once, for rows of which nothing is expected too.
    alpha = ALPHA / (len(Judged) - 1) / len(rows)
    each = 1 - (1 - power) / (len(Judged) - 1) / len(bearing)
    return max(settled_by(bounds, suite.level, alpha, each) for bounds in set(bearing))


def expected(suite: Suite) -> Iterator[tuple[Expected, Bounds]]:
    """Yield what is expected of every estimator in every cell, and the bounds it is held to."""
    from cibench.analysis.expectations import bounds_of
    from cibench.model.descriptions import describe
    from cibench.storage.targets import row_of
    from cibench.suite.expectations import entries, expectation, stated

    catalogue = describe(suite.scenarios, suite.estimators)
    tables = entries(suite.spec)
    for cell in suite.cells:
        for entrant in cell.entrants:
            if catalogue["estimators"][entrant.estimator]["kind"] == "diagnostic":
                continue
            for target in cell.targets_of(entrant.estimator):
                names = {
                    **cell.key, "estimator": entrant.estimator, "level": suite.level,
                    "options": entrant.options, "kind": "estimate",
                    **(row_of(target) if target else {"estimand": None, "horizon": None}),
                }  # fmt: skip
                words = stated(tables, names, catalogue["scenarios"][cell.scenario.name])
                yield expectation(names, catalogue, words).expected, bounds_of(words, suite.level)


def settled_by(bounds: Bounds, level: float, alpha: float, power: float) -> int:
    """Return the replicates that settle a nominal coverage, or one as far below the floor.

    They settle a bias of zero and an SE ratio of one too, of normal estimates.
    """
    from cibench.analysis.coverage_verdicts import sizes_for
    from cibench.analysis.error_verdicts import sizes_within

    below = 2 * bounds.floor - level
    shares = (sizes_for(p, bounds.floor, alpha, power) for p in (level, max(below, 0.0)))
    return int(max(*shares, sizes_within(bounds.bias, bounds.se_ratio, alpha, power)))
