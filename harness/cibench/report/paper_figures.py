"""Figures for a paper: the report's, at a width of their own, of a part of a run."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cibench.render.figures import Plot, looks
from cibench.report.plots.distribution import distribution
from cibench.report.plots.dose_response import curve
from cibench.report.plots.forest import forest
from cibench.report.plots.zip_plot import zip_plot
from cibench.report.selection import selected
from cibench.report.views import KEYS, Score, View
from cibench.utils.errors import BadInput, unknown

if TYPE_CHECKING:
    from cibench.report.contents import Contents

KINDS = ("dose-response", "zip", "forest", "distribution")
FORMATS = ("pdf", "svg", "png")
DPI = 300


def paper_plots(
    contents: Contents, kind: str, dial: str | None = None, where: Mapping[str, Any] | None = None
) -> list[Plot]:
    """Return the figures of a kind, one for each part of the run that is looked at together.

    `dial` chooses among those of dose-response, `where` scenarios, sizes, targets, methods and
    settings as in a table. To be called, and painted, in the style of the paper. Raises BadInput
    for what the run does not have, and where nothing is left to draw.
    """
    if kind not in KINDS:
        raise BadInput(f"kind: {unknown('kind of figure', kind, KINDS)}")
    if dial is not None and kind != "dose-response":
        raise BadInput("dial: belongs to the kind dose-response")
    views = list(_views(contents, where or {}))
    dials = sorted({name for view in views for name in view.dials})
    if dial is not None and dial not in dials:
        raise BadInput(f"dial: {unknown('dial that was moved', dial, dials)}")
    drawn = [plot for view in views for plot in _plots(view, kind, dial)]
    if not drawn:
        raise BadInput(f"kind: there is nothing to draw as {kind}; {_why(kind)}")
    return drawn


def choices(plots: Sequence[Plot]) -> str:
    """Name figures of which one is to be chosen."""
    return "; ".join(f"{plot.alt.partition('. ')[0]} ({plot.title})" for plot in plots)


def _why(kind: str) -> str:
    if kind == "dose-response":
        return "no dial was moved by itself in what is selected"
    return "the cells with every dial at its default, with answers, are drawn"


def _views(contents: Contents, where: Mapping[str, Any]) -> Iterator[View]:
    """Yield the views of what is selected, with the methods and settings that are."""
    scores = contents.scores
    estimates = scores[scores["kind"] == "estimate"]
    catalogue = contents.run.catalogue
    chosen = selected(estimates, catalogue, where)
    kept = {
        (*_place(row), row["method"], row["at"])
        for row in chosen.to_dict("records")
    }  # fmt: skip
    for view in contents.views:
        scored = {
            key: s for key, s in view.scores.items()
            if (*_place(s), *key) in kept
        }  # fmt: skip
        methods = tuple(m for m in view.methods if any(m == method for method, _ in scored))
        settings = tuple(s for s in view.settings if any(s.label == at for _, at in scored))
        if scored:
            broken = [line for line in view.doses.broken if line["method"] in methods]
            yield replace(
                view, scores=scored, methods=methods, settings=settings,
                doses=replace(view.doses, broken=broken),
            )  # fmt: skip


def _place(score: Score) -> tuple[Hashable, ...]:
    """Return what names the view that a score stands in."""
    return tuple(score[name] for name in KEYS)


def _plots(view: View, kind: str, dial: str | None) -> Iterator[Plot]:
    look = looks(view.methods)
    if kind == "dose-response":
        yield from (curve(view, name, look) for name in view.dials if dial in (None, name))
        return
    plot = (
        zip_plot(view) if kind == "zip" else forest(view, look) if kind == "forest"
        else distribution(view, look)
    )  # fmt: skip
    if plot is not None:
        yield plot
