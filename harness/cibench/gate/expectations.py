"""Judge without a baseline whether every method does what its declarations promise.

The verdicts are those of `cibench.analysis.expectations`: a method of which nothing that it assumes
is broken covers above the floor, one whose assumptions are broken far enough covers below it. How
many replicates that takes is worked out beforehand from the power that is wanted.

With m methods and cells that carry an expectation, each is judged by exact limits at the level
1 - ALPHA / m. A method whose coverage is nominal is shown to be above a floor p0 by R replicates if
K >= c of them cover, c the least number with P(Bin(R, p0) >= c) < ALPHA / (2 m). All m are shown
with the wanted chance if each is with a chance of 1 - (1 - power) / m (Bonferroni's inequality). Of
one that is to fail it is taken that it covers as far below the floor as nominal lies above it. A
method whose coverage is above the floor but below nominal takes more, and may be inconclusive.
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
)
from cibench.execution.settings import IN_PROCESS, RunSettings
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
        return f"{'failed' if self.exit_code else 'passed'}: {', '.join(parts)}"


def failing_on(names: Sequence[str]) -> tuple[str, ...]:
    """Return the verdicts of these names; raises BadInput with the near miss."""
    for name in names:
        if name not in KNOWN:
            raise BadInput(unknown("verdict", name, map(str, KNOWN)))
    return tuple(names)


def check_expectations(
    suite: Suite, out: Path, settings: RunSettings = IN_PROCESS, *,
    failing: tuple[str, ...] = FAILING, replicates: int | None = None,
    power: float = POWER,
) -> Expectations:  # fmt: skip
    """Run a suite, with as many replicates as the power asks for, and judge its expectations.

    The run goes into the folder `run` of `out`. Raises BadInput where nothing is expected of
    anybody and nothing is stated to be equal.
    """
    suite = suite.with_replicates(replicates or replicates_for(suite, power))
    clear(out)
    return expectations_of(run_suite(suite, out / RUN, settings=settings), failing)


def expectations_of(run: Run, failing: tuple[str, ...] = FAILING) -> Expectations:
    """Return what a run shows of its expectations; raises BadInput where there is none."""
    table = run.expectations
    bearing = table[table["expected"].isin([str(e) for e in BEARING]) & (table["tries"] > 0)]
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
    floors = [floor for found, floor in rows if found in BEARING]
    if not floors and any(stated_equal(suite.spec)):
        return suite.replicates or FEW
    if not floors:
        raise BadInput(f"suite {suite.name}: nothing is expected of any method there")
    each = 1 - (1 - power) / len(floors)
    # Limits hold for all rows at once, for those of which nothing is expected too.
    return max(settled_by(floor, suite.level, ALPHA / len(rows), each) for floor in set(floors))


def expected(suite: Suite) -> Iterator[tuple[Expected, float]]:
    """Yield what is expected of every estimator in every cell, and the floor it is held to."""
    from cibench.model.descriptions import describe
    from cibench.suite.expectations import SHORTFALL, entries, expectation, stated

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
                    "estimand": str(target.estimand) if target else None,
                    "horizon": target.horizon if target else None,
                }  # fmt: skip
                words = stated(tables, names, catalogue["scenarios"][cell.scenario.name])
                floor = words.floor or round(suite.level - SHORTFALL, 12)
                yield expectation(names, catalogue, words).expected, floor


def settled_by(floor: float, level: float, alpha: float, power: float) -> int:
    """Return the replicates that settle a nominal coverage, or one as far below the floor."""
    from cibench.analysis.coverage_verdicts import sizes_for

    below = 2 * floor - level
    return int(max(sizes_for(p, floor, alpha, power) for p in (level, max(below, 0.0))))
