"""From replicate rows to scores: one row for every scenario, setting, estimator and estimand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from math import inf, isinf, isnan, nan
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cibench.analysis.one_pass import from_rows
from cibench.metrics import METRICS, Metric, Score
from cibench.metrics.core import BLANK, blank, mean
from cibench.metrics.families import aligned, reference
from cibench.metrics.groups import (
    UNASKED,
    Group,
    answers,
    explained,
    measure_diagnostic,
    measure_estimator,
    present,
)
from cibench.metrics.moments import heavy, largest_share, noiseless, on_target
from cibench.metrics.registry import NORMAL, POINTS, Scope, listed
from cibench.model.types import PARTS
from cibench.storage import CellRows
from cibench.storage.groups import FAILURES, Part
from cibench.storage.schema import CELL, SCORED, schema
from cibench.storage.spool import SpooledGroup
from cibench.storage.targets import subdivided

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

COUNTS = ("replicates", "answered", "failures", "declined")
DIAGNOSTIC = "a diagnostic has alarms and failures only"
FEW = "too few replicates for a Monte Carlo error"
TARGET = (*CELL, "estimand", "level")
"""What an estimand's targets share: its horizons, groups, contrasts are scored together."""

QUESTION = (*TARGET, *PARTS)
"""What all estimators of a cell are asked alike."""


@dataclass(frozen=True)
class Line:
    """Hold one row of the score table in the making, without its keys."""

    diagnostic: bool
    counts: tuple[int, ...]
    means: Mapping[str, float]
    scores: dict[str, Score]
    moments: bool
    moments_note: str
    reference: str = ""


def lines(part: Part, catalogue: Mapping[str, Any]) -> list[Line]:
    """Measure every group of a part, alone and beside the others of its cell."""
    measured = [_line(*pair, catalogue) for pair in zip(part.names, part.groups, strict=True)]
    normal = catalogue.get("errors") == NORMAL
    for members in families(part, QUESTION):
        ordered = in_order(members, part, catalogue)
        first = reference(_compare("cell", ordered, part, measured, normal=normal))
        if first is not None:
            name = str(part.names[ordered[first]]["estimator"])
            for i in ordered:
                measured[i] = replace(measured[i], reference=name)
    for members in families(part, (*TARGET, "estimator", "options")):
        several = [i for i in members if subdivided(part.names[i])]
        if several:
            _compare("targets", several, part, measured)
        for i in set(members).difference(several):
            measured[i].scores.update((name, blank(ALONE)) for name in _of_several())
    for line in measured:
        if _is_exact(line):
            line.scores.update((name, blank(EXACT)) for name in SAYS_NOTHING if name in line.scores)
    return measured


ALONE = "one target alone"


def _of_several() -> list[str]:
    return [metric.name for metric in METRICS.values() if metric.scope == "targets"]


EXACT = "estimates and limits are the truth but for rounding, so that being covered says nothing"
SAYS_NOTHING = (
    "coverage", "coverage_with_failures", "coverage_common", "bias_eliminated_coverage",
    "lower_noncoverage", "upper_noncoverage",
)  # fmt: skip
"""The metrics that rounding decides where neither estimates nor limits err."""


def _is_exact(line: Line) -> bool:
    """Say whether estimates, and limits around them, are the truth but for rounding."""
    if line.diagnostic:
        return False
    numbers = {name: line.scores[name].value for name in ("bias", "empirical_se", "ci_length")}
    score = {**numbers, "truth": line.means["truth"], "answered": line.counts[1]}
    closed = on_target({"bias": numbers["ci_length"], "truth": score["truth"]})
    return closed and noiseless(score) and on_target(score)


