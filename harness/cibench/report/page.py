"""Put the page together: one file that asks nothing of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cibench.render.figures import Plot, figure
from cibench.render.html import Html, document, h, join
from cibench.render.labels import parse, slug
from cibench.render.numbers import count, percent
from cibench.render.replay_command import command
from cibench.report.headline import headline
from cibench.report.sections.assumptions import Worlds, worlds
from cibench.report.sections.breakdowns import breakdown_section
from cibench.report.sections.diagnostics import pretest_section
from cibench.report.sections.expectations import Line, expected_section
from cibench.report.sections.failures import fits, lost_fits, reasons
from cibench.report.sections.leaderboard import ranks_section
from cibench.report.sections.published import published_section
from cibench.report.sections.run_facts import (
    Drawn,
    ademp_section,
    methods_section,
    provenance_section,
    scenario_section,
)
from cibench.report.views import View

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Report:
    """Hold all that a page is written from.

    Rows and scores are labelled; `refits` counts the rows of repeated fits, which are in neither.
    """

    views: Sequence[View]
    drawn: Drawn
    failures: Sequence[Plot]
    rows: pd.DataFrame
    scores: pd.DataFrame
    catalogue: Mapping[str, Any]
    manifest: Mapping[str, Any]
    refits: int
    comparison: pd.DataFrame | None = None
    ranks: pd.DataFrame | None = None
    suite: Mapping[str, Any] = field(default_factory=dict)
    expected: Sequence[Line] = ()
    pretests: Sequence[Line] = ()
    seen: Sequence[Plot] = ()
    seeds: Html | None = None
    posteriors: Html | None = None
    folder: Path = Path()


def page(report: Report) -> str:
    """Return the HTML document."""
    title = f"{report.manifest.get('suite') or 'run'} · cibench"
    scenarios = {
        name: list(views) for name, views in groupby(
            sorted(report.views, key=lambda v: _place(report.views, v.scenario)),
            key=lambda v: v.scenario,
        )
    }  # fmt: skip
    return document(
        title, _header(report, list(scenarios)),
        h("main", expected_section(report.expected), headline(report.views),
          ranks_section(report.ranks, report.scores, report.suite.get("ranking") or {}),
          breakdown_section(report.views),
          [scenario_section(views, report.drawn, partial(_worlds, report))
           for views in scenarios.values()],
          _published(report), _diagnostics(report), report.seeds, report.posteriors,
          _failures(report),
          ademp_section(report.views, report.rows, report.catalogue, report.manifest),
          methods_section(report.rows["estimator"].unique(), report.catalogue),
          provenance_section(report.manifest, len(report.rows), report.refits)),
    )  # fmt: skip


def _place(views: Sequence[View], scenario: str) -> int:
    return next(i for i, view in enumerate(views) if view.scenario == scenario)


def _header(report: Report, scenarios: Sequence[str]) -> Html:
    rows, manifest = report.rows, report.manifest
    level = {view.level for view in report.views}
    said = [
        count(fits(report.scores), "fit"), count(rows["estimator"].nunique(), "method"),
        count(rows["scenario"].nunique(), "scenario"),
        f"nominal level {' or '.join(percent(x) for x in sorted(level))} %" if level else "",
        str(manifest.get("created") or "")[:10],
    ]  # fmt: skip
    opening = ["Surprises"] if any(row["expected"] for row in report.expected) else []
    links = [h("a", part, href=f"#{part.lower()}") for part in (*opening, "Findings")]
    if report.ranks is not None and not report.ranks.empty:
        links.append(h("a", "Leaderboard", href="#leaderboard"))
    if any(view.doses.broken for view in report.views):
        links.append(h("a", "Breakdown points", href="#breakdown"))
    links += [h("a", name, href=f"#{slug(f'scenario {name}')}") for name in scenarios]
    parts = ["Failures", "ADEMP", "Methods", "Provenance"]
    if report.comparison is not None:
        parts.insert(0, "Published")
    if report.posteriors is not None:
        parts.insert(0, "Calibration")
    if report.seeds is not None:
        parts.insert(0, "Seeds")
    if report.pretests:
        parts.insert(0, "Diagnostics")
    links += [h("a", part, href=f"#{part.lower()}") for part in parts]
    return h(
        "header", h("h1", str(manifest.get("suite") or "A run")),
        h("p", " · ".join(part for part in said if part)), h("nav", links),
    )  # fmt: skip


def _worlds(report: Report, view: View) -> Html | None:
    scores = report.scores
    here = scores[(scores["kind"] == "diagnostic") & (scores["scenario"] == view.scenario)]
    alarms = [
        score for score in here[here["n"] == view.n].to_dict("records")
        if parse(score["parameters"]) == view.parameters
    ]  # fmt: skip
    return worlds(Worlds(view, report.catalogue.get("estimators") or {}, alarms))


def _published(report: Report) -> Html | None:
    return None if report.comparison is None else published_section(report.comparison)


def _diagnostics(report: Report) -> Html | None:
    return pretest_section(report.pretests, [figure(plot) for plot in report.seen])


def _failures(report: Report) -> Html:
    every, lost = fits(report.scores), lost_fits(report.rows)
    if lost.empty:
        body = h("p", f"No failures in {count(every, 'fit')}.")
    else:
        body = join(
            h("p", f"{count(len(lost), 'fit')} of {every:,} gave no answer."),
            h("div", [figure(plot) for plot in report.failures], cls="plots"),
            reasons(lost, lambda row: command(report.folder, row, report.catalogue)),
        )
    return h("section", h("h2", "Failures"), body, id="failures")
