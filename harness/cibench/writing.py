"""Write what a run's rows say into its folder: the tables and the report."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cibench.files import write_atomically
from cibench.suite_scoring import comparison

if TYPE_CHECKING:
    import pandas as pd

    from cibench.run_folder import Run

SCORES, COMPARISON = "scores.csv", "comparison.csv"
SENSITIVITY, CURVES = "sensitivity.csv", "curves.csv"
PAIRS, RANKS, FAILURES = "pairs.parquet", "ranks.csv", "failures.csv"
EXPECTATIONS, DIAGNOSTICS = "expectations.csv", "diagnostics.csv"
INSTABILITY, CALIBRATION = "instability.csv", "calibration.csv"


def write_tables(run: Run) -> Path:
    """Write a run's tables and return the path of `scores.csv`.

    The others are `expectations.csv`, `sensitivity.csv`, `curves.csv`, `ranks.csv`,
    `failures.csv` and `pairs.parquet` always; `diagnostics.csv`, `instability.csv`,
    `calibration.csv` and `comparison.csv` where the run has diagnostics, refits, parameters
    drawn from a prior or published figures.
    """
    tables = {
        SCORES: run.scores, EXPECTATIONS: run.expectations, SENSITIVITY: run.sensitivity,
        CURVES: run.curves, RANKS: run.ranks, FAILURES: run.failures,
    }  # fmt: skip
    some = {
        DIAGNOSTICS: run.diagnostics, INSTABILITY: run.instability,
        CALIBRATION: run.calibration,
    }  # fmt: skip
    tables |= {name: table for name, table in some.items() if len(table)}
    if (compared := run.comparison) is not None:
        tables[COMPARISON] = compared
    for name, table in tables.items():
        write_atomically(run.folder / name, partial(table.to_csv, index=False))
    write_pairs(run)
    return run.folder / SCORES


def write_pairs(run: Run) -> Path:
    """Write `pairs.parquet`, with one cell in memory at a time, and return its path."""
    from cibench import pairs

    path = run.folder / PAIRS
    pairs.write_pairs(run.folder, path, run.catalogue, comparison(run.suite))
    return path


def write_report(run: Run) -> Path:
    """Write `report.html`, `plots/` and `tables/` into a run's folder; return the report's path."""
    from cibench import report

    beside = report.Beside(
        run.comparison, run.study, _default_pairs(run), run.ranks, run.suite,
        run.expectations, run.diagnostics, run.instability, run.calibration,
    )  # fmt: skip
    told = run.replicates, run.scores, run.catalogue, run.manifest
    return report.write_report(run.folder, *told, beside)


def _default_pairs(run: Run) -> pd.DataFrame:
    """Return the comparisons that the report shows: a few measures, every dial at default."""
    from cibench.pairs import pairs
    from cibench.report.pairs import SHOWN
    from cibench.sensitivity.gather import at_default, dials_of

    rows, known = run.replicates, run.catalogue.get("scenarios") or {}
    cells = rows[["scenario", "dials"]].drop_duplicates().itertuples(index=False)
    chosen = {(s, d) for s, d in cells if at_default(d, dials_of(known, s))}
    at = [pair in chosen for pair in zip(rows["scenario"], rows["dials"], strict=True)]
    return pairs(rows[at], run.catalogue, comparison(run.suite), tuple(SHOWN))
