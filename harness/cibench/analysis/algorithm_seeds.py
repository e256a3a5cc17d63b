"""What a method's own seed does to its answer: fits repeated on one data set.

A suite that states `refits = { replicates = 20, times = 5 }` has the fits of its first 20 data sets
repeated with five other algorithm streams each, wherever a method draws random numbers of its own
(folds, bootstraps, starting values). Rows with `refit` above zero enter this table and no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cibench.analysis.one_pass import from_rows
from cibench.metrics.core import Score, blank, mean_score, proportion, root
from cibench.metrics.intervals import covers
from cibench.metrics.registry import Kind
from cibench.metrics.scales import on_scale
from cibench.model.types import Array
from cibench.storage import CellRows
from cibench.storage.reader import as_frame
from cibench.storage.schema import SCORED
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd

FLAGGED = 0.1
"""A tenth of a standard error: beyond it a method's answer hangs on its seed."""

MEASURES = {
    "instability": Kind.AS_IS, "limits_instability": Kind.AS_IS, "rmse_mean": Kind.RELATIVE,
    "rmse_best": Kind.RELATIVE, "coverage_mean": Kind.AS_IS, "coverage_best": Kind.SHARE,
    "rejection_mean": Kind.AS_IS, "rejection_best": Kind.SHARE,
}  # fmt: skip
"""The measures in the order of the table; a mean over seeds is no share of data sets."""

_COLUMNS = [name + end for name, kind in MEASURES.items() for end in kind.endings]
INSTABILITY = (*SCORED, "data_sets", "fits", "lost", *_COLUMNS, "flagged", "note")
"""The columns of the table."""

_NUMBERS = ("estimate", "std_error", "ci_low", "ci_high", "truth")
_READ = (*SCORED, "replicate", "refit", "status", *_NUMBERS, "outside")
NO_SE, NO_LIMITS = "no standard error", "no finite limits"


