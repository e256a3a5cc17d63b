"""What a page is written from: a run's tables, and what they become once people read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cibench.analysis.expectations import SURPRISES
from cibench.analysis.failures import commonest_reasons
from cibench.render.figures import Plot, can_draw, figure, looks
from cibench.render.html import Html
from cibench.render.labels import label, parse
from cibench.report.answers import Answers
from cibench.report.plots.diagnostics import dose_plots
from cibench.report.plots.distribution import distribution
from cibench.report.plots.dose_response import curve
from cibench.report.plots.forest import forest
from cibench.report.plots.zip_plot import zip_plot
from cibench.report.score_readings import broken
from cibench.report.sections import diagnostics, expectations
from cibench.report.sections.assumptions import Worlds, worlds
from cibench.report.sections.failures import failure_plot, labelled
from cibench.report.views import KEYS, View, by_view, cut, lines_of

if TYPE_CHECKING:
    import pandas as pd

FEW = 5
"""Distributions and intervals of fewer replicates show nothing that the table does not."""

MOST_VIEWS = 60
"""Views that a page has in full: with more, nobody scrolls it and no browser opens it."""

Line = Mapping[str, Any]


class Reported(Protocol):
    """A run as a report sees it: its tables by name, and what its folder says of it."""

    catalogue: Mapping[str, Any]
    manifest: Mapping[str, Any]
    suite: Mapping[str, Any]

    def __getitem__(self, name: str, /) -> pd.DataFrame:
        """Return a table."""

    @property
    def shown_pairs(self) -> pd.DataFrame:
        """Return the comparisons in default cells by the measures that a page shows."""

    @property
    def answers(self) -> Answers:
        """Return what is drawn of rows."""


@dataclass(frozen=True, eq=False)
class Contents:
    """Hold a run that is reported and the folder that its page goes to."""

    run: Reported
    folder: Path

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Return the score table, labelled, with what was expected beside it."""
        table, expected = self.run["scores"], self.run["expectations"]
        names = ("expected", "broken", "verdict", "coverage_verdict", "bias_verdict",
                 "bias_most", "se_ratio_verdict", "se_ratio_low", "se_ratio_high")  # fmt: skip
        beside = {name: expected[name].to_numpy() for name in names}
        beside["verdict_note"] = expected["note"].to_numpy()
        reasons = commonest_reasons(table, self.run["failures"])
        return label(table.assign(**beside, commonest_reason=reasons), self.run.catalogue)

    @cached_property
    def views(self) -> Sequence[View]:
        """Return the parts of the run that are looked at together."""
        run, scores = self.run, self.scores
        doses = by_view(run["sensitivity"], run["curves"], scores, KEYS)
        pairs = lines_of(run.shown_pairs, scores, KEYS, run.catalogue)
        return cut(scores, run.catalogue, doses, pairs, run.answers)

    @cached_property
    def detailed(self) -> Sequence[View]:
        """Return the views that the page has in full, in their order: all, where they are few.

        Of many: of each scenario its worst, then those with most surprises, then with most breaks.
        """
        if len(self.views) <= MOST_VIEWS:
            return self.views
        ranked = sorted(self.views, key=_how_bad)
        first = {view.scenario: view.slug for view in reversed(ranked)}.values()
        rest = [view.slug for view in ranked if view.slug not in first]
        chosen = {*first, *rest[: max(MOST_VIEWS - len(first), 0)]}
        return [view for view in self.views if view.slug in chosen]

    @cached_property
    def expectations(self) -> Sequence[Line]:
        """Return what was expected of each method, labelled."""
        return expectations.lines(self.run["expectations"], self.run.catalogue)

    @cached_property
    def diagnostics(self) -> Sequence[Line]:
        """Return the diagnostics' scores, labelled."""
        return diagnostics.lines(self.run["diagnostics"], self.run.catalogue)

    @cached_property
    def failures(self) -> pd.DataFrame:
        """Return the tallied failures, labelled."""
        return labelled(self.run["failures"], self.scores, self.run.catalogue)

    @cached_property
    def drawn(self) -> Mapping[str, Sequence[Plot]]:
        """Return the plots of each view, by its slug; none where nothing can be drawn."""
        if not can_draw():
            return {}
        return {view.slug: list(self._plots(view)) for view in self.detailed}

    @cached_property
    def failure_plots(self) -> Sequence[Plot]:
        """Return a plot for each scenario in which fits gave no answer."""
        if not can_draw():
            return []
        lost = labelled(self.run.answers.lost, self.scores, self.run.catalogue)
        names = dict.fromkeys(view.scenario for view in self.views)
        return [p for name in names if (p := failure_plot(name, lost, self.scores))]

    @cached_property
    def diagnostic_plots(self) -> Sequence[Plot]:
        """Return a plot for each dial for whose assumption there is a diagnostic."""
        if not can_draw():
            return []
        return dose_plots(diagnostics.doses(self.diagnostics), self.diagnostics)

    def figure(self, plot: Plot) -> Html:
        """Put a plot into the page; how to read such plots stands below the first of its kind."""
        return figure(plot, caption=self._first[plot.caption] == plot.name)

    @cached_property
    def _first(self) -> Mapping[str, str]:
        firsts: dict[str, str] = {}
        for plot in self.plots:
            firsts.setdefault(plot.caption, plot.name)
        return firsts

    @property
    def plots(self) -> Iterator[Plot]:
        """Yield all plots of the page."""
        for plots in self.drawn.values():
            yield from plots
        yield from (*self.failure_plots, *self.diagnostic_plots)

    def worlds(self, view: View) -> Html | None:
        """Return what holds in a view by construction, and what an analyst would have seen."""
        scores = self.scores
        here = scores[(scores["kind"] == "diagnostic") & (scores["scenario"] == view.scenario)]
        alarms = [
            score for score in here[here["n"] == view.n].to_dict("records")
            if parse(score["parameters"]) == view.parameters
        ]  # fmt: skip
        return worlds(Worlds(view, self.run.catalogue.get("estimators") or {}, alarms))

    def _plots(self, view: View) -> Iterator[Plot]:
        """Draw a view's plots; within a scenario a method looks the same in all of them."""
        siblings = (v for v in self.detailed if v.scenario == view.scenario)
        look = looks(list(dict.fromkeys(method for v in siblings for method in v.methods)))
        many = max((int(s["answered"]) for s in view.scores.values()), default=0) >= FEW
        yield from filter(None, (forest(view, look),))
        yield from (curve(view, dial, look) for dial in view.dials)
        yield from filter(None, (distribution(view, look), zip_plot(view)) if many else ())


def _how_bad(view: View) -> tuple[int, int]:
    scores = view.scores.values()
    return -sum(s["verdict"] in SURPRISES for s in scores), -sum(map(broken, scores))
