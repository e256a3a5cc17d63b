"""Compare two tables of replicate rows, estimator by estimator in every cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

from cibench.gate.judge import MeasureVerdict, cell_verdict, judge
from cibench.gate.measures import (
    Measured,
    has_moments,
    of_answers,
    of_diagnostics,
    of_estimates,
    of_facts,
    of_moves,
    of_repeats,
    of_sets,
)
from cibench.gate.pairing import Pair, conforming, pairs, typical_seconds
from cibench.gate.row_changes import Changes, changes
from cibench.gate.rules import FAMILY, MEASURES, ChangeVerdict, Rules, most_severe

if TYPE_CHECKING:
    import pyarrow as pa

NO_MOMENTS = (
    "averages over replicates cannot be relied on: errors beyond five robust deviations are pulled "
    "in, SE ratio and CV of the SE left out"
)
RANDOM = "not deterministic given its stream: compared statistically, not number by number"
NO_ANSWER = "no fit of the baseline has an answer"
OTHER_DATA = "other data on either side: compared statistically, not number by number"


@dataclass(frozen=True, eq=False)
class CellResult:
    """Hold the verdict on one estimator in one cell and what it rests on.

    `names` are the `SCORED` keys, `why` the reason where nothing can be compared, `notes` what to
    know about how it was. `changes` are those of single numbers, None of other data. `seconds` are
    the medians of the run times, which no verdict heeds. `failures` are the reasons of the new
    run's fits without an answer, by replicate, where somebody has read them.
    """

    pair: Pair
    verdict: ChangeVerdict
    measures: tuple[MeasureVerdict, ...] = ()
    why: str = ""
    notes: tuple[str, ...] = ()
    changes: Changes | None = None
    seconds: tuple[float, float] = (float("nan"), float("nan"))
    failures: Mapping[int, str] = field(default_factory=dict)

    @property
    def names(self) -> Mapping[str, Any]:
        """Return the keys of the cell and the estimator."""
        return self.pair.names

    @property
    def replicates(self) -> tuple[int, int]:
        """Return how many replicates there are before and after."""
        return self.pair.before["replicate"].size, self.pair.after["replicate"].size


@dataclass(frozen=True, eq=False)
class Comparison:
    """Hold the results of all cells, the rules they were judged by and the number of intervals.

    `provenance` says what else differs between the two sides, where they are a baseline and a run.

    See `compare`, which returns one.
    """

    cells: tuple[CellResult, ...]
    rules: Rules
    intervals: int
    paired: bool = True
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> ChangeVerdict:
        """Return the worst verdict."""
        return most_severe(cell.verdict for cell in self.cells)

    @property
    def exit_code(self) -> int:
        """Return 1 if a verdict fails, else 2 if something, or all, is not comparable, else 0."""
        verdicts = {cell.verdict for cell in self.cells}
        if verdicts & set(self.rules.failing):
            return 1
        return 2 if ChangeVerdict.NOT_COMPARABLE in verdicts or not verdicts else 0


def compare(
    before: pa.Table,
    after: pa.Table,
    rules: Rules | None = None,
    *,
    paired: bool = True,
    without_moments: Collection[str] = (),
    random: Collection[tuple[str, str]] = (),
) -> Comparison:
    """Compare two replicate tables.

    `before` and `after` hold rows as a run folder does; `cibench.gate.pairing` reads and checks
    them. With `paired` the replicates of equal numbers saw the same data, which is
    verified: a cell of other data is not comparable. Without it the two tables are independent.
    `without_moments` names estimators and scenarios whose estimates have none, `random` the
    estimators, with their options, that give another answer when asked again at the same address.
    Raises BadInput where columns are missing or a replicate is there twice.

    >>> import pyarrow as pa
    >>> import cibench
    >>> from cibench.gate import compare
    >>> cell = {"scenario": "did/two-group", "n": 30, "estimators": "did/collapsed"}
    >>> run = cibench.run({"name": "small", "seed": 1, "replicates": 40, "cells": [cell]})
    >>> before = pa.Table.from_pandas(run.replicates)
    >>> after = pa.Table.from_pandas(run.replicates.eval("std_error = 2.3 * std_error"))
    >>> found = compare(before, after)
    >>> str(found.verdict), found.exit_code
    ('worse', 1)
    >>> [judged.name for judged in found.cells[0].measures if judged.verdict != "identical"]
    ['std_error', 'se_ratio']
    """
    rules = rules or Rules()
    before, after = conforming(before, "the rows before"), conforming(after, "the rows after")
    matched = pairs(before, after, paired=paired)
    intervals = FAMILY * max(len(matched), 1)
    cells = []
    for pair in matched:
        names = pair.names
        declared = not {names["estimator"], names["scenario"]} & set(without_moments)
        dice = (names["estimator"], names["options"]) in set(random)
        cells.append(_cell(pair, rules, rules.alpha / intervals, declared, dice))
    return Comparison(tuple(cells), rules, intervals, paired)


def _cell(pair: Pair, rules: Rules, alpha: float, declared: bool, dice: bool) -> CellResult:
    if why := pair.why or _unanswered(pair):
        return CellResult(pair, ChangeVerdict.NOT_COMPARABLE, why=why)
    moved = changes(pair) if pair.paired else None
    moments = has_moments(pair, declared)
    notes = {
        NO_MOMENTS: not moments and pair.names["kind"] != "diagnostic",
        RANDOM: dice,
        OTHER_DATA: not pair.paired,
    }
    measured = _measures(pair, moments, None if dice else moved, rules)
    judged = tuple(judge(one, pair.names["level"], rules, alpha) for one in measured)
    same = moved is not None and moved.share(rules.tolerance) == 0
    seconds = [typical_seconds(group["seconds"]) for group in (pair.before, pair.after)]
    return CellResult(
        pair, cell_verdict(judged, not same), judged, changes=moved,
        notes=tuple(note for note, holds in notes.items() if holds),
        seconds=(seconds[0], seconds[1]),
    )  # fmt: skip


def _unanswered(pair: Pair) -> str:
    """Say that there is no answer to compare with, "" where there is one."""
    if pair.before["ok"].any():
        return ""
    what = "has answers now" if pair.after["ok"].any() else "has none either"
    return f"{NO_ANSWER}, and the new run {what}"


def commonest(reasons: Iterable[str]) -> str:
    """Return the commonest of some reasons, the first of equally common ones, "" of none."""
    counts = Counter(reasons)
    return max(counts, key=lambda reason: counts[reason]) if counts else ""


def _measures(pair: Pair, moments: bool, moved: Changes | None, rules: Rules) -> list[Measured]:
    """Return what the pair's rows allow to be measured, in the order of `MEASURES`."""
    if pair.names["kind"] == "diagnostic":
        measured = [*of_diagnostics(pair), *of_answers(pair)]
    else:
        measured = [*of_estimates(pair, moments=moments), *of_sets(pair), *of_repeats(pair)]
        measured += of_answers(pair)
        if moved is not None:
            measured += of_moves(moved, rules.margins["estimate"], rules.tolerance)
    order = list(MEASURES)
    usable = [one for one in measured if isfinite(one.difference.value)]
    usable += of_facts(moved, rules.margins["fit"]) if moved is not None else []
    return sorted(usable, key=lambda one: order.index(one.name))
