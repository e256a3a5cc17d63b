"""Diagnostics scored: how often they raise the alarm, and what is left of those that pass.

A method that is used only where a diagnostic passes has the bias and the coverage of the data sets
that pass, not those of all: where the diagnostic has little power against what breaks the method,
the data sets that pass may be the worse ones (Roth 2022, American Economic Review: Insights 4).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import hypot, sqrt
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cibench.analysis.one_pass import from_rows
from cibench.analysis.scores import without_moments
from cibench.metrics.core import (
    Score,
    blank,
    mean_score,
    proportion,
    standard_deviation,
    with_truth_errors,
)
from cibench.metrics.families import aligned
from cibench.metrics.groups import Group, answers, present
from cibench.metrics.intervals import covers
from cibench.metrics.registry import Kind
from cibench.model.types import TARGET, Array
from cibench.storage import CellRows
from cibench.storage.groups import Part
from cibench.storage.schema import CELL
from cibench.suite.expectations import broken_assumptions, off_default, parsed

if TYPE_CHECKING:
    import pandas as pd

MEASURES = {
    "alarms": Kind.SHARE, "bias": Kind.IN_SE, "bias_passed": Kind.IN_SE,
    "bias_change": Kind.IN_SE, "coverage": Kind.SHARE, "coverage_passed": Kind.SHARE,
    "coverage_change": Kind.AS_IS,
}  # fmt: skip
"""The measures in the order of the table."""

_OF_DIAGNOSTIC = ("diagnostic", "diagnostic_options", "tests", "breaks", "alarm", "judged")
_OF_ESTIMATOR = ("estimator", "options", *TARGET, "level")
DIAGNOSTICS = (
    *CELL, *_OF_DIAGNOSTIC, *_OF_ESTIMATOR, "moments", "answered", "passed",
    *(f"{name}{end}" for name, kind in MEASURES.items() for end in kind.endings),
)  # fmt: skip
"""The columns of the table."""

NONE_PASSED = "no data set passed"


def score_diagnostics(rows: pd.DataFrame, catalogue: Mapping[str, Any]) -> pd.DataFrame:
    """Return a row for each diagnostic in a cell, and one more for each estimator beside it.

    `alarms` is the share of the `judged` data sets that did not pass; `alarm` says whether an
    alarm is "false" or "right": right where the design or a dial off its default breaks one of
    the assumptions that the diagnostic tests. In the rows of an estimator stand its bias and the
    coverage of its answers on all data sets, and on those that passed; `_change` is the latter
    less the former, with a paired error. `moments` is the score table's. A data set on which the
    diagnostic gave no answer has not passed. Conditioning on a test: Roth (2022), American Economic
    Review: Insights 4. Raises BadInput if columns are missing.

    >>> import cibench
    >>> from cibench.analysis import score_diagnostics
    >>> cell = {"scenario": "did/two-group", "n": 30, "dials": {"trend": 0.4}}
    >>> cell["estimators"] = ["did/collapsed", "did/pre-slopes"]
    >>> run = cibench.run({"name": "small", "seed": 1, "replicates": 40, "cells": [cell]})
    >>> table = score_diagnostics(run.replicates, run.catalogue)
    >>> table[["setting", "alarm", "alarms", "estimator", "bias", "bias_passed"]].round(2)
       setting  alarm  alarms      estimator  bias  bias_passed
    0      NaN  false    0.08            NaN   NaN          NaN
    1      NaN  false    0.08  did/collapsed -0.02        -0.01
    2      0.4  right    0.65            NaN   NaN          NaN
    3      0.4  right    0.65  did/collapsed  1.58         1.55
    """
    return from_rows(rows, DiagnosticCollector(catalogue))


@dataclass(eq=False)
class DiagnosticCollector:
    """Score a run's diagnostics cell by cell as `score_diagnostics` does."""

    catalogue: Mapping[str, Any]
    reads: ClassVar[tuple[str, ...]] = ()
    _lines: list[dict[str, Any]] = field(default_factory=list, init=False)

    def add(self, cell: CellRows) -> None:
        """Score the diagnostics of a cell, and its estimators where they pass."""
        if any(names["kind"] == "diagnostic" for names in cell.part.names):
            for members in _cells(cell.part):
                self._lines += _of_cell(cell.part, members, self.catalogue)

    def table(self) -> pd.DataFrame:
        """Return the table of diagnostics."""
        import pandas as pd

        return pd.DataFrame(self._lines, columns=list(DIAGNOSTICS))


def _cells(part: Part) -> list[list[int]]:
    cells: dict[tuple[Any, ...], list[int]] = {}
    for i, names in enumerate(part.names):
        cells.setdefault(tuple(names[key] for key in CELL), []).append(i)
    return list(cells.values())


