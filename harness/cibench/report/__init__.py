"""The report of a finished run: one self-contained HTML page, its plots and tables as files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cibench.utils.files import make_folder, write_bytes, write_text

if TYPE_CHECKING:
    import pandas as pd

    from cibench.analysis.sensitivity import Study
    from cibench.render.figures import Plot
    from cibench.report.views import View

__all__ = ["Beside", "write_report"]

FEW = 5


@dataclass(frozen=True, eq=False)
class Beside:
    """Hold the tables that stand beside the scores.

    `comparison` puts scores beside published figures, `study` says where methods break, `pairs`
    how methods differ in the default cells, `ranks` are the leaderboards, `suite` is the content
    of the suite file: what is None leaves no section. `expected` says whether methods did what was
    expected, `pretests` scores diagnostics, `seeds` says what fits repeated on one data set
    showed, `posteriors` whether posteriors are calibrated: these are made where they are None,
    without a suite's expectations.
    """

    comparison: pd.DataFrame | None = None
    study: Study | None = None
    pairs: pd.DataFrame | None = None
    ranks: pd.DataFrame | None = None
    suite: Mapping[str, Any] = field(default_factory=dict)
    expected: pd.DataFrame | None = None
    pretests: pd.DataFrame | None = None
    seeds: pd.DataFrame | None = None
    posteriors: pd.DataFrame | None = None


def write_report(
    folder: Path,
    rows: pd.DataFrame,
    scores: pd.DataFrame,
    catalogue: Mapping[str, Any],
    manifest: Mapping[str, Any],
    beside: Beside | None = None,
) -> Path:
    """Write `report.html`, `plots/` and `tables/` into a run folder; return the report's path.

    Takes plain tables and mappings, so that a run can be reported again without what made it.
    Fits repeated on one data set (`refit` above zero) are left out of all but `beside.seeds`.
    """
    from cibench.render.labels import label
    from cibench.report.page import Report, page
    from cibench.report.paper_tables import write_tables
    from cibench.report.plots.diagnostics import pretest_plots
    from cibench.report.sections import diagnostics as diagnostic_section
    from cibench.report.sections import expectations as expected_section
    from cibench.report.sections.algorithm_seeds import seeds_section
    from cibench.report.sections.failures import failure_plot
    from cibench.report.sections.posteriors import calibrated_section
    from cibench.report.views import cut

    beside = beside or Beside()
    expected, pretests, seeds, posteriors = _completed(beside, rows, scores, catalogue)
    told = {
        name: expected[name].to_numpy()
        for name in ("expected", "broken", "verdict", "coverage_verdict")
    }
    rows, refits = label(rows[~(rows["refit"] > 0)], catalogue), int((rows["refit"] > 0).sum())
    scores = label(scores.assign(**told), catalogue)
    views = cut(rows, scores, catalogue, beside.study, beside.pairs)
    drawn = {view.slug: list(_plots(view, views)) for view in views}
    by_scenario = rows[rows["kind"] == "estimate"].groupby("scenario", sort=False)
    failures = [plot for name, part in by_scenario if (plot := failure_plot(str(name), part))]
    tests = diagnostic_section.lines(pretests, catalogue)
    seen = pretest_plots(diagnostic_section.doses(tests), tests)
    report = Report(
        views, drawn, failures, rows, scores, catalogue, manifest, refits, beside.comparison,
        beside.ranks, beside.suite, expected_section.lines(expected, catalogue), tests, seen,
        seeds_section(seeds, catalogue), calibrated_section(posteriors, catalogue), folder,
    )  # fmt: skip
    _save(folder / "plots", [*(p for ps in drawn.values() for p in ps), *failures, *seen])
    write_tables(folder / "tables", views, manifest)
    text, path = page(report), folder / "report.html"
    write_text(path, text)
    return path


def _completed(
    beside: Beside, rows: pd.DataFrame, scores: pd.DataFrame, catalogue: Mapping[str, Any]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return the tables that the rows alone give, as they are given or made here."""
    from cibench.analysis.algorithm_seeds import instability
    from cibench.analysis.calibration import calibration
    from cibench.analysis.diagnostics import diagnostics
    from cibench.analysis.expectations import expectations

    def given(table: pd.DataFrame | None, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        return make() if table is None else table

    return (
        given(beside.expected, lambda: expectations(scores, catalogue, {})),
        given(beside.pretests, lambda: diagnostics(rows, catalogue)),
        given(beside.seeds, lambda: instability(rows)),
        given(beside.posteriors, lambda: calibration(rows, catalogue)),
    )


def _plots(view: View, views: Sequence[View]) -> Iterator[Plot]:
    """Draw a view's plots; within a scenario a method looks the same in all of them.

    Distributions and intervals of fewer than FEW replicates show nothing that the table does not.
    """
    from cibench.render.figures import looks
    from cibench.report.plots.distribution import distribution
    from cibench.report.plots.dose_response import curve
    from cibench.report.plots.forest import forest
    from cibench.report.plots.zip_plot import zip_plot

    siblings = (v for v in views if v.scenario == view.scenario)
    look = looks(list(dict.fromkeys(method for v in siblings for method in v.methods)))
    many = max((int(s["answered"]) for s in view.scores.values()), default=0) >= FEW
    yield from filter(None, (forest(view, look), distribution(view, look) if many else None))
    yield from (curve(view, dial, look) for dial in view.dials)
    yield from filter(None, (zip_plot(view) if many else None,))


def _save(folder: Path, plots: Sequence[Plot]) -> None:
    make_folder(folder)
    for plot in plots:
        for ending, content in (("svg", plot.svg), ("png", plot.png)):
            write_bytes(folder / f"{plot.name}.{ending}", content)
