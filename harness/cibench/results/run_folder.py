"""A run folder as Python sees it: each table is read or computed when it is asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from html import escape
from math import isfinite, isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from cibench.render.shell import command, place
from cibench.results.tables import BY_NAME, RunTables
from cibench.storage.manifest import PUBLISHED, order_of, read_catalogue, read_manifest, read_suite
from cibench.storage.reader import read_rows
from cibench.suite.rows_elsewhere import MADE_ELSEWHERE
from cibench.utils.errors import BadInput, Unfinished, Unwritable, unknown
from cibench.utils.files import make_folder, write_bytes, write_csv
from cibench.utils.foreign import own_file
from cibench.utils.toml import several

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from cibench.render.figures import Plot, Style
    from cibench.report.paper_tables import PaperTable


Names = str | Sequence[str]


def _style(width: str, grey: bool) -> Style:
    from cibench.render.figures import Style, inches

    return Style(inches(width), grey)


def _hexadecimal(numbers: pd.Series[float]) -> list[str | None]:
    """Return numbers as C writes them with %a; infinite ones as R spells them."""
    return [
        None if isnan(x) else x.hex() if isfinite(x) else "Inf" if x > 0 else "-Inf"
        for x in numbers.astype(float)
    ]


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
    process_changes = _TableOf("process_changes")
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
        figures = own_file(self.folder, PUBLISHED)
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
        return read_rows(self.folder, order_of(self.manifest))

    def write_scores(self) -> Path:
        """Write the tables into the folder and return the path of `scores.csv`.

        All tables and what a report draws come from one pass over the rows, a cell at a time.
        Raises Unfinished, a BadInput, where a disk is full or the folder cannot be written.
        """
        with _writing("all rows are kept", command("score", place(self.place))):
            self.tables.write(self.folder)
        return self.folder / BY_NAME["scores"].file

    def write_report(self) -> Path:
        """Write `report.html`, `plots/` and `tables/` into the folder; return the report's path.

        Raises Unfinished, a BadInput, where a disk is full or the folder cannot be written.
        """
        from cibench.report import write_report

        with _writing("all rows and scores are kept", command("report", place(self.place))):
            self.tables.prepare_report()
            return write_report(self.folder, self.tables)

    def table(
        self, rows: Names = ("method", "setting"), columns: Names = (), measures: Names = (),
        where: Mapping[str, Any] | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        r"""Return scores in the shape of a paper's table, each with its Monte Carlo error.

        `rows` and `columns` are fields: `method`, `scenario`, `setting`, `n`, `estimand`,
        `horizon`, `level`, and dials and parameters by name. `where` selects by field, by a value,
        a glob or several of these. What differs and is in neither rows nor columns comes first in
        the index. The columns end in `measure` and `part`: `value`, `mcse` and, of shares, Wilson's
        `low` and `high`; all are numbers of `scores.csv`. What is hidden there is NaN, and
        `attrs["notes"]` says why. `table_text` writes the same as text.
        Raises BadInput for fields, measures and values that the run does not have.

        >>> import cibench
        >>> methods = ["did/collapsed", "naive/difference-in-means"]
        >>> cell = {"scenario": "did/two-group", "n": [30, 60], "estimators": methods}
        >>> run = cibench.run({"name": "small", "seed": 1, "replicates": 20, "cells": [cell]})
        >>> table = run.table("method", "n", "bias")
        >>> table.loc["did/collapsed", (60, "bias", "value")] == run.scores["bias"][2]
        np.True_
        >>> print(run.table_text("latex", "method", "n", "bias").splitlines()[3])
        \caption[did/two-group: ATT, nominal level 95 \%]{did/two-group: ATT, nominal level 95 \%}
        """
        return self._paper(rows, columns, measures, where).frame()

    def table_text(
        self, form: str = "markdown", rows: Names = ("method", "setting"), columns: Names = (),
        measures: Names = (), where: Mapping[str, Any] | None = None,
    ) -> str:  # fmt: skip
        """Return the text of `table` as markdown, latex, html, typst or csv, footnotes below.

        See `table`; the numbers of csv are exact, and it has no footnotes.
        """
        return self._paper(rows, columns, measures, where).text(form)

    def _paper(
        self, rows: Names, columns: Names, measures: Names, where: Mapping[str, Any] | None
    ) -> PaperTable:
        from cibench.report.paper_tables import LabelledScores, PaperTable, Shape

        down, across, named = (tuple(several(names)) for names in (rows, columns, measures))
        shape = Shape(down, across, named, where)
        return PaperTable(LabelledScores(self.tables), shape)

    def figure(
        self, kind: str, dial: str | None = None, where: Mapping[str, Any] | None = None,
        width: str = "17cm", *, grey: bool = False,
    ) -> Figure:  # fmt: skip
        """Return a figure for a paper as matplotlib has it, to be changed and saved.

        `kind` is dose-response, of one dial, or forest, distribution or zip, of the cell with every
        dial at its default. `where` selects as for `table`; `width` is a length in cm, mm, in or
        pt; without colours it is `grey`.
        Raises BadInput for what the run does not have, and where several figures are meant.

        See `table`, of the same run.
        """
        from cibench.render.figures import styled
        from cibench.report.paper_figures import choices

        with styled(_style(width, grey)):
            plots = self.plots(kind, dial, where)
            if len(plots) > 1:
                raise BadInput(f"figure: {len(plots)} are meant; choose one: {choices(plots)}")
            return plots[0].figure()

    def plots(
        self, kind: str, dial: str | None = None, where: Mapping[str, Any] | None = None
    ) -> list[Plot]:
        """Return the figures of a kind, each with its name and caption, to be painted.

        See `figure`, which paints one.
        """
        from cibench.report.contents import Contents
        from cibench.report.paper_figures import paper_plots

        self.tables.prepare_report()
        return paper_plots(Contents(self.tables, self.folder), kind, dial, where)

    def write_figures(
        self, folder: Path, kind: str, dial: str | None = None,
        where: Mapping[str, Any] | None = None, *, width: str = "17cm", form: str = "pdf",
        grey: bool = False,
    ) -> list[Path]:  # fmt: skip
        """Write the figures of a kind into a folder, as pdf, svg or png, and return their paths.

        Raises BadInput as `figure` does, but for several, and where the folder cannot be written.

        See `figure`, of which these are files.
        """
        from cibench.render.figures import saved, styled
        from cibench.report.paper_figures import DPI, FORMATS

        if form not in FORMATS:
            raise BadInput(f"format: {unknown('format', form, FORMATS)}")
        with styled(_style(width, grey)):
            drawn = {p.name: saved(p.figure(), form, DPI) for p in self.plots(kind, dial, where)}
        make_folder(folder)
        paths = {folder / f"{name}.{form}": content for name, content in drawn.items()}
        for path, content in paths.items():
            write_bytes(path, content)
        return list(paths)

    def write_replicates(self, path: Path, *, hexadecimal: bool = False) -> Path:
        """Write the replicate rows as CSV, every number exact, and return the path.

        Each dial has a column of its own beside `dials`, with its number in every row, at its
        default too; `dial` and `setting` name the one that is moved alone. What a row has not is
        NA. Python, Julia and C read the decimals back to the bit; R's last bit is another now and
        then, unless they are `hexadecimal`, which R reads as numbers too.
        Raises BadInput where it cannot be written.

        See `replicates`, which these are.
        """
        source = (self.manifest.get(MADE_ELSEWHERE) or {}).get("source")
        if source and path.name == source and path.exists():
            raise BadInput(f"{path}: it may be the table that was scored; name another file")
        rows = _with_dials(self.replicates)
        if hexadecimal:
            for name in rows.select_dtypes("float").columns:
                rows[name] = _hexadecimal(rows[name])
        write_csv(path, rows, blank="NA")
        return path

    def _repr_html_(self) -> str:
        from cibench.report.summary import summary, summary_notes

        title = f"<p>cibench run <b>{self.manifest['suite']}</b>, {self.place}</p>"
        lines = summary(self.scores, self.expectations, self.catalogue)
        lines["broken"] = lines["broken"].map({True: "▼", False: ""})
        notes = "".join(
            f"<p>{escape(note)}</p>" for note in summary_notes(self.scores, self.catalogue)
        )
        return title + str(lines.to_html(index=False, escape=True)) + notes


def _with_dials(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with a column of numbers for each dial; what a scenario has not is NaN."""
    import numpy as np
    import pandas as pd

    from cibench.render.labels import parse

    codes, texts = pd.factorize(rows["dials"])
    maps = [*map(parse, texts), {}]  # the last one is of rows without any
    place, columns = list(rows.columns).index("dials") + 1, {}
    for name in dict.fromkeys(name for each in maps for name in each):
        values = np.array([float(each.get(name, "nan")) for each in maps])
        columns[f"{name}_dial" if name in rows else name] = values[codes]
    beside = pd.DataFrame(columns, index=rows.index)
    return pd.concat([rows.iloc[:, :place], beside, rows.iloc[:, place:]], axis=1)