def _of_cell(
    part: Part, members: list[int], catalogue: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one cell, diagnostic by diagnostic."""
    groups = dict(zip(members, aligned([part.groups[i] for i in members]), strict=True))
    kinds = {i: part.names[i]["kind"] == "diagnostic" for i in members}
    for test in (i for i in members if kinds[i]):
        named = {key: part.names[test][key] for key in CELL} | _named(part.names[test], catalogue)
        (verdict,) = present(answers(groups[test]), "passed")
        alarms = proportion(int((verdict == 0).sum()), verdict.size)
        named |= {"judged": verdict.size} | _numbers({"alarms": alarms})
        yield named
        passed = groups[test]["ok"] & (groups[test]["passed"] == 1)
        for i in (i for i in members if not kinds[i]):
            of_method = {key: part.names[i][key] for key in _OF_ESTIMATOR}
            moments = not without_moments(part.names[i], part.groups[i], catalogue)
            yield named | of_method | {"moments": moments} | _conditional(groups[i], passed)


def _named(names: Mapping[str, Any], catalogue: Mapping[str, Any]) -> dict[str, Any]:
    """Say which diagnostic it is, what it tests, and whether that is broken here."""
    scenario = (catalogue.get("scenarios") or {}).get(names["scenario"]) or {}
    method = (catalogue.get("estimators") or {}).get(names["estimator"]) or {}
    dials = scenario.get("dials") or {}
    breaks = [dials[d]["breaks"] for d in off_default(parsed(names["dials"]), dials) if d in dials]
    tests = list(method.get("tests") or ())
    tested = broken_assumptions({"assumes": tests}, {*breaks, *(scenario.get("violates") or ())})
    return {
        "diagnostic": names["estimator"], "diagnostic_options": names["options"],
        "tests": "; ".join(tests), "breaks": "; ".join(dict.fromkeys(breaks)),
        "alarm": "right" if tested else "false",
    }  # fmt: skip


def _conditional(group: Group, passed: Array) -> dict[str, Any]:
    """Return an estimator's bias and coverage on all data sets and on those that passed."""
    answered = group["ok"] & ~np.isnan(group["truth"])
    errors = np.where(answered, group["estimate"] - group["truth"], np.nan)
    (mcse,) = present(answers(group), "truth_mcse")
    doubt = float(mcse.mean()) if mcse.size else 0.0

    def coverage(shift: Array) -> Array:
        low, high, theta = (group[name] for name in ("ci_low", "ci_high", "truth"))
        with_limits = answered & ~np.isnan(low) & ~np.isnan(high)
        outside = group["outside"] == 1
        return np.where(with_limits, covers(low, high, theta + shift, outside), np.nan)

    scores = compare(errors, passed)
    bias = {name: _widened(scores[name], doubt) for name in ("all", "passed")}
    covered = with_truth_errors(lambda shift: _shares(coverage(shift), passed), np.zeros(1), doubt)
    return {
        "answered": int((~np.isnan(errors)).sum()),
        "passed": int((~np.isnan(errors) & passed).sum()),
        **_numbers({
            "bias": bias["all"], "bias_passed": bias["passed"], "bias_change": scores["change"],
            "coverage": covered["all"], "coverage_passed": covered["passed"],
            "coverage_change": compare(coverage(np.zeros(1)), passed)["change"],
        }),
    }  # fmt: skip


def compare(x: Array, passed: Array) -> dict[str, Score]:
    """Return the mean of `x` over all replicates, over those that passed, and the difference.

    NaN in `x` is what was not answered. With n answered replicates of which a share p passed, the
    difference errs to first order by the mean of 1{passed} (x - x_passed) / p - (x - x_all), the
    influence functions of both means: its error is S / sqrt n of these terms. Blank where nothing
    passed; without error where a mean has none.
    """
    there = ~np.isnan(x)
    x, chosen = x[there], passed[there]
    every, some = mean_score(x), mean_score(x[chosen])
    if not chosen.any():
        return {"all": every, "passed": blank(NONE_PASSED), "change": blank(NONE_PASSED)}
    terms = chosen * (x - some.value) / chosen.mean() - (x - every.value)
    error = standard_deviation(terms) / sqrt(x.size) if chosen.sum() > 1 else np.nan
    return {"all": every, "passed": some, "change": Score(some.value - every.value, error)}


def _shares(covered: Array, passed: Array) -> dict[str, Score]:
    """Return coverage on all data sets and on those that passed."""
    known = ~np.isnan(covered)
    chosen = {"all": covered[known], "passed": covered[known & passed]}
    return {name: proportion(int(x.sum()), x.size) for name, x in chosen.items()}


def _widened(score: Score, doubt: float) -> Score:
    """Add the error of the truth, which cancels from a difference."""
    return Score(score.value, hypot(score.mcse, doubt), why=score.why)


def _numbers(scores: Mapping[str, Score]) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for name, score in scores.items():
        numbers |= MEASURES[name].columns(name, score)
    return numbers
