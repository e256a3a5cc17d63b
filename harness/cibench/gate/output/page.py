"""The HTML page of a check: the verdict, the worst cells with their fits, every cell."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from cibench.gate.comparison import CellResult, Comparison
from cibench.gate.compatibility import in_sentences
from cibench.gate.judge import MeasureVerdict
from cibench.gate.output import cell_views
from cibench.gate.output.cell_views import CellView, Replicate, changed_most
from cibench.gate.output.scatter import scatter
from cibench.gate.rules import MEANING, MEASURES, WORST_FIRST, ChangeVerdict
from cibench.render.figures import can_draw, figure, no_plots
from cibench.render.html import Html, breakable, document, facts, h, join
from cibench.render.labels import slug
from cibench.render.numbers import BLANK, count, number

CLASSES = {
    ChangeVerdict.WORSE: "worse", ChangeVerdict.STATISTICALLY: "changed",
    ChangeVerdict.NOT_COMPARABLE: "changed", ChangeVerdict.MOVED: "changed",
    ChangeVerdict.BETTER: "better", ChangeVerdict.NUMERICALLY: "", ChangeVerdict.IDENTICAL: "",
}  # fmt: skip
COLUMNS = (
    "measure", "change (error)", "before", "after", "simultaneous limits", "margin",
    "errors beyond", "verdict",
)  # fmt: skip


def case(view: CellView, comparison: Comparison) -> Html:
    """Return the part of the page about one cell."""
    cell = view.cell
    title = h("h3", tag(cell.verdict), view.method, h("span", f" {view.place}", cls="mc"))
    if cell.verdict is ChangeVerdict.NOT_COMPARABLE:
        return h("div", title, h("p", cell.why), id=anchor(view))
    some = changed_most(cell, comparison.rules.tolerance)
    plot = scatter(view, [r.replicate for r in some]) if can_draw() else None
    rest = [m for m in cell.measures if not m.changed]
    return h(
        "div", title,
        [h("p", words) for words in (cell_views.directions(view), cell_views.failure_line(cell))
         if words],
        [h("p", note, cls="note") for note in cell.notes],
        _measures(view.telling),
        h("details", h("summary", f"{count(len(rest), 'measure')} within the margins, or not shown "
                       "to be beyond"), _measures(rest)) if rest else None,
        h("div", figure(plot), cls="plots") if plot else None,
        _replicates(some, cell, comparison), id=anchor(view),
    )  # fmt: skip


def _measures(some: Sequence[MeasureVerdict]) -> Html:
    head = h("thead", h("tr", [h("th", name, scope="col") for name in COLUMNS]))
    return h("div", h("table", head, h("tbody", [_measure(one) for one in some])), cls="scroll")


def _measure(measure: MeasureVerdict) -> Html:
    span = " to ".join(cell_views.size(measure, end) for end in (measure.low, measure.high))
    numbers = (
        cell_views.change(measure), cell_views.value(measure, measure.before),
        cell_views.value(measure, measure.after), span,
        cell_views.margin(measure), cell_views.errors_beyond(measure),
    )  # fmt: skip
    verdict = str(measure.verdict) if measure.changed else "within" if measure.settled else "open"
    return h(
        "tr", h("th", MEASURES[measure.name].words, scope="row", cls="at"),
        [h("td", text, cls="num") for text in numbers], h("td", verdict, cls="at"),
    )  # fmt: skip


def _replicates(some: Sequence[Replicate], cell: CellResult, comparison: Comparison) -> Html | None:
    if not some:
        return None
    rows = [
        h("tr", h("td", str(r.replicate), cls="num"), h("td", _in_errors(r.change), cls="num"),
          h("td", _arrow(r.estimate), cls="num"), h("td", _arrow(r.std_error), cls="num"),
          h("td", _arrow(r.limits[:2]), cls="num"), h("td", _arrow(r.limits[2:]), cls="num"),
          h("td", " → ".join(dict.fromkeys(r.status)) + (f": {r.reason}" if r.reason else "")),
          h("td", h("code", cell_views.replay(comparison, cell, r.replicate)), cls="command"))
        for r in some
    ]  # fmt: skip
    names = (
        "replicate",
        "change",
        "estimate",
        "standard error",
        "lower limit",
        "upper limit",
        "status",
        "fit it again",
    )
    head = h("thead", h("tr", [h("th", name, scope="col") for name in names]))
    return h(
        "details", h("summary", "The replicates that changed most"),
        h("div", h("table", head, h("tbody", rows)), cls="scroll"), open=True,
    )  # fmt: skip


def _in_errors(change: float) -> str:
    return f"{number(change)} SE" if isfinite(change) else "no answer"


def _arrow(values: tuple[float, float]) -> str:
    return f"{number(values[0])} → {number(values[1])}"


def anchor(view: CellView) -> str:
    """Return the name by which links find a cell."""
    return slug(f"{view.place} {view.method}")


def tag(verdict: ChangeVerdict) -> Html:
    """Return a verdict as a small label."""
    return join(h("span", str(verdict), cls=f"tag {CLASSES[verdict]}".strip()), " ")


MOST_CELLS = 12
"""How many changed cells are shown with their fits; all stand in the table."""


def page(comparison: Comparison, views: Sequence[CellView]) -> str:
    """Return the HTML document."""
    name = str(comparison.provenance.get("baseline", "baseline"))
    suite = str(comparison.provenance.get("suite", ""))
    loud = [one for one in views if one.loud]
    links = [h("a", "Verdict", href="#verdict")]
    links += [h("a", "What changed", href="#changed")] if loud else []
    links += [h("a", part, href=f"#{part.lower()}") for part in ("Cells", "Rules", "Provenance")]
    subtitle = f"{suite} against baseline {name}" if suite else f"against baseline {name}"
    header = h("header", h("h1", "Check"), h("p", subtitle), h("nav", links))
    body = h(
        "main", _verdict(comparison, views), _changed(comparison, loud),
        _cells(comparison, views), _rules(comparison), _provenance(comparison),
    )  # fmt: skip
    return document(f"check {name} · cibench", header, body)


def _verdict(comparison: Comparison, views: Sequence[CellView]) -> Html:
    lines = [
        cell_views.level_line(comparison), cell_views.open_line(comparison),
        cell_views.unchecked_line(comparison),
    ]  # fmt: skip
    worst = [
        h("li", tag(view.cell.verdict), h("b", view.method, cls="method"), " in ",
          h("a", view.place, href=f"#{anchor(view)}"), ": ", cell_views.reasons(view)[0])
        for view in views if view.cell.verdict in comparison.rules.failing
    ][:5]  # fmt: skip
    return h(
        "section", h("h2", cell_views.headline(comparison), cls=CLASSES[comparison.verdict]),
        h("ul", worst, cls="words") if worst else None,
        [h("p", line) for line in in_sentences(comparison.provenance)] if comparison.provenance
        else None,
        [h("p", line[0].upper() + line[1:] + ".", cls="note") for line in lines if line],
        id="verdict",
    )  # fmt: skip


def _changed(comparison: Comparison, loud: Sequence[CellView]) -> Html | None:
    if not loud:
        return None
    more = len(loud) - MOST_CELLS
    return h(
        "section", h("h2", "What changed"),
        no_plots(),
        [case(one, comparison) for one in loud[:MOST_CELLS]],
        h("p", f"{count(more, 'more cell')} in the table below.", cls="note") if more > 0 else None,
        id="changed",
    )  # fmt: skip


def _cells(comparison: Comparison, views: Sequence[CellView]) -> Html:
    names = ("verdict", "where", "method", "fits", "single numbers", "worst measure", "run time")
    head = h("thead", h("tr", [h("th", h("button", n, type="button"), scope="col") for n in names]))
    rows = [_row(one, comparison) for one in views]
    table = h("table", head, h("tbody", rows), cls="sortable")
    return h(
        "section", h("h2", "Cells"),
        h("p", "Worst first. A click on a heading sorts. No verdict heeds the run time.",
          cls="note"),
        h("div", table, cls="tall"), id="cells",
    )  # fmt: skip


def _row(view: CellView, comparison: Comparison) -> Html:
    cell, (before, after) = view.cell, view.cell.replicates
    first = view.telling[0] if view.telling else None
    slower = cell.seconds[1] / cell.seconds[0] if cell.seconds[0] > 0 else float("nan")
    return h(
        "tr", h("td", tag(cell.verdict), data_v=WORST_FIRST.index(cell.verdict)),
        h("td", breakable(view.place)), h("td", breakable(view.method)),
        h("td", f"{before:,}" if before == after else f"{before:,}, {after:,}", cls="num",
          data_v=before),
        h("td", cell_views.largest_change(cell, comparison.rules.tolerance) or BLANK),
        h("td", cell.why or (f"{MEASURES[first.name].words} {cell_views.change(first)}" if first
                             else BLANK)),
        h("td", f"× {number(slower, slower / 10)}" if isfinite(slower) else BLANK, cls="num",
          data_v=f"{slower:g}" if isfinite(slower) else ""),
    )  # fmt: skip


def _rules(comparison: Comparison) -> Html:
    meanings = [(str(v), MEANING[v]) for v in WORST_FIRST]
    margins = [
        (m.words, cell_views.bare_margin(m.name, comparison.rules.margins[m.name]))
        for m in MEASURES.values()
    ]
    fails = " and ".join(str(v) for v in comparison.rules.failing) or "nothing"
    return h(
        "section", h("h2", "Rules"),
        h("p", f"The gate fails on {fails}. Numbers that differ by less than "
          f"{comparison.rules.tolerance:g} standard errors are the same."),
        facts(meanings), h("h3", "Margins"), facts(margins), id="rules",
    )  # fmt: skip


def _provenance(comparison: Comparison) -> Html:
    provenance = comparison.provenance
    rows = []
    for side in ("before", "after"):
        known = provenance.get(side) or {}
        imported = (known.get("imported") or {}).get("versions") or {}
        packages = {**imported, **(known.get("versions") or {})}
        versions = ", ".join(f"{name} {version}" for name, version in packages.items())
        rows += [
            (side, f"{known.get('created')}, seed {known.get('seed')}, "
                   f"{known.get('replicates')} replicates"),
            (f"versions {side}", versions),
            (f"platform {side}", f"{known.get('platform')}, Python {known.get('python')}"),
        ]  # fmt: skip
    return h("section", h("h2", "Provenance"), facts(rows if provenance else ()), id="provenance")
