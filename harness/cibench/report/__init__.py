"""The report of a finished run: plots as files, and one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cibench.files import write_atomically

if TYPE_CHECKING:
    import pandas as pd

    from cibench.report.figures import Plot
    from cibench.report.views import View
    from cibench.sensitivity import Study

__all__ = ["write_report"]


def write_report(
    folder: Path,
    rows: pd.DataFrame,
    scores: pd.DataFrame,
    catalogue: Mapping[str, Any],
    manifest: Mapping[str, Any],
    comparison: pd.DataFrame | None = None,
    study: Study | None = None,
) -> Path:
    """Write `report.html` and `plots/` into a run folder and return the report's path.

    Takes plain tables and mappings, so that a run can be reported again without what made it.
    `comparison` puts scores beside published figures, `study` says where methods break. Fits
    repeated on one data set (`refit` above zero) are left out.
    """
    from cibench.report.failures import failure_plot
    from cibench.report.labels import label
    from cibench.report.page import Report, page
    from cibench.report.views import cut

    stored = len(rows)
    rows = label(rows[~(rows["refit"] > 0)], catalogue)
    scores = label(scores, catalogue)
    views = cut(rows, scores, catalogue, study)
    drawn = {view.slug: list(_plots(view, views)) for view in views}
    by_scenario = rows[rows["kind"] == "estimate"].groupby("scenario", sort=False)
    failures = [plot for name, part in by_scenario if (plot := failure_plot(str(name), part))]
    report = Report(views, drawn, failures, rows, scores, catalogue, manifest, stored, comparison)
    _save(folder / "plots", [*(p for plots in drawn.values() for p in plots), *failures])
    text, path = page(report), folder / "report.html"
    write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))
    return path


def _plots(view: View, views: Sequence[View]) -> Iterator[Plot]:
    """Draw a view's plots; within a scenario a method looks the same in all of them."""
    from cibench.report.curves import curve
    from cibench.report.figures import looks
    from cibench.report.forest import forest
    from cibench.report.intervals import zip_plot
    from cibench.report.spread import distribution

    siblings = (v for v in views if v.scenario == view.scenario)
    look = looks(list(dict.fromkeys(method for v in siblings for method in v.methods)))
    yield from filter(None, (forest(view, look), distribution(view, look)))
    yield from (curve(view, dial, look) for dial in view.dials)
    yield from filter(None, (zip_plot(view),))


def _save(folder: Path, plots: Sequence[Plot]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for plot in plots:
        for ending, content in (("svg", plot.svg), ("png", plot.png)):
            write_atomically(folder / f"{plot.name}.{ending}", partial(_write, content))


def _write(content: bytes, path: Path) -> None:
    path.write_bytes(content)