def note(scores: Mapping[str, Score], measures: Iterable[str]) -> str:
    """Say of every metric that is blank or has no error why that is so."""
    reasons: dict[str, list[str]] = {}
    for name in measures:
        score = scores.get(name, BLANK)
        metric = METRICS.get(name)
        if metric and metric.optional and (name not in scores or score.why == UNASKED):
            continue
        if isnan(score.value):
            reasons.setdefault(score.why or DIAGNOSTIC, []).append(name)
        elif isnan(score.mcse):
            why = "infinite" if isinf(score.value) else FEW
            reasons.setdefault(why, []).append(name)
    return "; ".join(f"{why}: {', '.join(names)}" for why, names in reasons.items())


def _line(names: Mapping[str, Any], group: Group, catalogue: Mapping[str, Any]) -> Line:
    replicates, failures = group["ok"].size, int(group["failed"].sum())
    counts = (replicates, int(group["ok"].sum()), failures, int(group["declined"].sum()))
    means = {name: mean(*present(group, name)) for name in ("truth", "truth_mcse", "seconds")}
    reason = without_moments(names, group, catalogue)
    why = reason or _why_no_moments(names, group, catalogue)
    diagnostic = names["kind"] == "diagnostic"
    if diagnostic:
        scores = measure_diagnostic(group)
    else:
        error = float(np.nan_to_num(means["truth_mcse"]))
        level = nan if names["level"] is None else float(names["level"])
        normal = catalogue.get("errors") == NORMAL
        scores = measure_estimator(group, error, level, moments=not reason, normal=normal)
    return Line(diagnostic, counts, means, scores, not reason, why)


SHOW_MOMENTS = "show_moments"
"""The key of a suite file, and of the catalogue then, that has averages shown all the same."""


def without_moments(names: Mapping[str, Any], group: Group, catalogue: Mapping[str, Any]) -> str:
    """Say why the averages of a group are not shown, "" where they are believed or asked for."""
    return "" if catalogue.get(SHOW_MOMENTS) else _why_no_moments(names, group, catalogue)


def _why_no_moments(names: Mapping[str, Any], group: Group, catalogue: Mapping[str, Any]) -> str:
    for part, key in (("estimators", "estimator"), ("scenarios", "scenario")):
        about = (catalogue.get(part) or {}).get(names[key]) or {}
        if not about.get("moments", True):
            return "declared"
    t, theta = present(answers(group, *POINTS), *POINTS)
    share = largest_share(t, theta)
    if names["kind"] == "diagnostic" or not heavy(share, t.size):
        return ""
    return f"one replicate makes {100 * share:.0f} % of the sum of squares"


def families(part: Part, keys: Sequence[str]) -> list[list[int]]:
    """Return the groups of estimators, not of diagnostics, that agree in all of the keys."""
    families: dict[tuple[Any, ...], list[int]] = {}
    for i, names in enumerate(part.names):
        if names["kind"] != "diagnostic":
            families.setdefault(tuple(names[key] for key in keys), []).append(i)
    return list(families.values())


def in_order(members: list[int], part: Part, catalogue: Mapping[str, Any]) -> list[int]:
    """Sort groups as the catalogue has their estimators, which is the suite's order, not the rows'.

    In this order a reference is looked for.
    """
    order = {name: place for place, name in enumerate(catalogue.get("estimators") or {})}

    def rank(i: int) -> tuple[float, str, str]:
        names = part.names[i]
        name = str(names["estimator"])
        return order.get(name, inf), name, str(names["options"])

    return sorted(members, key=rank)


def _compare(
    scope: Scope, members: list[int], part: Part, measured: list[Line], *, normal: bool = False
) -> list[Group]:
    """Add the metrics that look at several groups; return these, aligned."""
    groups = aligned([part.groups[i] for i in members])
    errors = [float(np.nan_to_num(measured[i].means["truth_mcse"])) for i in members]
    for metric in METRICS.values():
        if metric.scope == scope:
            options = {"normal": True} if normal and metric.by_errors else {}
            values = metric.function(groups, errors, **options)
            for i, score in zip(members, values, strict=True):
                measured[i].scores[metric.name] = explained(metric, score, part.groups[i])
    return groups


SAME = [name for name in SCORED if name != "parameters"]


