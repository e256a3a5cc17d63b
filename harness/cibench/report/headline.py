"""The opening of the report: what broke, where and by how much, with a heat map of coverage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby

from cibench.analysis.coverage_verdicts import ALPHA, MEANING, MOST_LEFT_OUT, CoverageVerdict
from cibench.render.html import Html, breakable, h, join
from cibench.render.labels import DEFAULT, Setting
from cibench.render.numbers import BLANK, count, digits, limits, percent, plain
from cibench.report.findings import Case, Finding, cases, findings, in_se
from cibench.report.score_readings import (
    MARKS,
    clearly_biased,
    contradicts_itself,
    coverage_of,
    fails_often,
    faults,
    gave_no_answer,
    has_small_errors,
    limits_notes,
    may_be_biased,
    shortfall,
    verdict_of,
)
from cibench.report.views import Score, View

UNDER, OVER = (179, 71, 0), (0, 114, 178)
"""Vermilion, darkened for white text, and blue: ends of a scale that colour-blind people tell."""


def heat_map(view: View) -> Html:
    """Lay out a view: methods down, the default and each dial's settings across."""
    body = [
        h("tr", h("th", breakable(method), scope="row"),
          [_cell(view, method, s) for s in view.settings])
        for method in view.methods
    ]  # fmt: skip
    caption = h("caption", h("b", view.name), f" {view.title}")
    table = h("table", caption, _head(view), h("tbody", body), cls="heat")
    return h("div", table, cls="scroll")


def key() -> Html:
    """Say in one line what stands in a cell."""
    return h(
        "p", "Coverage in %, failures as misses, its 95 % limits, bias in empirical SE (Monte "
        "Carlo error). ▼ broken, ▽ below nominal, ▲ conservative, ? too few replicates to tell.",
        cls="note",
    )  # fmt: skip


