"""A group of replicate rows: what it has to offer each metric, and all metrics of it.

A group holds its rows as columns, in replicate order; NaN is what a row does not have, and `ok`
marks the rows that were answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import isnan
from typing import Any

import numpy as np

from cibench.metrics.core import Score, blank, widened
from cibench.metrics.influence import scored
from cibench.metrics.registry import METRICS, Metric
from cibench.model.types import Array

Group = Mapping[str, Array]

NO_LEVEL, NO_MOMENTS = "no level between 0 and 1", "averages over replicates cannot be relied on"
UNASKED = "nobody asked for it"
APART = "some limits stand without estimate or std_error"


def present(group: Group, *names: str) -> list[Array]:
    """Return columns at the rows where all of them are given."""
    columns = [group[name] for name in names]
    there = ~np.isnan(columns[0])
    for column in columns[1:]:
        there &= ~np.isnan(column)
    return columns if there.all() else [column[there] for column in columns]


def answers(group: Group, *names: str) -> Group:
    """Return the answered rows, of the named columns or of all."""
    ok = group["ok"]
    if ok.all():
        return group
    return {name: group[name][ok] for name in names or group}


def explained(metric: Metric, score: Score, group: Group) -> Score:
    """Give a blank score its reason, from what the group's answers do not have."""
    if not isnan(score.value) or score.why:
        return score
    if not group["ok"].any():
        return blank("no replicate was answered")
    columns = answers(group, *metric.needs)
    lacking = [n for n in metric.needs if np.isnan(columns[n]).all()]
    if lacking:
        return blank(f"no {' and no '.join(lacking)}")
    together = present(columns, *metric.needs)[0].size
    return blank("numbers too large" if together else "no row has all that it needs")


def counted(metric: Metric, group: Group) -> Group:
    """Return the rows that a metric with flags counts: tries, since who declines has not tried.

    All rows where the flag is that they declined.
    """
    declined = group["declined"]
    if "declined" in metric.flags or not declined.any():
        return group
    return {name: column[~declined] for name, column in group.items()}


def measure_diagnostic(group: Group) -> dict[str, Score]:
    """Return the metrics that the verdicts and failures of a diagnostic have."""
    (passed,) = present(answers(group, "passed"), "passed")
    scores = {}
    for metric in METRICS.values():
        if metric.diagnostic:
            scores[metric.name] = metric.diagnostic(passed).score
        elif metric.flags and not metric.needs:
            rows = counted(metric, group)
            scores[metric.name] = metric(*(rows[name] for name in metric.flags))
    return scores


def measure_estimator(
    group: Group, truth_mcse: float, level: float, moments: bool = True, *, normal: bool = False
) -> dict[str, Score]:
    """Return every metric of an estimator's answers that needs no other group.

    `truth_mcse` is the truths' own error, `level` the nominal coverage; without finite `moments`
    metrics that cannot do without them are blank. With `normal` errors have the formulas for normal
    estimates where there are such.
    """
    metrics, needed = _own(tuple(METRICS.values()))
    complete = answers(group, "ok", *needed)
    columns = {needs: present(complete, *needs) for needs in {m.needs for m in metrics if m.needs}}
    columns[()] = []
    scores: dict[str, Score] = {}
    shared: dict[Any, Any] = {}
    with np.errstate(all="ignore"):
        for metric in metrics:
            taken = columns[metric.needs]
            if metric.optional and not taken[0].size:
                scores[metric.name] = blank(UNASKED)
                continue
            if metric.flags:
                rows = counted(metric, group)
                taken = [rows[name] for name in (*metric.needs, *metric.flags)]
            if metric.moments == "blank" and not moments:
                score = blank(NO_MOMENTS)
            elif metric.by_level and not 0 < level < 1:
                score = blank(NO_LEVEL)
            elif metric.part_of and 0 < taken[0].size < columns[metric.whole][0].size:
                score = blank(APART)
            else:
                score = _measured(
                    metric, taken, truth_mcse, _options(metric, level, normal), shared
                )
            scores[metric.name] = explained(metric, score, complete)
    return scores


@lru_cache(maxsize=8)
def _own(metrics: tuple[Metric, ...]) -> tuple[list[Metric], list[str]]:
    """Return the scored metrics of one group, and the columns that they need."""
    own = [m for m in metrics if m.scope == "estimator" and "scores" in m.tables]
    return own, list(dict.fromkeys(name for m in own for name in m.needs))


def _options(metric: Metric, level: float, normal: bool) -> dict[str, Any]:
    """Return what a metric's function takes beside columns."""
    options: dict[str, Any] = {"level": level} if metric.by_level else {}
    return options | ({"normal": True} if normal and metric.by_errors else {})


def _measured(
    metric: Metric, columns: Sequence[Array], truth_mcse: float, options: Mapping[str, Any],
    shared: dict[Any, Any],
) -> Score:  # fmt: skip
    """Score columns by a metric, with the truth's own error.

    `shared` keeps what a function returned that several metrics are a part of.
    """
    truth = metric.needs.index("truth") if "truth" in metric.needs else None

    def at(shift: float) -> Score:
        key = metric.function, shift
        if key in shared:
            return scored(metric.result(shared[key]))
        taken = list(columns)
        if shift and truth is not None:
            taken[truth] = taken[truth] + shift
        returned = metric.function(*taken, **options)
        if metric.part:
            shared[key] = returned
        return scored(metric.result(returned))

    if not truth_mcse or truth is None or metric.truth_cancels or not columns[truth].size:
        return at(0.0)
    return widened(at(0.0), at(truth_mcse), at(-truth_mcse))
