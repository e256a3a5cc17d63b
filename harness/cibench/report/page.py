"""Put the page together: one file that asks nothing of a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from cibench.render.figures import no_plots
from cibench.render.html import Html, document, folded, h, join
from cibench.render.labels import slug
from cibench.render.numbers import count, percent
from cibench.render.replay_command import command
from cibench.report.contents import Contents
from cibench.report.headline import headline
from cibench.report.provenance_words import made_elsewhere
from cibench.report.sections.algorithm_seeds import seeds_section
from cibench.report.sections.bands import bands_section
from cibench.report.sections.breakdowns import breakdown_section
from cibench.report.sections.calibration import calibration_section
from cibench.report.sections.diagnostics import diagnostic_section
from cibench.report.sections.equalities import equality_section, unequal
from cibench.report.sections.expectations import expected_section
from cibench.report.sections.failures import fits, reasons
from cibench.report.sections.leaderboard import ranks_section
from cibench.report.sections.process_changes import process_changes_section
from cibench.report.sections.published import published_section
from cibench.report.sections.repeated_data import repeated_section
from cibench.report.sections.run_facts import (
    ademp_section,
    methods_section,
    provenance_section,
    scenario_section,
)
from cibench.report.sections.scenario_faults import undrawn_section
from cibench.report.views import View


class Section(NamedTuple):
    """Describe a section: its link's name and target, the tables that it tells, who writes it.

    Nothing is written where there is nothing to tell.
    """

    name: str
    anchor: str
    tables: tuple[str, ...]
    write: Callable[[Contents], Html | None]


def _failures(contents: Contents) -> Html:
    every, lost = fits(contents.scores), contents.failures
    if lost.empty:
        body = h("p", f"No failures in {count(every, 'fit')}.")
    else:
        body = join(
            h("p", f"{count(int(lost['fits'].sum()), 'fit')} of {every:,} gave no answer."),
            folded(
                "Where, and why",
                h("div", [contents.figure(plot) for plot in contents.failure_plots], cls="plots"),
                reasons(lost, lambda row: _one_of(contents, row)),
                whole=True,
            ),
        )
    return h("section", h("h2", "Failures"), body, id="failures")


def _one_of(contents: Contents, row: Mapping[Any, Any]) -> str:
    """Return how to look at one of the fits that a row counts."""
    if made_elsewhere(contents.run.manifest):
        return f"replicate {row['replicate']}"
    return command(contents.folder, row, contents.run.catalogue)


def _provenance(contents: Contents) -> Html:
    rows = int(contents.scores["replicates"].sum())
    return provenance_section(contents.run.manifest, rows, contents.run.answers.refits)


def _abridged(contents: Contents) -> Html | None:
    """Say what of many views the page has not, and where it is."""
    some, every = len(contents.detailed), len(contents.views)
    if some == every:
        return None
    return h(
        "section", h("h2", f"Of {every:,} sizes, parameters and targets, {some} in full"),
        h("p", "Findings, surprises and counts are of all of them. Heat maps, breakdown points, "
          "plots and score tables are of each scenario’s worst and of those with most surprises, "
          "then most breaks. scores.csv, expectations.csv, sensitivity.csv and tables/ have all."),
        id="abridged",
    )  # fmt: skip


OPENING = (
    Section("What is left out", "abridged", (), _abridged),
    Section("Undrawn data", "undrawn", (),
            lambda c: undrawn_section(c.run.manifest, c.folder, c.run.catalogue)),
    Section("Repeated data", "repeated", ("repeated",),
            lambda c: repeated_section(c.run["repeated"], c.run.catalogue)),
    Section("Surprises", "surprises", ("expectations",),
            lambda c: expected_section(c.expectations)),
    Section("Equalities", "equalities", ("equalities",),
            lambda c: equality_section(c.run["equalities"], c.run.catalogue, c.folder)),
    Section("Findings", "findings", ("scores",),
            lambda c: headline(c.views, c.detailed, unequal(c.run["equalities"]))),
    Section("Leaderboard", "leaderboard", ("ranks",),
            lambda c: ranks_section(c.run["ranks"], c.scores, c.run.suite.get("ranking") or {})),
    Section("Breakdown points", "breakdown", ("sensitivity",),
            lambda c: breakdown_section(c.detailed)),
)  # fmt: skip
"""What stands before the scenarios."""

OF_SCENARIO = ("scores", "curves", "pairs")
"""The tables that are told scenario by scenario, with plots."""

CLOSING = (
    Section("Joint coverage", "bands", ("expectations", "scores"),
            lambda c: bands_section(c.run["scores"], c.run["expectations"], c.run.catalogue)),
    Section("Diagnostics", "diagnostics", ("diagnostics",),
            lambda c: diagnostic_section(c.diagnostics, list(map(c.figure, c.diagnostic_plots)))),
    Section("Seeds", "seeds", ("instability",),
            lambda c: seeds_section(c.run["instability"], c.run.catalogue)),
    Section("Calibration", "calibration", ("calibration",),
            lambda c: calibration_section(c.run["calibration"], c.run.catalogue)),
    Section("Published", "published", ("comparison",),
            lambda c: published_section(c.run["comparison"])),
    Section("Failures", "failures", ("failures",), _failures),
    Section("Process changes", "process-changes", ("process_changes",),
            lambda c: process_changes_section(c.run["process_changes"])),
    Section("ADEMP", "ademp", ("scores",),
            lambda c: ademp_section(c.views, c.scores, c.run.catalogue, c.run.manifest)),
    Section("Methods", "methods", ("scores",),
            lambda c: methods_section(c.scores["estimator"].unique(), c.run.catalogue)),
    Section("Provenance", "provenance", (), _provenance),
)  # fmt: skip
"""What stands behind them."""


def page(contents: Contents) -> str:
    """Return the HTML document."""
    scenarios = {
        name: list(views) for name, views in groupby(
            sorted(contents.detailed, key=lambda v: _place(contents.detailed, v.scenario)),
            key=lambda v: v.scenario,
        )
    }  # fmt: skip
    opening, closing = ([(s, _write(s, contents)) for s in part] for part in (OPENING, CLOSING))
    links = [
        *_links(opening), *((name, slug(f"scenario {name}")) for name in scenarios),
        *_links(closing),
    ]  # fmt: skip
    return document(
        f"{contents.run.manifest.get('suite') or 'run'} · cibench", _header(contents, links),
        h("main", [part for _, part in opening],
          [scenario_section(v, contents) for v in scenarios.values()],
          [part for _, part in closing]),
    )  # fmt: skip


def _write(section: Section, contents: Contents) -> Html | None:
    """Write a section; a fault in it names it, and whose report it was to be in."""
    try:
        return section.write(contents)
    except Exception as error:
        error.add_note(f"in the section '{section.name}' of the report in {contents.folder}")
        raise


def _place(views: Sequence[View], scenario: str) -> int:
    return next(i for i, view in enumerate(views) if view.scenario == scenario)


def _links(written: Sequence[tuple[Section, Html | None]]) -> list[tuple[str, str]]:
    return [(section.name, section.anchor) for section, part in written if part is not None]


def _header(contents: Contents, links: Sequence[tuple[str, str]]) -> Html:
    scores, manifest = contents.scores, contents.run.manifest
    level = {view.level for view in contents.views}
    parts = [
        count(fits(scores), "fit"), count(scores["estimator"].nunique(), "method"),
        count(scores["scenario"].nunique(), "scenario"),
        f"nominal level {' or '.join(percent(x) for x in sorted(level))} %" if level else "",
        str(manifest.get("created") or "")[:10],
    ]  # fmt: skip
    return h(
        "header", h("h1", str(manifest.get("suite") or "A run")),
        h("p", " · ".join(part for part in parts if part)),
        no_plots(),
        h("nav", [h("a", name, href=f"#{anchor}") for name, anchor in links]),
    )  # fmt: skip
