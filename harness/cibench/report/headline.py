"""The opening of the report: what broke, where and by how much, within ten seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from cibench.report.cases import Case, cases
from cibench.report.findings import Finding, findings
from cibench.report.heat import heat_map, key, legend
from cibench.report.markup import Html, h, join
from cibench.report.numbers import count, percent
from cibench.report.verdicts import FLOOR, Verdict, fails_often
from cibench.report.views import View

SHOWN = 5
"""Findings that stand open; the others wait behind a fold."""

HELD = (Verdict.SOUND, Verdict.LOW, Verdict.CONSERVATIVE)


def headline(views: Sequence[View]) -> Html:
    """Write the findings, what held up, and the heat maps."""
    found = findings(views)
    every = list(cases(views))
    return h(
        "section",
        h("h2", _verdict(every)),
        _listed(found),
        _sound(every),
        h("h3", "Coverage of every method at every setting"),
        key(),
        _heat_maps(views, every),
        _unclear(every),
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
    """Sum up in one line: how many methods broke, and how many of them at the default."""
    methods, broken = {c.method for c in every}, {c.method for c in every if c.broken}
    at_default = {c.method for c in every if c.broken and c.at_default}
    if not methods:
        return "Nothing was scored"
    if all(c.verdict is Verdict.UNCLEAR for c in every):
        return "Too few replicates for a verdict"
    if not broken:
        return "No method broke beyond Monte Carlo doubt"
    said = f"{len(broken)} of {count(len(methods), 'method')} broke"
    if not at_default:
        return f"{said}, only where an assumption is broken"
    later = len(broken - at_default)
    more = f", {later} only where an assumption is broken" if later else ""
    return f"{said}: {len(at_default)} with every dial at its default{more}"


def _listed(found: Sequence[Finding]) -> Html | None:
    if not found:
        return None
    lines = [
        h("li", h("span", f.badge, cls="badge"), h("span", f.sentence, cls="said"), cls=f.kind)
        for f in found
    ]
    return join(
        h("ol", lines[:SHOWN], cls="findings"),
        _folded(
            [h("ol", lines[SHOWN:], cls="findings")] if lines[SHOWN:] else [],
            count(len(lines) - SHOWN, "more finding"),
        ),
    )


def _sound(every: Sequence[Case]) -> Html | None:
    """Name the methods that broke nowhere, each with its lowest coverage."""
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in every:
        groups.setdefault(case.pair, []).append(case)
    held = {
        key: min(float(c.score["coverage"]) for c in group)
        for key, group in groups.items()
        if all(c.verdict in HELD and not fails_often(c.score) for c in group)
    }
    if not held:
        return None
    lines = [
        h("li", h("b", scenario), ": ", join(*named, between=", "))
        for scenario, named in _by_scenario(held, groups).items()
    ]
    note = h("li", "coverage, at its lowest over their cells; limits below", cls="mc")
    return h(
        "div", h("span", "Held up", cls="badge"), h("ul", note, lines, cls="said"), cls="sound"
    )


def _by_scenario(
    held: Mapping[tuple[str, str], float], groups: Mapping[tuple[str, str], Sequence[Case]]
) -> dict[str, list[str]]:
    """Return in words, scenario by scenario, which methods held and how low their coverage went."""
    found: dict[str, list[str]] = {}
    for (scenario, method), lowest in held.items():
        cells = len(groups[scenario, method])
        more = f" or more in {cells} cells" if cells > 1 else ""
        found.setdefault(scenario, []).append(f"{method} {percent(lowest)} %{more}")
    return found


def _unclear(every: Sequence[Case]) -> Html | None:
    unclear = [c for c in every if c.verdict is Verdict.UNCLEAR]
    if not unclear:
        return None
    fewest = min(int(c.score["answered"]) for c in unclear)
    return h(
        "p", f"In {len(unclear)} of {count(len(every), 'cell')} there are too few replicates to "
        f"tell nominal coverage from broken (as few as {fewest:,} answered); they carry a ? and no "
        "verdict.", cls="note",
    )  # fmt: skip


def _folded(parts: Sequence[Html], summary: str) -> Html | None:
    return h("details", h("summary", summary), parts) if parts else None


def _rule() -> Html:
    points = percent(FLOOR)
    return h(
        "p", f"A method is called broken only where even the upper 95 % Wilson limit of its "
        f"coverage lies more than {points} points below nominal, and conservative where the lower "
        "limit says that its intervals miss less than half as often as they may. Limits are cell "
        "by cell; nothing is corrected for looking at many.", cls="note",
    )  # fmt: skip
