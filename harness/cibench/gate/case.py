"""One cell on the page of a check: what changed, before against after, the fits that moved most."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from cibench.gate import quantities, telling
from cibench.gate.compare import CellResult, Comparison
from cibench.gate.figures import scatter
from cibench.gate.judge import Judged
from cibench.gate.rules import MEASURES, Verdict
from cibench.gate.telling import Told
from cibench.gate.worst import Replicate, changed_most
from cibench.report.labels import slug
from cibench.report.markup import Html, h, join
from cibench.report.numbers import count, number
from cibench.report.sections import figure

CLASSES = {
    Verdict.WORSE: "worse", Verdict.STATISTICALLY: "changed", Verdict.NOT_COMPARABLE: "changed",
    Verdict.BETTER: "better", Verdict.NUMERICALLY: "", Verdict.IDENTICAL: "",
}  # fmt: skip
COLUMNS = (
    "measure", "change (error)", "before", "after", "simultaneous limits", "margin",
    "errors beyond", "verdict",
)  # fmt: skip


def case(one: Told, found: Comparison) -> Html:
    """Return the part of the page about one cell."""
    cell = one.cell
    title = h("h3", tag(cell.verdict), one.method, h("span", f" {one.place}", cls="mc"))
    if cell.verdict is Verdict.NOT_COMPARABLE:
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
    span = " to ".join(quantities.size(one, end) for end in (one.low, one.high))
    numbers = (
        quantities.change(one), quantities.value(one, one.before),
        quantities.value(one, one.after), span,
        quantities.margin(one), quantities.errors_beyond(one),
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
          h("td", h("code", telling.replay(run, cell, r.replicate)), cls="at"))
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


def tag(verdict: Verdict) -> Html:
    """Return a verdict as a small label."""
    return join(h("span", str(verdict), cls=f"tag {CLASSES[verdict]}".strip()), " ")