def null_rows(table: pd.DataFrame) -> dict[int, int]:
    """Return the row of the null cell for each row of a score table that has one.

    Among several it is the one that differs in the fewest parameters, then the first by name.
    """
    estimates = table[(table["kind"] == "estimate") & table["truth"].notna()]
    keys = estimates[SAME].astype(object)
    keys = keys.where(keys.notna(), None)
    families: dict[tuple[Any, ...], list[int]] = {}
    for row, key in zip(estimates.index, keys.itertuples(index=False, name=None), strict=True):
        families.setdefault(key, []).append(int(row))
    truth, parameters = table["truth"].to_numpy(), table["parameters"].tolist()
    null_row = {}
    for rows in families.values():
        nulls = sorted((i for i in rows if truth[i] == 0), key=lambda i: str(parameters[i]))
        for i in rows:
            if nulls and truth[i] != 0:
                null_row[i] = min(nulls, key=lambda j: _apart(parameters[i], parameters[j]))
    return null_row


def _apart(first: Any, other: Any) -> int:
    """Count the parameters in which two cells differ."""
    a, b = _parsed(first), _parsed(other)
    return sum(a.get(name) != b.get(name) for name in a.keys() | b.keys())


def _parsed(parameters: Any) -> dict[str, Any]:
    try:
        parsed = json.loads(parameters)
    except (TypeError, ValueError):
        parsed = None
    return parsed if isinstance(parsed, dict) else {"": parameters}


__all__ = ["FAILURES", "ScoreCollector", "score"]


ZERO, NO_NULL = "the truth is zero", "no cell with a zero truth differs in parameters only"
_NOTES = ("moments_note", "reference", "note")


def score(rows: pd.DataFrame, catalogue: Mapping[str, Any]) -> pd.DataFrame:
    """Score a replicate table: one row per distinct `SCORED` key, in order of first appearance.

    `rows` and `catalogue` are those of a run. Each measure stands beside its Monte Carlo standard
    error `_mcse`, a proportion also beside its Wilson limits `_low` and `_high`. It rests on the
    answered replicates that have what it needs and is NaN where none has; `note` says why. Repeated
    fits of a data set (`refit` above zero) are left out. `moments` is false where the estimates
    have none, declared by the catalogue's "estimators" and "scenarios" or shown by the rows;
    `moments_note` says which (`show_moments` in the catalogue makes it true all the same).
    `reference` is the estimator whose precision `precision_gain`
    compares with: the first of the catalogue whose errors vary in that cell.
    Raises BadInput if columns are missing or a replicate is there twice.

    >>> import cibench
    >>> methods = ["did/collapsed", "naive/difference-in-means"]
    >>> cell = {"scenario": "did/two-group", "n": 30, "estimators": methods}
    >>> run = cibench.run({"name": "small", "seed": 1, "replicates": 20, "cells": [cell]})
    >>> from cibench.analysis import score
    >>> table = score(run.replicates, run.catalogue)
    >>> table[["estimator", "answered", "bias", "bias_mcse", "coverage"]].round(2)
                       estimator  answered  bias  bias_mcse  coverage
    0              did/collapsed        20  0.00       0.06       1.0
    1  naive/difference-in-means        20  0.77       0.14       0.3
    """
    return from_rows(rows, ScoreCollector(catalogue))


@dataclass(eq=False)
class ScoreCollector:
    """Score a run cell by cell as `score` does; statistics wait for their null cell."""

    catalogue: Mapping[str, Any]
    reads: ClassVar[tuple[str, ...]] = ()
    _keys: list[pa.Table] = field(default_factory=list, init=False)
    _rows: list[tuple[Any, ...]] = field(default_factory=list, init=False)
    _statistics: list[SpooledGroup | None] = field(default_factory=list, init=False)

    def add(self, cell: CellRows) -> None:
        """Measure the groups of a cell."""
        part, statistic = cell.part, _statistic()
        self._keys.append(part.keys.cast(_key_schema()))
        for place, line in enumerate(lines(part, self.catalogue)):
            estimates = part.names[place]["kind"] == "estimate" and not isnan(line.means["truth"])
            self._statistics.append(cell.put_aside(place, statistic) if estimates else None)
            self._rows.append(_row(line))

    def table(self) -> pd.DataFrame:
        """Return the score table."""
        import pyarrow as pa

        keys = pa.concat_tables([_key_schema().empty_table(), *self._keys]).to_pandas()
        return _table(keys, self._rows, self._put_aside)

    def _put_aside(self, row: int) -> Group:
        spooled = self._statistics[row]
        assert spooled is not None
        return spooled.read()


