"""From replicate rows to scores: one row for every scenario, setting, estimator and estimand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.measures import BLANK, Score
from cibench.measures.answers import Group, explained
from cibench.measures.core import blank
from cibench.measures.families import size_adjusted_power
from cibench.rows import SCORED, schema
from cibench.scoring.cutting import FAILURES, arrow, check, cut
from cibench.scoring.lines import COUNTS, Line, lines, note
from cibench.scoring.null_cells import null_rows
from cibench.scoring.shards import neighbours, read
from cibench.storage.shards import paths as shards_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["FAILURES", "MEASURES", "score", "score_folder"]

MEASURES = {
    "bias": False, "relative_bias": False, "mse": False, "rmse": False, "empirical_se": False,
    "model_se": False, "se_ratio": False, "coverage": True, "coverage_with_failures": True,
    "bias_eliminated_coverage": True, "ci_length": False, "rejection": True, "failure_rate": True,
    "median_bias": False, "mad": False, "mae": False, "interval_score": False,
    "lower_noncoverage": True, "upper_noncoverage": True, "type_s": True, "type_m": False,
    "precision_gain": False, "coverage_common": True, "simultaneous_coverage": True,
    "size_adjusted_power": True, "crps": False, "pit_mean": False, "pit_dispersion": False,
    "shortfall": False, "shortfall_bias": False, "shortfall_se": False, "shortfall_shape": False,
    "shortfall_failures": False,
}  # fmt: skip
"""The measures in the order of the table; True says: a proportion, with Wilson limits."""

ZERO, NO_NULL = "the truth is zero", "no cell with a zero truth differs in parameters only"
ADJUSTED, STATISTIC = "size_adjusted_power", ("estimate", "std_error")
_ENDINGS = {False: ("", "_mcse"), True: ("", "_mcse", "_low", "_high")}
_COLUMNS = [name + end for name, share in MEASURES.items() for end in _ENDINGS[share]]
_NOTES = ("moments_note", "reference", "note")


def score(rows: pd.DataFrame, catalogue: Mapping[str, Any]) -> pd.DataFrame:
    """Score a replicate table: one row per distinct `SCORED` key, in order of first appearance.

    Each measure stands beside its Monte Carlo standard error `_mcse`, a proportion also beside
    its Wilson limits `_low` and `_high`. It rests on the answered replicates that have what it
    needs and is NaN where none has; `note` says why. Repeated fits of a data set (`refit` above
    zero) are left out. `moments` is false where the estimates have none, declared by the
    catalogue's "estimators" and "scenarios" or shown by the rows; `moments_note` says which.
    `reference` is the estimator whose precision `precision_gain` compares with: the first of the
    catalogue whose errors vary in that cell.
    Raises BadInput if columns are missing or a replicate is there twice.
    """
    check(rows.columns)
    part = cut(arrow(rows))
    keys = rows.loc[:, list(SCORED)].iloc[part.firsts].reset_index(drop=True)
    return _table(keys, [_row(line) for line in lines(part, catalogue)], part.groups.__getitem__)


def score_folder(folder: Path, catalogue: Mapping[str, Any]) -> pd.DataFrame:
    """Score a run folder as `score` does, with the rows of one cell in memory at a time.

    The shards of a cell are neighbours by name; where they are not, all is read at once. Raises
    BadInput where a shard is not readable or lacks columns.
    """
    shards = shards_of(folder)
    table = _score_cells(neighbours(shards), catalogue)
    if table.duplicated(list(SCORED)).any():
        table = _score_cells([(shards, read(shards))], catalogue)
    return table


def _score_cells(
    cells: Iterable[tuple[list[Path], pa.Table]], catalogue: Mapping[str, Any]
) -> pd.DataFrame:
    import pyarrow as pa

    keys = [schema().empty_table().select(list(SCORED))]
    rows: list[tuple[Any, ...]] = []
    places: list[tuple[tuple[Path, ...], int]] = []
    for paths, table in cells:
        part = cut(table)
        places += [(tuple(paths), i) for i in range(len(part.groups))]
        keys.append(part.keys.cast(keys[0].schema))
        rows += map(_row, lines(part, catalogue))

    @lru_cache(maxsize=2)
    def groups(paths: tuple[Path, ...]) -> Sequence[Group]:
        columns = (*SCORED, "replicate", "refit", "status", *STATISTIC)
        return cut(read(paths, columns), STATISTIC).groups

    named = pa.concat_tables(keys).to_pandas()
    return _table(named, rows, lambda i: groups(places[i][0])[places[i][1]])


def _row(line: Line) -> tuple[Any, ...]:
    """Write one row of the table, without its keys."""
    diagnostic = "coverage" not in line.scores
    noted = [name for name in MEASURES if diagnostic or name != ADJUSTED]
    found = [line.scores.get(name, BLANK) for name in MEASURES]
    pairs = zip(found, MEASURES.values(), strict=True)
    numbers = [number for measured, share in pairs for number in _numbers(measured, share)]
    means = [line.means[name] for name in ("truth", "truth_mcse")]
    values = np.array([*means, *numbers, line.means["seconds"]])
    texts = (line.moments_note, line.reference, note(line.scores, noted))
    return line.counts, line.moments, values, texts


def _table(
    keys: pd.DataFrame, rows: Sequence[tuple[Any, ...]], fetch: Callable[[int], Group]
) -> pd.DataFrame:
    """Put the keys, the counts, `moments`, the measures and the notes side by side."""
    import pandas as pd

    counts, moments, values, texts = zip(*rows, strict=True) if rows else ((), (), (), ())
    names = ["truth", "truth_mcse", *_COLUMNS, "seconds"]
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
    return _adjusted(table, fetch)


def _adjusted(table: pd.DataFrame, fetch: Callable[[int], Group]) -> pd.DataFrame:
    """Fill in the size-adjusted power where there is a null cell, and say where there is none."""
    nulls = null_rows(table)
    found: dict[int, Score] = {}
    for row, null in sorted(nulls.items()):
        group, level = fetch(row), float(table["level"].iloc[row])
        power = size_adjusted_power(group, fetch(null), level)
        found[row] = explained(ADJUSTED, power, group)
    notes = table["note"].tolist()
    for row in np.flatnonzero(table["kind"].to_numpy() != "diagnostic").tolist():
        power = found.setdefault(row, blank(ZERO if table["truth"].iloc[row] == 0 else NO_NULL))
        notes[row] = "; ".join(filter(None, (notes[row], note({ADJUSTED: power}, [ADJUSTED]))))
    numbers = np.array([_numbers(found.get(row, BLANK)) for row in range(len(table))])
    names = [f"{ADJUSTED}{end}" for end in _ENDINGS[True]]
    columns = dict(zip(names, numbers.reshape(-1, len(names)).T, strict=True))
    return table.assign(**columns, note=notes)


def _numbers(score: Score, share: bool = True) -> tuple[float, ...]:
    both = score.value, score.mcse
    return (*both, score.low, score.high) if share else both
