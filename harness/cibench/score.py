"""From replicate rows to scores: one row for every scenario, setting, estimator and estimand."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.errors import BadInput
from cibench.measures import BLANK, Score, failure_rate, mean
from cibench.measures.groups import Group, measure_diagnostic, measure_estimator, present
from cibench.model import Array
from cibench.rows import SCORED

if TYPE_CHECKING:
    import pandas as pd

FAILURES = ("failed", "nonfinite", "timeout", "crashed")
"""The statuses that count as failures; who declines has not failed."""

MEASURES = {
    "bias": False, "relative_bias": False, "mse": False, "rmse": False, "empirical_se": False,
    "model_se": False, "se_ratio": False, "coverage": True, "coverage_with_failures": True,
    "bias_eliminated_coverage": True, "ci_length": False, "rejection": True, "failure_rate": True,
}  # fmt: skip
"""The measures in the order of the table; True says: a proportion, with Wilson limits."""

_COUNTS = ("replicates", "answered", "failures", "declined")
_FLAGS = {"ok": ("ok",), "failed": FAILURES, "declined": ("declined",)}
_NUMBERS = (
    "truth", "truth_mcse", "estimate", "std_error", "ci_low", "ci_high", "outside", "passed",
    "seconds",
)  # fmt: skip
_NEEDED = (*SCORED, "replicate", "refit", "status", *_NUMBERS)


def score(rows: pd.DataFrame, catalogue: Mapping[str, Any]) -> pd.DataFrame:
    """Score a replicate table: one row per distinct `SCORED` key, in order of first appearance.

    Each measure stands beside its Monte Carlo standard error `_mcse`, a proportion also beside
    its Wilson limits `_low` and `_high`. It rests on the answered replicates that have what it
    needs and is NaN where none has. Repeated fits of a data set (`refit` above zero) are left
    out. `catalogue` says under "estimators" and "scenarios" whose `moments` are not finite.
    Raises BadInput if columns are missing or a replicate is there twice.
    """
    missing = [name for name in _NEEDED if name not in rows.columns]
    if missing:
        raise BadInput(f"the replicate table lacks columns: {', '.join(missing)}")
    first_fit = np.nan_to_num(_floats(rows["refit"])) == 0
    rows = rows.loc[first_fit, list(_NEEDED)]
    codes, firsts = _codes(rows)
    keys = rows.loc[:, list(SCORED)].iloc[firsts].reset_index(drop=True)
    groups = _groups(rows, codes, len(firsts))
    lines = [_line(kind, group) for kind, group in zip(keys["kind"], groups, strict=True)]
    return _table(keys, lines, catalogue)


def _codes(rows: pd.DataFrame) -> tuple[Array, Array]:
    """Give the keys numbers in order of first appearance, and say where each appears first."""
    keys = rows.groupby(list(SCORED), dropna=False, sort=False, observed=True)
    codes = keys.ngroup().to_numpy()
    return codes, np.unique(codes, return_index=True)[1]


def _groups(rows: pd.DataFrame, codes: Array, count: int) -> list[Group]:
    """Cut the rows into groups, each in replicate order: a sum depends on the order."""
    replicate = rows["replicate"].to_numpy()
    order = np.lexsort((replicate, codes))
    _refuse_twins(codes[order], replicate[order])
    columns = {name: _floats(rows[name])[order] for name in _NUMBERS}
    columns["outside"] = columns["outside"] == 1
    for flag, statuses in _FLAGS.items():
        columns[flag] = rows["status"].isin(statuses).to_numpy(dtype=bool)[order]
    cuts = np.cumsum(np.bincount(codes, minlength=count))[:-1]
    pieces = {name: np.split(column, cuts) for name, column in columns.items()}
    return [{name: piece[i] for name, piece in pieces.items()} for i in range(count)]


def _refuse_twins(codes: Array, replicate: Array) -> None:
    twins = int(((codes[1:] == codes[:-1]) & (replicate[1:] == replicate[:-1])).sum())
    if twins:
        raise BadInput(f"the replicate table holds {twins} replicates more than once")


def _floats(column: pd.Series[Any]) -> Array:
    return column.to_numpy(dtype=float, na_value=nan)


def _line(kind: str, group: Group) -> dict[str, float]:
    """Write one row of the table, without its keys."""
    replicates, failures = group["ok"].size, int(group["failed"].sum())
    counts = (replicates, int(group["ok"].sum()), failures, int(group["declined"].sum()))
    line: dict[str, float] = dict(zip(_COUNTS, counts, strict=True))
    for name in ("truth", "truth_mcse", "seconds"):
        line[name] = mean(*present(group, name))
    scores = _measured(kind, group, float(np.nan_to_num(line["truth_mcse"])))
    scores["failure_rate"] = failure_rate(failures, replicates)
    for name, is_proportion in MEASURES.items():
        found = scores.get(name, BLANK)
        line |= {name: found.value, f"{name}_mcse": found.mcse}
        if is_proportion:
            line |= {f"{name}_low": found.low, f"{name}_high": found.high}
    return line


def _measured(kind: str, group: Group, truth_mcse: float) -> dict[str, Score]:
    if kind == "diagnostic":
        return measure_diagnostic(group)
    return measure_estimator(group, truth_mcse)


def _measure_columns() -> list[str]:
    endings = {False: ("", "_mcse"), True: ("", "_mcse", "_low", "_high")}
    return [name + end for name, kind in MEASURES.items() for end in endings[kind]]


def _table(
    keys: pd.DataFrame, lines: list[dict[str, float]], catalogue: Mapping[str, Any]
) -> pd.DataFrame:
    """Put the keys, the counts, `moments` and the measures side by side."""
    import pandas as pd

    names = [*_COUNTS, "truth", "truth_mcse", *_measure_columns(), "seconds"]
    types = dict.fromkeys(names, "float64") | dict.fromkeys(_COUNTS, "int64")
    table = pd.DataFrame(lines, columns=names).astype(types)
    finite = np.ones(len(keys), dtype=bool)
    for part, key in (("estimators", "estimator"), ("scenarios", "scenario")):
        said = catalogue.get(part, {})
        finite &= np.array([said.get(k, {}).get("moments", True) for k in keys[key]], dtype=bool)
    table.insert(len(_COUNTS), "moments", finite)
    return pd.concat([keys, table], axis=1)
