"""The heat map of the headline: coverage of every method at every setting, coloured by doubt."""

from __future__ import annotations

from itertools import groupby

from cibench.report.labels import DEFAULT, Setting
from cibench.report.markup import Html, breakable, h, join
from cibench.report.numbers import BLANK, digits, limits, percent, plain
from cibench.report.verdicts import MEANING, Verdict, judge, shortfall
from cibench.report.views import Score, View
from cibench.report.wording import in_se

UNDER, OVER = (179, 71, 0), (0, 114, 178)
"""Vermilion, darkened for white text, and blue: ends of a scale that colour-blind people tell."""

MARKS = {
    Verdict.BROKEN: "▼", Verdict.CONSERVATIVE: "▲", Verdict.UNCLEAR: "?", Verdict.SILENT: "✕",
}  # fmt: skip


def heat_map(view: View) -> Html:
    """Lay out a view: methods down, the default and each dial's settings across."""
    body = [
        h("tr", h("th", breakable(method), scope="row"),
          [_cell(view, method, s) for s in view.settings])
        for method in view.methods
    ]  # fmt: skip
    caption = h("caption", h("b", view.scenario), f" {view.title}")
    table = h("table", caption, _head(view), h("tbody", body), cls="heat")
    return h("div", table, cls="scroll")


def key() -> Html:
    """Say in one line what stands in a cell."""
    return h("p", "Coverage in %, its 95 % limits, bias in empirical SE (Monte Carlo error). ▼ "
             "broken, ▲ conservative, ? too few replicates to tell.", cls="note")  # fmt: skip


def legend() -> Html:
    """Explain the figures, marks and colours of a heat map."""
    marks = [
        h("li", h("span", mark, cls="mark"), f" {verdict}: {MEANING[verdict]}")
        for verdict, mark in MARKS.items()
    ]
    return join(
        h("p", "In each cell: coverage in %, its 95 % Monte Carlo limits (Wilson), and the bias in "
          "empirical standard errors with its Monte Carlo standard error. Orange deepens with the "
          "shortfall that is beyond Monte Carlo doubt, blue with the excess; white agrees with "
          "nominal.", cls="note"),
        h("ul", marks, cls="marks"),
    )  # fmt: skip


def _head(view: View) -> Html:
    groups = [(dial, list(part)) for dial, part in groupby(view.settings, key=_group)]
    top = [h("th", "method", rowspan=2, scope="col")]
    for dial, part in groups:
        if dial == DEFAULT:
            top.append(h("th", "all at default", rowspan=2, scope="col", cls="default"))
        else:
            breaks = view.dial(dial).get("breaks")
            said = h("span", f"breaks “{breaks}”", cls="breaks") if breaks else None
            top.append(h("th", h("b", dial), said, colspan=len(part), scope="colgroup", cls="dial"))
    below = [
        h("th", plain(s.value) if s.dial else s.label, scope="col", cls="dial" if first else None)
        for dial, part in groups if dial != DEFAULT
        for first, s in zip([True, *[False] * len(part)], part, strict=False)
    ]  # fmt: skip
    return h("thead", h("tr", top), h("tr", below) if below else None)


def _group(setting: Setting) -> str:
    if setting.label == DEFAULT:
        return DEFAULT
    return setting.dial or "several moved"


def _cell(view: View, method: str, setting: Setting) -> Html:
    score = view.scores.get((method, setting.label))
    if score is None:
        return h("td", BLANK, cls="none", title="not run")
    verdict = judge(score)
    if verdict in (Verdict.SILENT, Verdict.DECLINED):
        said = f"{MARKS[verdict]} no answer" if verdict is Verdict.SILENT else "declined"
        kind = "silent" if verdict is Verdict.SILENT else "none"
        return h("td", said, cls=kind, title=MEANING[verdict])
    low, high = score["coverage_low"], score["coverage_high"]
    share = percent(score["coverage"], digits(low, high))
    return h(
        "td",
        h("span", h("b", share), h("span", MARKS.get(verdict), cls="mark"), cls="share"),
        h("span", limits(low, high) or "no limits", cls="mc"),
        h("span", in_se(score) or BLANK, cls="bias"),
        style=_colours(score), title=f"{method}, {setting.label}: {MEANING[verdict]}",
        data_verdict=str(verdict),
    )  # fmt: skip


def _colours(score: Score) -> str | None:
    """Return the cell's colours: from white to an end of the scale, text light on dark."""
    amount = shortfall(score)
    if amount == 0:
        return None
    most = score["level"] if amount > 0 else (1 - score["level"])
    depth = min(abs(amount) / most, 1.0) ** 0.5 * (1.0 if amount > 0 else 0.6)
    red, green, blue = (round(255 + (c - 255) * depth) for c in (UNDER if amount > 0 else OVER))
    ink = "#fff" if depth > 0.78 else "#1f2933"
    return f"background:rgb({red},{green},{blue});color:{ink}"
