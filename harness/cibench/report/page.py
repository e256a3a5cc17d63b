"""Put the page together: one file that asks nothing of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby
from typing import TYPE_CHECKING, Any

from cibench.report.breakdowns import breakdown_section
from cibench.report.failures import fits, lost_fits, reasons
from cibench.report.figures import Plot
from cibench.report.headline import headline
from cibench.report.labels import slug
from cibench.report.markup import Html, h, join
from cibench.report.numbers import count, percent
from cibench.report.published import published_section
from cibench.report.sections import (
    Drawn,
    figure,
    methods_section,
    provenance_section,
    scenario_section,
)
from cibench.report.tables import diagnostic_table
from cibench.report.views import View

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Report:
    """Hold all that a page is written from; rows and scores are labelled, `stored` counts rows."""

    views: Sequence[View]
    drawn: Drawn
    failures: Sequence[Plot]
    rows: pd.DataFrame
    scores: pd.DataFrame
    catalogue: Mapping[str, Any]
    manifest: Mapping[str, Any]
    stored: int
    comparison: pd.DataFrame | None = None


def page(report: Report) -> str:
    """Return the HTML document."""
    title = f"{report.manifest.get('suite') or 'run'} · cibench"
    scenarios = {
        name: list(views) for name, views in groupby(
            sorted(report.views, key=lambda v: _place(report.views, v.scenario)),
            key=lambda v: v.scenario,
        )
    }  # fmt: skip
    body = h(
        "body", _header(report, list(scenarios)),
        h("main", headline(report.views, report.catalogue),
          breakdown_section(report.views),
          [scenario_section(views, report.drawn) for views in scenarios.values()],
          _published(report), _diagnostics(report), _failures(report),
          methods_section(report.rows["estimator"].unique(), report.catalogue),
          provenance_section(report.manifest, report.stored)),
        h("script", Html(_asset("script.js"))),
    )  # fmt: skip
    head = h(
        "head", h("meta", charset="utf-8"),
        h("meta", name="viewport", content="width=device-width, initial-scale=1"),
        h("title", title), h("style", Html(_asset("style.css"))),
    )  # fmt: skip
    return join(Html("<!doctype html>\n"), h("html", head, body, lang="en"), "\n")


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
    links = [h("a", "Findings", href="#findings")]
    if any(view.doses.broken for view in report.views):
        links.append(h("a", "Breakdown points", href="#breakdown"))
    links += [h("a", name, href=f"#{slug(f'scenario {name}')}") for name in scenarios]
    parts = ["Failures", "Methods", "Provenance"]
    if report.comparison is not None:
        parts.insert(0, "Published")
    if "diagnostic" in set(report.scores["kind"]):
        parts.insert(0, "Diagnostics")
    links += [h("a", part, href=f"#{part.lower()}") for part in parts]
    return h(
        "header", h("h1", str(manifest.get("suite") or "A run")),
        h("p", " · ".join(part for part in said if part)), h("nav", links),
    )  # fmt: skip


def _published(report: Report) -> Html | None:
    return None if report.comparison is None else published_section(report.comparison)


def _diagnostics(report: Report) -> Html | None:
    scores = report.scores[report.scores["kind"] == "diagnostic"].to_dict("records")
    if not scores:
        return None
    return h(
        "section", h("h2", "Diagnostics"),
        h("p", "How often each diagnostic raised the alarm, with 95 % Wilson limits: at the "
          "default an alarm is false, along a dial that breaks what it tests it is right.",
          cls="note"),
        diagnostic_table(scores), id="diagnostics",
    )  # fmt: skip


def _failures(report: Report) -> Html:
    every, lost = fits(report.scores), lost_fits(report.rows)
    if lost.empty:
        body = h("p", f"No failures in {count(every, 'fit')}.")
    else:
        body = join(
            h("p", f"{count(len(lost), 'fit')} of {every:,} gave no answer."),
            h("div", [figure(plot) for plot in report.failures], cls="plots"),
            reasons(lost),
        )
    return h("section", h("h2", "Failures"), body, id="failures")


def _asset(name: str) -> str:
    return files("cibench.report").joinpath(name).read_text(encoding="utf-8")
