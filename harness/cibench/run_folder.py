"""A run folder as Python sees it: each table is read or computed when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cibench import store

if TYPE_CHECKING:
    import pandas as pd

    from cibench.sensitivity import Study


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
        return store.read_manifest(self.folder)

    @cached_property
    def catalogue(self) -> dict[str, Any]:
        """Return what the run's scenarios and estimators said of themselves."""
        return store.read_catalogue(self.folder)

    @cached_property
    def replicates(self) -> pd.DataFrame:
        """Return one row per replicate, estimator and estimand, failures included."""
        return store.read_rows(self.folder)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Return one row per cell and estimator: every measure beside its Monte Carlo error."""
        from cibench.score import score_folder

        return score_folder(self.folder, self.catalogue)

    @property
    def sensitivity(self) -> pd.DataFrame:
        """Return one row per dial, estimator and size: where it breaks, and how fast it is biased.

        `cibench.sensitivity.sensitivity` says what the columns hold.
        """
        return self.study.sensitivity

    @property
    def curves(self) -> pd.DataFrame:
        """Return the dose-response along every dial, with pointwise and simultaneous bands."""
        return self.study.curves

    @cached_property
    def study(self) -> Study:
        """Return both tables of the sensitivity study, which share their resampling."""
        from cibench.sensitivity import study

        return study(self.replicates, self.scores, self.catalogue)

    @cached_property
    def suite(self) -> dict[str, Any]:
        """Return the content of the suite file as it ran."""
        return store.read_suite(self.folder)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Return every difference between two estimators of a cell, with its paired error.

        `cibench.pairs.pairs` says what the columns hold. Computed on first access, cell by cell.
        """
        from cibench.pairs import pairs_folder
        from cibench.suite_scoring import comparison

        return pairs_folder(self.folder, self.catalogue, comparison(self.suite))

    @cached_property
    def ranks(self) -> pd.DataFrame:
        """Return a leaderboard for each design, with confidence sets for the ranks.

        `cibench.ranking.ranks` says what the columns hold.
        """
        from cibench.ranking import Ranking, ranks_folder

        spec = Ranking.of(self.suite)
        return ranks_folder(self.folder, self.scores, self.catalogue, self.manifest, spec)

    @cached_property
    def failures(self) -> pd.DataFrame:
        """Return why fits gave no answer, tallied by cell and estimator."""
        from cibench.tally import failures_folder

        return failures_folder(self.folder)

    @cached_property
    def expectations(self) -> pd.DataFrame:
        """Return one row per score: what was expected of it, and the verdict on that.

        `cibench.expectations.expectations` says what the columns hold.
        """
        from cibench.expectations import expectations

        return expectations(self.scores, self.catalogue, self.suite)

    @cached_property
    def diagnostics(self) -> pd.DataFrame:
        """Return how often each diagnostic alarms, and what estimators do where it passes.

        `cibench.pretesting.diagnostics` says what the columns hold; no rows without diagnostics.
        """
        from cibench.pretesting import diagnostics

        return diagnostics(self.replicates, self.catalogue)

    @cached_property
    def instability(self) -> pd.DataFrame:
        """Return what each method's own seed does to its answer, where the suite asks for refits.

        `cibench.instability.instability` says what the columns hold; no rows without refits.
        """
        from cibench.instability import instability

        return instability(self.replicates)

    @cached_property
    def calibration(self) -> pd.DataFrame:
        """Return whether posteriors are calibrated where parameters are drawn from their prior.

        `cibench.calibration.calibration` says what the columns hold; elsewhere there are no rows.
        """
        from cibench.calibration import calibration

        return calibration(self.replicates, self.catalogue)

    @cached_property
    def comparison(self) -> pd.DataFrame | None:
        """Return our scores beside the figures that the suite's published table holds, if any."""
        from cibench.published import beside, read_published

        path = self.folder / store.PUBLISHED
        return beside(self.scores, read_published(path)) if path.exists() else None

    def write_scores(self) -> Path:
        """Write the tables into the folder and return the path of `scores.csv`."""
        from cibench.writing import write_tables

        return write_tables(self)

    def write_report(self) -> Path:
        """Write `report.html`, `plots/` and `tables/` into the folder; return the report's path."""
        from cibench.writing import write_report

        return write_report(self)

    def _repr_html_(self) -> str:
        from cibench.summary import summary

        title = f"<p>cibench run <b>{self.manifest['suite']}</b>, {self.place}</p>"
        lines = summary(self.scores, self.catalogue)
        lines["broken"] = lines["broken"].map({True: "▼", False: ""})
        return title + str(lines.to_html(index=False, escape=True))
