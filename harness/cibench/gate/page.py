"""The HTML page of a check: the verdict, the worst cells with their fits, every cell."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from cibench.gate import quantities, telling
from cibench.gate.case import CLASSES, anchor, case, tag
from cibench.gate.compare import Comparison
from cibench.gate.provenance import notes
from cibench.gate.rules import MEANING, MEASURES, WORST_FIRST, Verdict
from cibench.gate.telling import Told
from cibench.report.document import document, facts
from cibench.report.markup import Html, breakable, h
from cibench.report.numbers import BLANK, count, number

SHOWN = 12
"""How many changed cells are shown with their fits; all stand in the table."""

LOUD = (Verdict.WORSE, Verdict.STATISTICALLY, Verdict.NOT_COMPARABLE, Verdict.BETTER)


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
    lines = [telling.level_line(found), telling.open_line(found)]
    worst = [
        h("li", tag(one.cell.verdict), h("b", one.method, cls="method"), " in ",
          h("a", one.place, href=f"#{anchor(one)}"), ": ", telling.reasons(one)[0])
        for one in told if one.cell.verdict in found.rules.failing
    ][:5]  # fmt: skip
    return h(
        "section", h("h2", telling.headline(found), cls=CLASSES[found.verdict]),
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
        h("td", telling.largest_change(cell, found.rules.tolerance) or BLANK),
        h("td", cell.why or (f"{MEASURES[first.name].words} {quantities.change(first)}" if first
                             else BLANK)),
        h("td", f"× {number(slower, slower / 10)}" if isfinite(slower) else BLANK, cls="num",
          data_v=f"{slower:g}" if isfinite(slower) else ""),
    )  # fmt: skip


def _rules(found: Comparison) -> Html:
    meanings = [(str(v), MEANING[v]) for v in WORST_FIRST]
    margins = [
        (m.words, quantities.bare_margin(m.name, found.rules.margins[m.name]))
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
