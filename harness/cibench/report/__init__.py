"""The report of a finished run: one self-contained HTML page, its plots and tables as files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from cibench.utils.files import make_folder, write_bytes, write_text
from cibench.utils.foreign import own_file
from cibench.utils.leftovers import clear

if TYPE_CHECKING:
    from cibench.render.figures import Plot
    from cibench.report.contents import Reported

__all__ = ["write_report"]


def write_report(folder: Path, run: Reported) -> Path:
    """Write `report.html`, `plots/` and `tables/` into a run folder; return the report's path.

    Takes a run's tables by name (`cibench.results.tables.RunTables`), of a folder or of a
    DataFrame of rows, so that a run can be reported again without what made it.
    """
    from cibench.report.contents import Contents
    from cibench.report.page import page
    from cibench.report.paper_tables import write_tables

    plots, tables = (own_file(folder, name) for name in ("plots", "tables"))
    for place in (folder, plots, tables):
        clear(place)
    contents = Contents(run, folder)
    _save(plots, contents.plots)
    write_tables(tables, contents)
    path = folder / "report.html"
    write_text(path, page(contents))
    return path


def _save(folder: Path, plots: Iterable[Plot]) -> None:
    make_folder(folder)
    for plot in plots:
        for ending, content in (("svg", plot.svg), ("png", plot.png)):
            write_bytes(folder / f"{plot.name}.{ending}", content)
