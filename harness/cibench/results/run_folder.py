"""A run folder as Python sees it: each table is read or computed when it is asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from cibench.results.tables import BY_NAME, RunTables
from cibench.storage.manifest import PUBLISHED, read_catalogue, read_manifest, read_suite
from cibench.storage.reader import read_rows
from cibench.utils.errors import Unfinished, Unwritable

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def _writing(kept: str, command: str) -> Iterator[None]:
    """Say in one line why not all could be written, what is kept and which command goes on.

    What waits for its turn lies in a temporary file without a name.
    """
    try:
        yield
    except Unwritable as error:
        raise Unfinished(str(error), kept, command) from error
    except OSError as error:
        place = error.filename or tempfile.gettempdir()
        raise Unfinished(f"{place}: {error.strerror or error}", kept, command) from error


class _TableOf:
    """Give an object's table of that name, as the list of tables describes it."""

    def __init__(self, name: str) -> None:
        self._table = BY_NAME[name]
        self.__doc__ = f"{self._table.file}: {self._table.meaning}."

    @overload
    def __get__(self, run: None, owner: type[Run]) -> _TableOf: ...
    @overload
    def __get__(self, run: Run, owner: type[Run]) -> pd.DataFrame: ...
    def __get__(self, run: Run | None, owner: type[Run]) -> _TableOf | pd.DataFrame:
        return self if run is None else run.tables[self._table.name]


@dataclass(frozen=True)
class Run:
    """Hold a run folder; its tables are read and computed on first access.

    Of a run in an object store `folder` is a copy that goes with the object, and `url` its place.
    In a notebook it shows itself as its scores, few columns with the errors beside. The functions
    of `cibench.analysis` say what the columns of the tables hold. Raises BadInput, on access, where
    the folder is no run or holds damaged files.

    >>> import cibench
    >>> cell = {"scenario": "did/two-group", "n": 30, "estimators": "did/collapsed"}
    >>> run = cibench.run({"name": "small", "seed": 1, "replicates": 20, "cells": [cell]})
    >>> list(run.tables)[:5]
    ['scores', 'expectations', 'equalities', 'sensitivity', 'curves']
    >>> len(run.replicates), len(run.scores), run.suite["seed"], run.write_scores().name
    (20, 1, 1, 'scores.csv')
    """

    folder: Path
    url: str = ""

    scores = _TableOf("scores")
    expectations = _TableOf("expectations")
    equalities = _TableOf("equalities")
    sensitivity = _TableOf("sensitivity")
    curves = _TableOf("curves")
    pairs = _TableOf("pairs")
    ranks = _TableOf("ranks")
    failures = _TableOf("failures")
    repeated = _TableOf("repeated")
    diagnostics = _TableOf("diagnostics")
    instability = _TableOf("instability")
    calibration = _TableOf("calibration")

    @property
    def comparison(self) -> pd.DataFrame | None:
        """Return our scores beside the figures that the suite's published table holds, if any."""
        return None if self.tables.published is None else self.tables["comparison"]

    @cached_property
    def tables(self) -> RunTables:
        """Return the tables by name; they share what one pass over the rows collects."""
        figures = self.folder / PUBLISHED
        return RunTables.of_folder(
            self.folder, self.catalogue, manifest=self.manifest, suite=self.suite,
            published=figures if figures.exists() else None,
        )  # fmt: skip

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
    def suite(self) -> dict[str, Any]:
        """Return the content of the suite file as it ran."""
        return read_suite(self.folder)

    @cached_property
    def replicates(self) -> pd.DataFrame:
        """Return one row per replicate, estimator and estimand, failures included."""
        return read_rows(self.folder)

    def write_scores(self) -> Path:
        """Write the tables into the folder and return the path of `scores.csv`.

        All tables and what a report draws come from one pass over the rows, a cell at a time.
        Raises Unfinished, a BadInput, where a disk is full or the folder cannot be written.
        """
        with _writing("all rows are kept", f"cibench score {self.place}"):
            self.tables.write(self.folder)
        return self.folder / BY_NAME["scores"].file

    def write_report(self) -> Path:
        """Write `report.html`, `plots/` and `tables/` into the folder; return the report's path.

        Raises Unfinished, a BadInput, where a disk is full or the folder cannot be written.
        """
        from cibench.report import write_report

        with _writing("all rows and scores are kept", f"cibench report {self.place}"):
            self.tables.prepare_report()
            return write_report(self.folder, self.tables)

    def _repr_html_(self) -> str:
        from cibench.report.summary import summary, summary_notes

        title = f"<p>cibench run <b>{self.manifest['suite']}</b>, {self.place}</p>"
        lines = summary(self.scores, self.expectations, self.catalogue)
        lines["broken"] = lines["broken"].map({True: "▼", False: ""})
        notes = "".join(
            f"<p>{escape(note)}</p>" for note in summary_notes(self.scores, self.catalogue)
        )
        return title + str(lines.to_html(index=False, escape=True)) + notes