def _statistic() -> tuple[str, ...]:
    """Return the columns that a metric beside a null cell rests on, or is blank for."""
    needs = (name for metric in _beside_null() for name in metric.needs)
    ever = ("replicate", "ok", "failed", "declined", "ci_low", "ci_high")
    return tuple(dict.fromkeys((*ever, *needs)))


def _key_schema() -> pa.Schema:
    import pyarrow as pa

    declared = schema()
    return pa.schema([declared.field(name) for name in SCORED])


def _row(line: Line) -> tuple[Any, ...]:
    """Write one row of the table, without its keys."""
    metrics = listed("scores")
    noted = [m.name for m in metrics if line.diagnostic or m.scope != "null cell"]
    numbers = [m.kind.numbers(line.scores.get(m.name, BLANK)) for m in metrics]
    means = [line.means[name] for name in ("truth", "truth_mcse")]
    values = np.array([*means, *chain.from_iterable(numbers), line.means["seconds"]])
    texts = (line.moments_note, line.reference, note(line.scores, noted))
    return line.counts, line.moments, values, texts


def _table(
    keys: pd.DataFrame, rows: Sequence[tuple[Any, ...]], fetch: Callable[[int], Group]
) -> pd.DataFrame:
    """Put the keys, the counts, `moments`, the measures and the notes side by side."""
    import pandas as pd

    counts, moments, values, texts = zip(*rows, strict=True) if rows else ((), (), (), ())
    columns = chain.from_iterable(metric.columns for metric in listed("scores"))
    names = ["truth", "truth_mcse", *columns, "seconds"]
    shaped = np.array(values, dtype=float).reshape(len(rows), len(names))
    table = pd.concat(
        [
            keys,
            pd.DataFrame(np.array(counts, dtype=np.int64).reshape(-1, 4), columns=list(COUNTS)),
            pd.DataFrame({"moments": np.array(moments, dtype=bool)}),
            pd.DataFrame(shaped, columns=names),
            pd.DataFrame(list(texts), columns=list(_NOTES), dtype=object),
        ],
        axis=1,
    )
    for metric in _beside_null():
        table = _with_null(table, metric, fetch)
    return table


def _beside_null() -> list[Metric]:
    return [metric for metric in METRICS.values() if metric.scope == "null cell"]


def _with_null(table: pd.DataFrame, metric: Metric, fetch: Callable[[int], Group]) -> pd.DataFrame:
    """Fill in a metric where there is a null cell, and say where there is none."""
    nulls = null_rows(table)
    scores: dict[int, Score] = {}
    for row, null in sorted(nulls.items()):
        group, level = fetch(row), float(table["level"].iloc[row])
        scores[row] = explained(metric, metric.function(group, fetch(null), level), group)
    notes = table["note"].tolist()
    for row in np.flatnonzero(table["kind"].to_numpy() != "diagnostic").tolist():
        score = scores.setdefault(row, blank(ZERO if table["truth"].iloc[row] == 0 else NO_NULL))
        reason = note({metric.name: score}, [metric.name])
        notes[row] = "; ".join(filter(None, (notes[row], reason)))
    numbers = np.array([metric.kind.numbers(scores.get(row, BLANK)) for row in range(len(table))])
    columns = zip(metric.columns, numbers.reshape(-1, len(metric.columns)).T, strict=True)
    return table.assign(**dict(columns), note=notes)
