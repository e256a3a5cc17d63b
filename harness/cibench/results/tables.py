"""The list of a run's tables: what each is called, where it is written, what it rests on.

The files of a run folder follow this list, and tests hold the attributes of `Run`, the sections of
the report and README's table to it; `ARCHITECTURE.md` says how to add one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cibench.analysis.one_pass import Cells, Collector, collect
from cibench.analysis.scores import SHOW_MOMENTS
from cibench.metrics import METRICS
from cibench.metrics.registry import NORMAL
from cibench.render.labels import LABELS, unknown_labels, with_labels
from cibench.storage import cells, cells_of
from cibench.storage.manifest import order_of
from cibench.storage.stops import with_stops
from cibench.utils.errors import BadInput
from cibench.utils.files import write_csv
from cibench.utils.leftovers import clear

if TYPE_CHECKING:
    import pandas as pd

    from cibench.analysis.comparisons import Comparisons, PairCollector
    from cibench.analysis.sensitivity import Study
    from cibench.report.answers import Answers

T = TypeVar("T")
Make = Callable[["RunTables"], Collector[Any]]


class When(StrEnum):
    """Say when a table is written."""

    ALWAYS = "always"
    WITH_ROWS = "where it has rows"
    PUBLISHED = "where the suite names published figures"


@dataclass(frozen=True)
class Table:
    """Describe a table: its name, its file, what it holds, and how it is made.

    `collects` are the collectors that must see a run's rows; the table is what the last of them
    makes of these, or what `compute` does then.
    """

    name: str
    file: str
    meaning: str
    collects: tuple[Make, ...]
    compute: Callable[[RunTables], pd.DataFrame] | None = None
    when: When = When.ALWAYS


class RunTables(Mapping[str, "pd.DataFrame"]):
    """Give a run's tables by name, each computed when it is first asked for.

    One pass over the rows serves as many tables as are prepared together; what it collected is
    kept for those that are asked for later. `catalogue`, `manifest` and `suite` are those of a
    run, `published` is a CSV file of figures. Raises BadInput where the rows lack columns.

    >>> import cibench
    >>> from cibench.results import RunTables
    >>> cell = {"scenario": "did/two-group", "n": 30, "estimators": "did/collapsed"}
    >>> run = cibench.run({"name": "small", "seed": 1, "replicates": 20, "cells": [cell]})
    >>> some = run.replicates[run.replicates["replicate"] < 10]
    >>> tables = RunTables.of_rows(some, run.catalogue)
    >>> int(tables["scores"]["answered"].sum()), len(tables["failures"])
    (10, 0)
    """

    def __init__(
        self,
        cells: Cells,
        catalogue: Mapping[str, Any],
        manifest: Mapping[str, Any] | None = None,
        suite: Mapping[str, Any] | None = None,
        published: Path | None = None,
    ) -> None:
        self.cells, self.published = cells, published
        self.manifest, self.suite = manifest or {}, suite or {}
        labels = self.suite.get(LABELS) or {}
        if lines := [*unknown_labels(catalogue, labels, METRICS)]:
            raise BadInput(*lines)
        self.catalogue = with_labels(catalogue, self.suite)
        if self.suite.get(SHOW_MOMENTS):
            self.catalogue = {**self.catalogue, SHOW_MOMENTS: True}
        if self.suite.get("errors") == NORMAL:
            self.catalogue = {**self.catalogue, "errors": NORMAL}
            self.manifest = {**self.manifest, "errors": NORMAL}
        self._collectors: dict[Make, Collector[Any]] = {}
        self._collected: dict[Make, Any] = {}
        self._tables: dict[str, pd.DataFrame] = {}

    @classmethod
    def of_folder(cls, folder: Path, catalogue: Mapping[str, Any], **about: Any) -> RunTables:
        """Return the tables of the shards in a run folder, which are read cell by cell."""
        order = order_of(about.get("manifest") or {})
        return cls(partial(cells, folder, entrants=order), catalogue, **about)

    @classmethod
    def of_rows(cls, rows: pd.DataFrame, catalogue: Mapping[str, Any], **about: Any) -> RunTables:
        """Return the tables of a DataFrame of replicate rows."""
        return cls(lambda also: [cells_of(rows, also)], catalogue, **about)

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self._tables:
            table = BY_NAME[name]
            self._collect(table.collects)
            content = table.compute(self) if table.compute else self.collected(table.collects[-1])
            self._tables[name] = content
        return self._tables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(BY_NAME)

    def __len__(self) -> int:
        return len(BY_NAME)

    @property
    def shown_pairs(self) -> pd.DataFrame:
        """Return the comparisons that the report shows, which take a small part of all of them."""
        return self.collected(_pairs if self._has_seen(_pairs) else _shown_pairs).reported()

    @property
    def answers(self) -> Answers:
        """Return the answers that the report draws."""
        return self.collected(_answers)

    def prepare_scores(self) -> None:
        """Collect what all tables need, and what a report draws, in one pass over the rows."""
        self._collect([*(make for table in TABLES for make in table.collects), _answers])

    def prepare_report(self) -> None:
        """Collect what a report needs in one pass over the rows: of the comparisons only a few."""
        makes = [make for table in TABLES for make in table.collects if make is not _pairs]
        few = [] if self._has_seen(_pairs) else [_shown_pairs]
        self._collect([*makes, *few, _answers])

    def collected(self, make: Callable[[RunTables], Collector[T]]) -> T:
        """Return what a collector makes of the rows, which are read now if it has not seen them."""
        if make not in self._collected:
            self._collect([make])
            self._collected[make] = self._collectors.pop(make).table()
        result: T = self._collected[make]
        return result

    def write(self, folder: Path) -> None:
        """Write the tables into a folder."""
        clear(folder)
        self.prepare_scores()
        for table in TABLES:
            path = folder / table.file
            if path.suffix == ".parquet":
                self.collected(_pairs).write(path)
            elif self._is_due(table):
                write_csv(path, self[table.name])

    def _is_due(self, table: Table) -> bool:
        if table.when is When.PUBLISHED:
            return self.published is not None
        return table.when is When.ALWAYS or len(self[table.name]) > 0

    def _collect(self, makes: Sequence[Make]) -> None:
        new = {make: make(self) for make in dict.fromkeys(makes) if not self._has_seen(make)}
        if new:
            collect(self.cells, list(new.values()))
            self._collectors |= new

    def _has_seen(self, make: Make) -> bool:
        """Say whether a collector has seen the rows."""
        return make in self._collectors or make in self._collected


def _scores(run: RunTables) -> Collector[pd.DataFrame]:
    from cibench.analysis.scores import ScoreCollector

    return ScoreCollector(run.catalogue)


def _study(run: RunTables) -> Collector[Study]:
    from cibench.analysis.sensitivity import StudyCollector

    return StudyCollector(lambda: run["scores"], run.catalogue)


def _pairs(run: RunTables) -> Collector[Comparisons]:
    return _pair_collector(run)


def _shown_pairs(run: RunTables) -> Collector[Comparisons]:
    return _pair_collector(run, only_shown=True)


def _pair_collector(run: RunTables, *, only_shown: bool = False) -> PairCollector:
    from cibench.analysis.comparisons import PairCollector
    from cibench.suite.ranking import comparison

    return PairCollector(run.catalogue, comparison(run.suite), only_shown)


def _ranks(run: RunTables) -> Collector[pd.DataFrame]:
    from cibench.analysis.leaderboard import RankCollector
    from cibench.suite.ranking import Ranking

    spec = Ranking.of(run.suite)
    verdicts = lambda: run["expectations"]  # noqa: E731 - computed when it is asked for
    return RankCollector(lambda: run["scores"], verdicts, run.catalogue, run.manifest, spec)


def _failures(_: RunTables) -> Collector[pd.DataFrame]:
    from cibench.analysis.failures import FailureCollector

    return FailureCollector()


def _process_changes(_: RunTables) -> Collector[pd.DataFrame]:
    from cibench.analysis.process_changes import ProcessChangeCollector

    return ProcessChangeCollector()


def _diagnostics(run: RunTables) -> Collector[pd.DataFrame]:
    from cibench.analysis.diagnostics import DiagnosticCollector

    return DiagnosticCollector(run.catalogue)


def _instability(_: RunTables) -> Collector[pd.DataFrame]:
    from cibench.analysis.algorithm_seeds import InstabilityCollector

    return InstabilityCollector()


def _calibration(run: RunTables) -> Collector[pd.DataFrame]:
    from cibench.analysis.calibration import CalibrationCollector

    return CalibrationCollector(run.catalogue)


def _repeated(_: RunTables) -> Collector[pd.DataFrame]:
    from cibench.analysis.repeated_data import RepeatedDataCollector

    return RepeatedDataCollector()


def _equalities(run: RunTables) -> Collector[pd.DataFrame]:
    from cibench.analysis.equalities import EqualityCollector

    return EqualityCollector(run.catalogue, run.suite)


def _answers(run: RunTables) -> Collector[Answers]:
    from cibench.report.answers import AnswerCollector

    return AnswerCollector(run.catalogue)


def _expectations(run: RunTables) -> pd.DataFrame:
    from cibench.analysis.expectations import judge_expectations

    table = judge_expectations(run["scores"], run.catalogue, run.suite, run["failures"])
    return with_stops(table, run.manifest.get("stopped") or ())


def _comparison(run: RunTables) -> pd.DataFrame:
    from cibench.analysis.published import compare_published
    from cibench.suite.published import read_published

    figures = read_published(run.published) if run.published else []
    return compare_published(run["scores"], figures)


TABLES = (
    Table(
        "scores", "scores.csv",
        "every measure of each method in each cell, beside its Monte Carlo error", (_scores,),
    ),
    Table(
        "expectations", "expectations.csv",
        "what was expected of each method in each cell, and the verdict on it",
        (_scores, _failures), _expectations,
    ),
    Table(
        "equalities", "equalities.csv",
        "whether methods agree that the suite states to be equal, replicate by replicate",
        (_equalities,), when=When.WITH_ROWS,
    ),
    Table(
        "sensitivity", "sensitivity.csv", "where each method breaks along each dial",
        (_scores, _study), lambda run: run.collected(_study).sensitivity,
    ),
    Table(
        "curves", "curves.csv", "the dose-response along each dial, with simultaneous bands",
        (_scores, _study), lambda run: run.collected(_study).curves,
    ),
    Table(
        "pairs", "pairs.parquet", "differences between methods on the same data, ties as ties",
        (_pairs,), lambda run: run.collected(_pairs).frame(),
    ),
    Table(
        "ranks", "ranks.csv", "leaderboards with confidence sets for the ranks",
        (_scores, _failures, _ranks),
    ),
    Table("failures", "failures.csv", "why fits gave no answer, tallied", (_failures,)),
    Table(
        "process_changes", "process_changes.csv",
        "fits that replaced names or settings of the process which they share, and which; what is "
        "added to shared objects is not seen",
        (_process_changes,), when=When.WITH_ROWS,
    ),
    Table(
        "repeated", "repeated.csv", "cells whose replicates share data sets, where there are any",
        (_repeated,), when=When.WITH_ROWS,
    ),
    Table(
        "diagnostics", "diagnostics.csv",
        "false alarms and detection of each diagnostic, and what passing it leaves of the methods",
        (_diagnostics,), when=When.WITH_ROWS,
    ),
    Table(
        "instability", "instability.csv",
        "what a method's own seed does to its answer, where the suite asks for refits",
        (_instability,), when=When.WITH_ROWS,
    ),
    Table(
        "calibration", "calibration.csv",
        "whether a posterior is calibrated, where parameters are drawn from its prior",
        (_calibration,), when=When.WITH_ROWS,
    ),
    Table(
        "comparison", "comparison.csv", "ours beside published figures, where the suite names some",
        (_scores,), _comparison, When.PUBLISHED,
    ),
)  # fmt: skip
"""All of them, in the order in which they are written."""

BY_NAME: Mapping[str, Table] = {table.name: table for table in TABLES}
