"""A run folder as Python sees it: each table is read or computed when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cibench.storage.manifest import (
    PUBLISHED,
    read_catalogue,
    read_manifest,
    read_rows,
    read_suite,
)
from cibench.suite.ranking import comparison
from cibench.utils.files import write_csv

if TYPE_CHECKING:
    import pandas as pd

    from cibench.analysis.sensitivity import Study


@dataclass(frozen=True)
class Run:
    """Hold a run folder; its tables are read and computed on first access.

    Of a run in an object store `folder` is a copy that goes with the object, and `url` its place.
    In a notebook it shows itself as its score table.
    """

    folder: Path
    url: str = ""

    @property
    def place(self) -> str:
        """Return what the user calls the run: its URL, or else its folder."""
        return self.url or str(self.folder)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """Return versions, seed, source digests, expected and stored rows."""
        return read_manifest(self.folder)

    @cached_property
    def catalogue(self) -> dict[str, Any]:
        """Return what the run's scenarios and estimators said of themselves."""
        return read_catalogue(self.folder)

    @cached_property
    def replicates(self) -> pd.DataFrame:
        """Return one row per replicate, estimator and estimand, failures included."""
        return read_rows(self.folder)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Return one row per cell and estimator: every measure beside its Monte Carlo error."""
        from cibench.analysis.scores import score_folder

        return score_folder(self.folder, self.catalogue)

    @property
    def sensitivity(self) -> pd.DataFrame:
        """Return one row per dial, estimator and size: where it breaks, and how fast it is biased.

        `cibench.analysis.sensitivity.sensitivity` says what the columns hold.
        """
        return self.study.sensitivity

    @property
    def curves(self) -> pd.DataFrame:
        """Return the dose-response along every dial, with pointwise and simultaneous bands."""
        return self.study.curves

    @cached_property
    def study(self) -> Study:
        """Return both tables of the sensitivity study, which share their resampling."""
        from cibench.analysis.sensitivity import study

        return study(self.replicates, self.scores, self.catalogue)

    @cached_property
    def suite(self) -> dict[str, Any]:
        """Return the content of the suite file as it ran."""
        return read_suite(self.folder)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Return every difference between two estimators of a cell, with its paired error.

        `cibench.analysis.comparisons.pairs` says what the columns hold. Computed on first access,
        cell by cell.
        """
        from cibench.analysis.comparisons import pairs_folder
        from cibench.suite.ranking import comparison

        return pairs_folder(self.folder, self.catalogue, comparison(self.suite))

    @cached_property
    def ranks(self) -> pd.DataFrame:
        """Return a leaderboard for each design, with confidence sets for the ranks.

        `cibench.analysis.leaderboard.ranks` says what the columns hold.
        """
        from cibench.analysis.leaderboard import Ranking, ranks_folder

        spec = Ranking.of(self.suite)
        return ranks_folder(self.folder, self.scores, self.catalogue, self.manifest, spec)

    @cached_property
    def failures(self) -> pd.DataFrame:
        """Return why fits gave no answer, tallied by cell and estimator."""
        from cibench.analysis.failures import failures_folder

        return failures_folder(self.folder)

    @cached_property
    def expectations(self) -> pd.DataFrame:
        """Return one row per score: what was expected of it, and the verdict on that.

        `cibench.analysis.expectations.expectations` says what the columns hold.
        """
        from cibench.analysis.expectations import expectations

        return expectations(self.scores, self.catalogue, self.suite)

    @cached_property
    def diagnostics(self) -> pd.DataFrame:
        """Return how often each diagnostic alarms, and what estimators do where it passes.

        `cibench.analysis.diagnostics.diagnostics` says what the columns hold; no rows without
        diagnostics.
        """
        from cibench.analysis.diagnostics import diagnostics

        return diagnostics(self.replicates, self.catalogue)

    @cached_property
    def instability(self) -> pd.DataFrame:
        """Return what each method's own seed does to its answer, where the suite asks for refits.

        `cibench.analysis.algorithm_seeds.instability` says what the columns hold; no rows without
        refits.
        """
        from cibench.analysis.algorithm_seeds import instability

        return instability(self.replicates)

    @cached_property
    def calibration(self) -> pd.DataFrame:
        """Return whether posteriors are calibrated where parameters are drawn from their prior.

        `cibench.analysis.calibration.calibration` says what the columns hold; elsewhere there are
        no rows.
        """
        from cibench.analysis.calibration import calibration

        return calibration(self.replicates, self.catalogue)

    @cached_property
    def comparison(self) -> pd.DataFrame | None:
        """Return our scores beside the figures that the suite's published table holds, if any."""
        from cibench.analysis.published import beside
        from cibench.suite.published import read_published

        path = self.folder / PUBLISHED
        return beside(self.scores, read_published(path)) if path.exists() else None

    def write_scores(self) -> Path:
        """Write the tables into the folder and return the path of `scores.csv`."""
        pass

        return write_tables(self)

    def write_report(self) -> Path:
        """Write `report.html`, `plots/` and `tables/` into the folder; return the report's path."""
        pass

        return write_report(self)

    def _repr_html_(self) -> str:
        from cibench.report.summary import summary

        title = f"<p>cibench run <b>{self.manifest['suite']}</b>, {self.place}</p>"
        lines = summary(self.scores, self.expectations, self.catalogue)
        lines["broken"] = lines["broken"].map({True: "▼", False: ""})
        return title + str(lines.to_html(index=False, escape=True))


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
        write_csv(run.folder / name, table)
    write_pairs(run)
    return run.folder / SCORES


def write_pairs(run: Run) -> Path:
    """Write `pairs.parquet`, with one cell in memory at a time, and return its path."""
    from cibench.analysis import comparisons

    path = run.folder / PAIRS
    comparisons.write_pairs(run.folder, path, run.catalogue, comparison(run.suite))
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
    from cibench.analysis.comparisons import pairs
    from cibench.metrics.registry import listed
    from cibench.model.catalogue import at_default, dials_of

    rows, known = run.replicates, run.catalogue.get("scenarios") or {}
    cells = rows[["scenario", "dials"]].drop_duplicates().itertuples(index=False)
    chosen = {(s, d) for s, d in cells if at_default(d, dials_of(known, s))}
    at = [pair in chosen for pair in zip(rows["scenario"], rows["dials"], strict=True)]
    measures = [metric.name for metric in listed("differences")]
    return pairs(rows[at], run.catalogue, comparison(run.suite), measures)
