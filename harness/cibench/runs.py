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


@dataclass(frozen=True)
class Run:
    """Hold a run folder; its tables are read and computed on first access.

    In a notebook it shows itself as its score table.
    """

    folder: Path

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
    def comparison(self) -> pd.DataFrame | None:
        """Return our scores beside the figures that the suite's published table holds, if any."""
        from cibench.published import beside, read_published

        path = self.folder / store.PUBLISHED
        return beside(self.scores, read_published(path)) if path.exists() else None

    def write_scores(self) -> Path:
        """Write `scores.csv`, `sensitivity.csv` and `curves.csv`; `comparison.csv` if published."""
        path = self.folder / SCORES
        write_atomically(path, lambda p: self.scores.to_csv(p, index=False))
        for name, table in ((SENSITIVITY, self.sensitivity), (CURVES, self.curves)):
            write_atomically(self.folder / name, partial(table.to_csv, index=False))
        if (compared := self.comparison) is not None:
            write_atomically(self.folder / COMPARISON, lambda p: compared.to_csv(p, index=False))
        return path

    def write_report(self) -> Path:
        """Write `report.html` and `plots/` into the run folder and return the report's path."""
        from cibench.report import write_report

        return write_report(
            self.folder,
            self.replicates,
            self.scores,
            self.catalogue,
            self.manifest,
            self.comparison,
            self.study,
        )

    def _repr_html_(self) -> str:
        from cibench.summary import summary

        title = f"<p>cibench run <b>{self.manifest['suite']}</b>, {self.folder}</p>"
        lines = summary(self.scores, self.catalogue)
        lines["broken"] = lines["broken"].map({True: "▼", False: ""})
        return title + str(lines.to_html(index=False, escape=True))


def run(
    suite: str | Path | Mapping[str, Any] | Suite,
    out: str | Path | None = None,
    workers: int = 1,
) -> Run:
    """Run a suite and return the run.

    `suite` is a path, a built-in suite's name, a mapping with the content of a suite file or a
    `Suite`. Without `out` the run folder is a temporary one that goes with the returned object.
    One worker is this process, without isolation; more are child processes that survive crashes
    and keep to the suite's `timeout`. Raises BadInput for a faulty suite or a folder that is not
    empty.
    """
    if workers < 1:
        raise BadInput(f"workers: {workers} is not a number of 1 or more")
    from cibench.runner import execute
    from cibench.suite import Suite

    if isinstance(suite, Mapping):
        suite = Suite.parse(suite)
    elif not isinstance(suite, Suite):
        suite = Suite.find(suite)
    made = Run(Path(out or tempfile.mkdtemp(prefix=f"cibench-{suite.name}-")))
    if out is None:
        weakref.finalize(made, shutil.rmtree, made.folder, ignore_errors=True)
    execute(suite, made.folder, workers, isolate=workers > 1)
    return made


def load(path: str | Path) -> Run:
    """Return the run in a folder; raises BadInput where there is none."""
    run = Run(Path(path))
    store.read_manifest(run.folder)
    return run