def measure_instability(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each estimator and target of a cell that was refitted.

    `instability` is sqrt of the mean over data sets of v / s^2: v the variance of the estimates
    over the seeds on one data set, unbiased, and s^2 the mean of their squared standard errors.
    `limits_instability` is the same with the mean of the variances of both limits, which a
    bootstrap moves even where the estimate stands still. `flagged` says that one of them exceeds
    0.1. `mean` averages over the seeds, `best` takes on each data set the seed that picking would
    have taken: the nearest to the truth, one that covers it, one that finds an effect. Errors are
    over data sets, which are independent. `fits` are those of one data set at the most; seeds that
    gave no answer are counted as `lost`. Raises BadInput if columns are missing.

    >>> import cibench
    >>> from cibench.analysis import measure_instability
    >>> @cibench.estimator("examples/half", targets=(cibench.Estimand.ATT,), uses=())
    ... def half(problem, rng):
    ...     "Compare means in a random half of the rows."
    ...     y, d = problem.outcome, problem.treatment == 1
    ...     kept = rng.random(y.size) < 0.5
    ...     value = y[kept & d].mean() - y[kept & ~d].mean()
    ...     return cibench.Estimate.wald(value, 0.2, problem.level)
    >>> cell = {"scenario": "did/two-group", "n": 30, "estimators": "examples/half"}
    >>> suite = {"name": "small", "seed": 1, "replicates": 20, "cells": [cell]}
    >>> run = cibench.run({**suite, "refits": {"replicates": 10, "times": 4}})
    >>> table = measure_instability(run.replicates)
    >>> table[["data_sets", "fits", "instability", "flagged"]].round(1)
       data_sets  fits  instability  flagged
    0         10     5          1.6     True
    """
    return from_rows(rows, InstabilityCollector())


@dataclass(eq=False)
class InstabilityCollector:
    """Measure cell by cell what seeds do, as `measure_instability` does."""

    reads: ClassVar[tuple[str, ...]] = ()
    _lines: list[dict[str, Any]] = field(default_factory=list, init=False)

    def add(self, cell: CellRows) -> None:
        """Measure the methods of a cell that were fitted to a data set more than once."""
        rows = _refitted(cell)
        if rows.empty:
            return
        for key, part in rows.groupby(list(SCORED), sort=False, dropna=False):
            self._lines.append(dict(zip(SCORED, key, strict=True)) | _line(part))

    def table(self) -> pd.DataFrame:
        """Return the table of instability."""
        import pandas as pd

        return pd.DataFrame(self._lines, columns=list(INSTABILITY))


def _refitted(cell: CellRows) -> pd.DataFrame:
    """Return all fits of the data sets that a method was fitted to more than once."""
    import pyarrow.compute as pc

    table = cell.table.select(list(_READ))
    table = table.filter(pc.equal(table["kind"], "estimate"))
    again = table.filter(pc.greater(table["refit"], 0))
    if not again.num_rows:
        return as_frame(again)
    last = pc.max(again["replicate"])
    rows = as_frame(table.filter(pc.less_equal(table["replicate"], last)))
    keys = [*SCORED, "replicate"]
    return rows[rows.groupby(keys, dropna=False)["refit"].transform("max") > 0]


def _line(part: pd.DataFrame) -> dict[str, Any]:
    fits = list(_data_sets(part))
    scores = measure(fits) if fits else dict.fromkeys(MEASURES, blank("no seed was answered twice"))
    numbers: dict[str, Any] = {}
    for name, kind in MEASURES.items():
        numbers |= kind.columns(name, scores[name])
    reasons: dict[str, list[str]] = {}
    for name, score in scores.items():
        if score.why:
            reasons.setdefault(score.why, []).append(name)
    moved = [scores[name].value for name in ("instability", "limits_instability")]
    return {
        "data_sets": len(fits), "fits": max((fit["estimate"].size for fit in fits), default=0),
        "lost": int((part["status"] != "ok").sum()), **numbers,
        "flagged": any(value > FLAGGED for value in moved),
        "note": "; ".join(f"{why}: {', '.join(names)}" for why, names in reasons.items()),
    }  # fmt: skip


def _data_sets(part: pd.DataFrame) -> Iterator[Mapping[str, Array]]:
    """Yield the answered fits of each data set that has two or more, as columns on their scale."""
    named = part["scale"].iloc[0]
    scale = None if missing(named) else str(named)
    answered = part[(part["status"] == "ok") & part["estimate"].notna() & part["truth"].notna()]
    for _, fits in answered.sort_values(["replicate", "refit"]).groupby("replicate"):
        if len(fits) > 1:
            columns = {name: fits[name].to_numpy(dtype=float) for name in _NUMBERS}
            outside = fits["outside"].fillna(False).to_numpy(dtype=bool)
            yield on_scale(columns | {"outside": outside}, scale)


def measure(fits: list[Mapping[str, Array]]) -> dict[str, Score]:
    """Measure what the seeds do, from the fits of each data set as columns."""
    variance = np.array([fit["estimate"].var(ddof=1) for fit in fits])
    ends = np.array([_variance_of_limits(fit) for fit in fits])
    square = np.array([np.mean(fit["std_error"] ** 2) for fit in fits])
    errors = [np.square(fit["estimate"] - fit["truth"]) for fit in fits]
    scores = {
        "instability": _relative(variance, square, ""),
        "limits_instability": _relative(ends, square, NO_LIMITS),
        "rmse_mean": root(mean_score(np.array([e.mean() for e in errors]))),
        "rmse_best": root(mean_score(np.array([e.min() for e in errors]))),
    }
    for name, theta in (("coverage", None), ("rejection", 0.0)):
        scores |= _shares(name, fits, theta)
    return scores


def _variance_of_limits(fit: Mapping[str, Array]) -> float:
    limits = np.array([fit["ci_low"], fit["ci_high"]])
    if not np.isfinite(limits).all() or fit["outside"].any():
        return np.nan
    return float(limits.var(axis=1, ddof=1).mean())


def _relative(variance: Array, square: Array, lacking: str) -> Score:
    """Return the root of the mean of the variances over the squared standard errors."""
    usable = square > 0
    if not usable.any():
        return blank(NO_SE)
    ratio = variance[usable] / square[usable]
    ratio = ratio[~np.isnan(ratio)]
    return root(mean_score(ratio)) if ratio.size else blank(lacking)


def _shares(name: str, fits: list[Mapping[str, Array]], theta: float | None) -> dict[str, Score]:
    """Return how often a seed covers or rejects on average, and how often one of them does."""
    hits = []
    for fit in fits:
        low, high = fit["ci_low"], fit["ci_high"]
        with_limits = ~np.isnan(low) & ~np.isnan(high)
        point = fit["truth"] if theta is None else theta
        covered = covers(low, high, point, fit["outside"])[with_limits]
        if covered.size:
            hits.append(covered if theta is None else ~covered)
    if not hits:
        return dict.fromkeys((f"{name}_mean", f"{name}_best"), blank("no limits"))
    best = proportion(sum(int(hit.any()) for hit in hits), len(hits))
    mean = mean_score(np.array([hit.mean() for hit in hits]))
    return {f"{name}_mean": mean, f"{name}_best": best}
