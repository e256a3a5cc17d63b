"""Runs as Python sees them: run a suite, load a run folder, look at its tables."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cibench import store
from cibench.errors import BadInput
from cibench.files import write_atomically

if TYPE_CHECKING:
    import pandas as pd

    from cibench.sensitivity import Study
    from cibench.suite import Suite

SCORES, COMPARISON = "scores.csv", "comparison.csv"
SENSITIVITY, CURVES = "sensitivity.csv", "curves.csv"
PAIRS, RANKS, FAILURES = "pairs.parquet", "ranks.csv", "failures.csv"
EXPECTATIONS, DIAGNOSTICS = "expectations.csv", "diagnostics.csv"
INSTABILITY, CALIBRATION = "instability.csv", "calibration.csv"


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
        """Write the tables and return the path of `scores.csv`.

        The others are `expectations.csv`, `sensitivity.csv`, `curves.csv`, `ranks.csv`,
        `failures.csv` and `pairs.parquet` always; `diagnostics.csv`, `instability.csv`,
        `calibration.csv` and `comparison.csv` where the run has diagnostics, refits, parameters
        drawn from a prior or published figures.
        """
        tables = {
            SCORES: self.scores, EXPECTATIONS: self.expectations, SENSITIVITY: self.sensitivity,
            CURVES: self.curves, RANKS: self.ranks, FAILURES: self.failures,
        }  # fmt: skip
        some = {
            DIAGNOSTICS: self.diagnostics, INSTABILITY: self.instability,
            CALIBRATION: self.calibration,
        }  # fmt: skip
        tables |= {name: table for name, table in some.items() if len(table)}
        if (compared := self.comparison) is not None:
            tables[COMPARISON] = compared
        for name, table in tables.items():
            write_atomically(self.folder / name, partial(table.to_csv, index=False))
        self.write_pairs()
        return self.folder / SCORES

    def write_pairs(self) -> Path:
        """Write `pairs.parquet`, with one cell in memory at a time, and return its path."""
        from cibench.pairs import write_pairs
        from cibench.suite_scoring import comparison

        path = self.folder / PAIRS
        write_pairs(self.folder, path, self.catalogue, comparison(self.suite))
        return path

    def write_report(self) -> Path:
        """Write `report.html`, `plots/` and `tables/` into the folder; return the report's path."""
        from cibench.report import Beside, write_report

        beside = Beside(
            self.comparison, self.study, self._default_pairs(), self.ranks, self.suite,
            self.expectations, self.diagnostics, self.instability, self.calibration,
        )  # fmt: skip
        told = self.replicates, self.scores, self.catalogue, self.manifest
        return write_report(self.folder, *told, beside)

    def _default_pairs(self) -> pd.DataFrame:
        """Return the comparisons that the report shows: a few measures, every dial at default."""
        from cibench.pairs import pairs
        from cibench.report.pairs import SHOWN
        from cibench.sensitivity.gather import at_default, dials_of
        from cibench.suite_scoring import comparison

        rows, known = self.replicates, self.catalogue.get("scenarios") or {}
        cells = rows[["scenario", "dials"]].drop_duplicates().itertuples(index=False)
        chosen = {(s, d) for s, d in cells if at_default(d, dials_of(known, s))}
        at = [pair in chosen for pair in zip(rows["scenario"], rows["dials"], strict=True)]
        return pairs(rows[at], self.catalogue, comparison(self.suite), tuple(SHOWN))

    def _repr_html_(self) -> str:
        from cibench.summary import summary

        title = f"<p>cibench run <b>{self.manifest['suite']}</b>, {self.place}</p>"
        lines = summary(self.scores, self.catalogue)
        lines["broken"] = lines["broken"].map({True: "▼", False: ""})
        return title + str(lines.to_html(index=False, escape=True))


def run(
    suite: str | Path | Mapping[str, Any] | Suite,
    out: str | Path | None = None,
    workers: int = 1,
    *,
    update: bool = False,
    repair: bool = False,
    executor: str | None = None,
) -> Run:
    """Run a suite, or what is missing of it in a run folder, and return the run.

    `suite` is a path, a built-in suite's name, a mapping with the content of a suite file or a
    `Suite`, `out` a folder or a URL such as s3://bucket/run. Without `out` the run folder is a
    temporary one that goes with the returned object.
    One worker is this process, without isolation; more are child processes that survive crashes
    and keep to the suite's `timeout` and `memory`; with an `executor` such as "dask://host:8786"
    they are those of a cluster. Raises BadInput for a faulty suite, a folder that is neither a run
    nor empty, rows that today would be others (`update` sets them aside) and damaged shards
    (`repair` runs again what they held).
    """
    if workers < 1:
        raise BadInput(f"workers: {workers} is not a number of 1 or more")
    from cibench.runner import execute
    from cibench.suite import Suite

    if isinstance(suite, Mapping):
        suite = Suite.parse(suite)
    elif not isinstance(suite, Suite):
        suite = Suite.find(suite)
    from cibench.storage.mirror import mirrored

    made = None if out else _temporary(f"cibench-{suite.name}-")
    with mirrored(made.folder if made else str(out)) as (folder, copying):
        execute(
            suite, folder, workers, isolate=workers > 1, update=update, repair=repair,
            executor=executor, listen=lambda _: copying.check() if copying else None,
        )  # fmt: skip
        if copying:
            return _copied(folder, str(out))
    return made or Run(folder)


def _temporary(prefix: str = "cibench-", url: str = "") -> Run:
    """Return a run in a temporary folder that goes with it."""
    made = Run(Path(tempfile.mkdtemp(prefix=prefix)), url)
    weakref.finalize(made, shutil.rmtree, made.folder, ignore_errors=True)
    return made


def _copied(folder: Path, url: str) -> Run:
    made = _temporary(url=url)
    shutil.copytree(folder, made.folder, dirs_exist_ok=True)
    return made


def load(path: str | Path) -> Run:
    """Return the run in a folder or at a URL; raises BadInput where there is none.

    A run at a URL is copied, to a temporary folder that goes with the returned object.
    """
    from cibench.addresses import is_url
    from cibench.storage.mirror import fetched

    if is_url(str(path)):
        with fetched(path) as here:
            run = _copied(here, str(path))
    else:
        run = Run(Path(path))
    store.read_manifest(run.folder)
    return run
