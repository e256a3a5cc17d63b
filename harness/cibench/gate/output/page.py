"""The HTML page of a check: the verdict, the worst cells with their fits, every cell."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from cibench.gate.comparison import CellResult, Comparison
from cibench.gate.compatibility import notes
from cibench.gate.judge import Judged
from cibench.gate.output import cell_views
from cibench.gate.output.cell_views import Replicate, Told, changed_most
from cibench.gate.output.scatter import scatter
from cibench.gate.rules import MEANING, MEASURES, WORST_FIRST, ChangeVerdict
from cibench.render.figures import figure
from cibench.render.html import Html, breakable, document, facts, h, join
from cibench.render.labels import slug
from cibench.render.numbers import BLANK, count, number

CLASSES = {
    ChangeVerdict.WORSE: "worse", ChangeVerdict.STATISTICALLY: "changed",
    ChangeVerdict.NOT_COMPARABLE: "changed",
    ChangeVerdict.BETTER: "better", ChangeVerdict.NUMERICALLY: "", ChangeVerdict.IDENTICAL: "",
}  # fmt: skip
COLUMNS = (
    "measure", "change (error)", "before", "after", "simultaneous limits", "margin",
    "errors beyond", "verdict",
)  # fmt: skip


def case(one: Told, found: Comparison) -> Html:
    """Return the part of the page about one cell."""
    cell = one.cell
    title = h("h3", tag(cell.verdict), one.method, h("span", f" {one.place}", cls="mc"))
    if cell.verdict is ChangeVerdict.NOT_COMPARABLE:
        return h("div", title, h("p", cell.why), id=anchor(one))
    some = changed_most(cell, found.rules.tolerance)
    plot = scatter(one, [r.replicate for r in some])
    rest = [m for m in cell.measures if not m.changed]
    return h(
        "div", title, [h("p", note, cls="note") for note in cell.notes],
        _measures(one.telling),
        h("details", h("summary", f"{count(len(rest), 'measure')} within the margins, or not shown "
                       "to be beyond"), _measures(rest)) if rest else None,
        h("div", figure(plot), cls="plots") if plot else None,
        _replicates(some, cell, found), id=anchor(one),
    )  # fmt: skip


def _measures(some: Sequence[Judged]) -> Html:
    head = h("thead", h("tr", [h("th", name, scope="col") for name in COLUMNS]))
    return h("div", h("table", head, h("tbody", [_measure(one) for one in some])), cls="scroll")


def _measure(one: Judged) -> Html:
    span = " to ".join(cell_views.size(one, end) for end in (one.low, one.high))
    numbers = (
        cell_views.change(one), cell_views.value(one, one.before),
        cell_views.value(one, one.after), span,
        cell_views.margin(one), cell_views.errors_beyond(one),
    )  # fmt: skip
    verdict = str(one.verdict) if one.changed else "within" if one.settled else "open"
    return h(
        "tr", h("th", MEASURES[one.name].words, scope="row", cls="at"),
        [h("td", text, cls="num") for text in numbers], h("td", verdict, cls="at"),
    )  # fmt: skip


def _replicates(some: Sequence[Replicate], cell: CellResult, found: Comparison) -> Html | None:
    if not some:
        return None
    run = str(found.provenance.get("run", "RUN"))
    rows = [
        h("tr", h("td", str(r.replicate), cls="num"), h("td", _in_errors(r.change), cls="num"),
          h("td", _arrow(r.estimate), cls="num"), h("td", _arrow(r.std_error), cls="num"),
          h("td", " → ".join(dict.fromkeys(r.status))),
          h("td", h("code", cell_views.replay(run, cell, r.replicate)), cls="at"))
        for r in some
    ]  # fmt: skip
    names = ("replicate", "change", "estimate", "standard error", "status", "fit it again")
    head = h("thead", h("tr", [h("th", name, scope="col") for name in names]))
    return h(
        "details", h("summary", "The replicates that changed most"),
        h("div", h("table", head, h("tbody", rows)), cls="scroll"), open=True,
    )  # fmt: skip


def _in_errors(change: float) -> str:
    return f"{number(change)} SE" if isfinite(change) else "no answer"


def _arrow(values: tuple[float, float]) -> str:
    return f"{number(values[0])} → {number(values[1])}"


def anchor(one: Told) -> str:
    """Return the name by which links find a cell."""
    return slug(f"{one.place} {one.method}")


def tag(verdict: ChangeVerdict) -> Html:
    """Return a verdict as a small label."""
    return join(h("span", str(verdict), cls=f"tag {CLASSES[verdict]}".strip()), " ")


SHOWN = 12
"""How many changed cells are shown with their fits; all stand in the table."""

LOUD = (
    ChangeVerdict.WORSE,
    ChangeVerdict.STATISTICALLY,
    ChangeVerdict.NOT_COMPARABLE,
    ChangeVerdict.BETTER,
)


def page(found: Comparison, told: Sequence[Told]) -> str:
    """Return the HTML document."""
    name = str(found.provenance.get("baseline", "baseline"))
    suite = str(found.provenance.get("suite", ""))
    loud = [one for one in told if one.cell.verdict in LOUD]
    links = [h("a", "Verdict", href="#verdict")]
    links += [h("a", "What changed", href="#changed")] if loud else []
    links += [h("a", part, href=f"#{part.lower()}") for part in ("Cells", "Rules", "Provenance")]
    said = f"{suite} against baseline {name}" if suite else f"against baseline {name}"
    header = h("header", h("h1", "Check"), h("p", said), h("nav", links))
    body = h(
        "main", _verdict(found, told), _changed(found, loud), _cells(found, told), _rules(found),
        _provenance(found),
    )  # fmt: skip
    return document(f"check {name} · cibench", header, body)


def _verdict(found: Comparison, told: Sequence[Told]) -> Html:
    differs = notes(found.provenance) if found.provenance else []
    lines = [cell_views.level_line(found), cell_views.open_line(found)]
    worst = [
        h("li", tag(one.cell.verdict), h("b", one.method, cls="method"), " in ",
          h("a", one.place, href=f"#{anchor(one)}"), ": ", cell_views.reasons(one)[0])
        for one in told if one.cell.verdict in found.rules.failing
    ][:5]  # fmt: skip
    return h(
        "section", h("h2", cell_views.headline(found), cls=CLASSES[found.verdict]),
        h("ul", worst, cls="words") if worst else None,
        h("p", f"Between the two: {'; '.join(differs)}.") if differs else h(
            "p", "Versions, sources and machine are the same on both sides."),
        [h("p", line[0].upper() + line[1:] + ".", cls="note") for line in lines if line],
        id="verdict",
    )  # fmt: skip


def _changed(found: Comparison, loud: Sequence[Told]) -> Html | None:
    if not loud:
        return None
    more = len(loud) - SHOWN
    return h(
        "section", h("h2", "What changed"),
        [case(one, found) for one in loud[:SHOWN]],
        h("p", f"{count(more, 'more cell')} in the table below.", cls="note") if more > 0 else None,
        id="changed",
    )  # fmt: skip


def _cells(found: Comparison, told: Sequence[Told]) -> Html:
    names = ("verdict", "where", "method", "fits", "single numbers", "worst measure", "run time")
    head = h("thead", h("tr", [h("th", h("button", n, type="button"), scope="col") for n in names]))
    rows = [_row(one, found) for one in told]
    table = h("table", head, h("tbody", rows), cls="sortable")
    return h(
        "section", h("h2", "Cells"),
        h("p", "Worst first. A click on a heading sorts. No verdict heeds the run time.",
          cls="note"),
        h("div", table, cls="tall"), id="cells",
    )  # fmt: skip


def _row(one: Told, found: Comparison) -> Html:
    cell, (before, after) = one.cell, one.cell.replicates
    first = one.telling[0] if one.telling else None
    slower = cell.seconds[1] / cell.seconds[0] if cell.seconds[0] > 0 else float("nan")
    return h(
        "tr", h("td", tag(cell.verdict), data_v=WORST_FIRST.index(cell.verdict)),
        h("td", breakable(one.place)), h("td", breakable(one.method)),
        h("td", f"{before:,}" if before == after else f"{before:,}, {after:,}", cls="num",
          data_v=before),
        h("td", cell_views.largest_change(cell, found.rules.tolerance) or BLANK),
        h("td", cell.why or (f"{MEASURES[first.name].words} {cell_views.change(first)}" if first
                             else BLANK)),
        h("td", f"× {number(slower, slower / 10)}" if isfinite(slower) else BLANK, cls="num",
          data_v=f"{slower:g}" if isfinite(slower) else ""),
    )  # fmt: skip


def _rules(found: Comparison) -> Html:
    meanings = [(str(v), MEANING[v]) for v in WORST_FIRST]
    margins = [
        (m.words, cell_views.bare_margin(m.name, found.rules.margins[m.name]))
        for m in MEASURES.values()
    ]
    fails = " and ".join(str(v) for v in found.rules.failing) or "nothing"
    return h(
        "section", h("h2", "Rules"),
        h("p", f"The gate fails on {fails}. Numbers that differ by less than "
          f"{found.rules.tolerance:g} standard errors are the same."),
        facts(meanings), h("h3", "Margins"), facts(margins), id="rules",
    )  # fmt: skip


def _provenance(found: Comparison) -> Html:
    told = found.provenance
    rows = []
    for side in ("before", "after"):
        known = told.get(side) or {}
        versions = ", ".join(f"{k} {v}" for k, v in (known.get("versions") or {}).items())
        rows += [
            (side, f"{known.get('created')}, seed {known.get('seed')}, "
                   f"{known.get('replicates')} replicates"),
            (f"versions {side}", versions),
            (f"platform {side}", f"{known.get('platform')}, Python {known.get('python')}"),
        ]  # fmt: skip
    return h("section", h("h2", "Provenance"), facts(rows if told else ()), id="provenance")