def legend() -> Html:
    """Explain the figures, marks and colours of a heat map."""
    marks = [
        h("li", h("span", mark, cls="mark"), f" {verdict}: {MEANING[verdict]}")
        for verdict, mark in MARKS.items()
    ]
    return join(
        h("p", "In each cell: coverage in %, failures counted as misses, its 95 % Monte Carlo "
          "limits (Wilson), and the bias in "
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
            caption = h("span", f"breaks “{breaks}”", cls="breaks") if breaks else None
            top.append(
                h(
                    "th",
                    h("b", view.called(dial)),
                    caption,
                    colspan=len(part),
                    scope="colgroup",
                    cls="dial",
                )
            )
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
    verdict = verdict_of(score)
    if verdict in (CoverageVerdict.SILENT, CoverageVerdict.DECLINED):
        words = f"{MARKS[verdict]} no answer" if verdict is CoverageVerdict.SILENT else "declined"
        kind = "silent" if verdict is CoverageVerdict.SILENT else "none"
        return h("td", words, cls=kind, title=MEANING[verdict])
    coverage, low, high = coverage_of(score)
    share = percent(coverage, digits(low, high))
    return h(
        "td",
        h("span", h("b", share), h("span", MARKS.get(verdict), cls="mark"), cls="share"),
        h("span", limits(low, high) or _no_limits(verdict), cls="mc"),
        h("span", in_se(score) or BLANK, cls="bias"),
        style=_colours(score), title=f"{method}, {setting.label}: {MEANING[verdict]}",
        data_verdict=str(verdict),
    )  # fmt: skip


def _no_limits(verdict: CoverageVerdict) -> str:
    return "no noise" if verdict is CoverageVerdict.NOISELESS else "no limits"


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


MOST_FINDINGS = 5
"""Findings that stand open; the others wait behind a fold."""

SOUND_VERDICTS = (CoverageVerdict.SOUND, CoverageVerdict.CONSERVATIVE)


def headline(views: Sequence[View], drawn: Sequence[View], unequal: str = "") -> Html:
    """Write the findings, what held up, and the heat maps of the views that are `drawn`.

    `unequal` is the clause that says which stated equalities do not hold.
    """
    listed = findings(views)
    every = list(cases(views))
    return h(
        "section",
        h("h2", _after(unequal, _verdict(every))),
        _listed(listed),
        _sound(every),
        h("h3", "Coverage of every method at every setting"),
        key(),
        _heat_maps(drawn, every),
        _unclear(every),
        [h("p", note, cls="note") for note in limits_notes(c.score for c in every)],
        h("details", h("summary", "How to read this"), legend(), _rule()),
        id="findings",
    )  # fmt: skip


def _heat_maps(views: Sequence[View], every: Sequence[Case]) -> Html:
    """Show of each scenario the view in which most cells broke, the others behind a fold."""
    broken = Counter(c.view.slug for c in every if c.broken)
    scenarios = dict.fromkeys(view.scenario for view in views)
    worst = {
        name: max((v for v in views if v.scenario == name), key=lambda v: broken[v.slug])
        for name in scenarios
    }
    others = [heat_map(view) for view in views if view is not worst[view.scenario]]
    return join(
        h("div", [heat_map(view) for view in worst.values()], cls="heats"),
        _folded([h("div", others, cls="heats")] if others else [],
                count(len(others), "more heat map") + " of other sizes, parameters and targets"),
    )  # fmt: skip


def _verdict(every: Sequence[Case]) -> str:
    """Sum up in one line: who contradicts itself or never answers, how many broke, and where."""
    faulty = faults((c.score["verdict"], c.method) for c in every)
    return _after(faulty, _broken(every))


def _after(clause: str, text: str) -> str:
    """Put a clause before a sentence, if there is one."""
    return f"{clause}; {text[0].lower()}{text[1:]}" if clause else text


def _broken(every: Sequence[Case]) -> str:
    every = [c for c in every if not gave_no_answer(c.score)]
    methods, broken = {c.method for c in every}, {c.method for c in every if c.broken}
    at_default = {c.method for c in every if c.broken and c.at_default}
    if not methods:
        return "Nothing was scored"
    if all(c.verdict is CoverageVerdict.UNCLEAR for c in every):
        return "Too few replicates for a verdict"
    off = {c.method for c in every if _is_off(c.score)} - broken
    if not broken:
        if off:
            be = "is" if len(off) == 1 else "are"
            return f"{count(len(off), 'method')} {be} off, although intervals cover"
        return "No method broke beyond Monte Carlo doubt"
    summary = f"{len(broken)} of {count(len(methods), 'method')} broke"
    others = "another is" if len(off) == 1 else f"{len(off)} others are"
    beside = f"; {others} off, although intervals cover" if off else ""
    if not at_default:
        return f"{summary}, only where an assumption is broken{beside}"
    later = len(broken - at_default)
    more = f", {later} only where an assumption is broken" if later else ""
    return f"{summary}: {len(at_default)} with every dial at its default{more}{beside}"


def _is_off(score: Score) -> bool:
    """Say whether bias or SEs are beyond their bounds, of who does not contradict itself."""
    off = clearly_biased(score) or has_small_errors(score)
    return off and not contradicts_itself(score)


def _listed(listed: Sequence[Finding]) -> Html | None:
    if not listed:
        return None
    lines = [
        h("li", h("span", f.badge, cls="badge"), h("span", f.sentence, cls="said"), cls=f.kind)
        for f in listed
    ]
    return join(
        h("ol", lines[:MOST_FINDINGS], cls="findings"),
        _folded(
            [h("ol", lines[MOST_FINDINGS:], cls="findings")] if lines[MOST_FINDINGS:] else [],
            count(len(lines) - MOST_FINDINGS, "more finding"),
        ),
    )


def _sound(every: Sequence[Case]) -> Html | None:
    """Name the methods that broke nowhere, each with its lowest coverage."""
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in every:
        groups.setdefault(case.pair, []).append(case)
    lowest_coverage = {
        key: min(coverage_of(c.score)[0] for c in group)
        for key, group in groups.items()
        if all(c.verdict in SOUND_VERDICTS and not _faulty(c.score) for c in group)
    }
    if not lowest_coverage:
        return None
    lines = [
        h("li", h("b", scenario), ": ", join(*named, between=", "))
        for scenario, named in _by_scenario(lowest_coverage, groups).items()
    ]
    note = h("li", "coverage, at its lowest over their cells; limits below", cls="mc")
    return h(
        "div", h("span", "Held up", cls="badge"), h("ul", note, lines, cls="said"), cls="sound"
    )


def _faulty(score: Score) -> bool:
    """Say whether something else than coverage is wrong with a score, a bias also with doubt.

    Who declined many data sets may have declined those that it would have missed.
    """
    return (
        fails_often(score) or may_be_biased(score) or has_small_errors(score)
        or contradicts_itself(score) or float(score["decline_rate"]) > MOST_LEFT_OUT
    )  # fmt: skip


def _by_scenario(
    lowest_coverage: Mapping[tuple[str, str], float],
    groups: Mapping[tuple[str, str], Sequence[Case]],
) -> dict[str, list[str]]:
    """Return in words, scenario by scenario, which methods held and how low their coverage went."""
    lines: dict[str, list[str]] = {}
    for (scenario, method), lowest in lowest_coverage.items():
        cells = len(groups[scenario, method])
        more = f" or more in {cells} cells" if cells > 1 else ""
        lines.setdefault(scenario, []).append(f"{method} {percent(lowest)} %{more}")
    return lines


def _unclear(every: Sequence[Case]) -> Html | None:
    unclear = [c for c in every if c.verdict is CoverageVerdict.UNCLEAR]
    if not unclear:
        return None
    fewest = min(int(c.score["answered"]) for c in unclear)
    return h(
        "p", f"In {len(unclear):,} of {count(len(every), 'cell')} there are too few replicates to "
        f"tell nominal coverage from broken (as few as {fewest:,} answered); they carry a ? and no "
        "verdict.", cls="note",
    )  # fmt: skip


def _folded(parts: Sequence[Html], summary: str) -> Html | None:
    return h("details", h("summary", summary), parts) if parts else None


def _rule() -> Html:
    confidence = percent(1 - ALPHA)
    return h(
        "p", "A method is called broken only where even the upper limit of its coverage lies below "
        "the floor (the one that the suite states, else five points below nominal), and "
        "conservative where the lower limit says that its intervals miss less than half as often "
        "as they may. Verdicts on coverage rest on exact limits that hold for all cells at once in "
        f"{confidence} of 100 runs (expectations.csv has them); the limits printed here are cell "
        "by cell and narrower.", cls="note",
    )  # fmt: skip
