"""Two worlds side by side: what holds by construction, and what an analyst would have seen.

The simulator knows which assumption is broken and by how much. An analyst has one data set and
the diagnostics: of each assumption this says which diagnostic of the run tests it and how often it
would have raised the alarm, or that nothing in the run could have told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cibench.analysis.coverage_verdicts import UNJUDGED, CoverageVerdict
from cibench.model.catalogue import alternatives, fails
from cibench.render.html import Html, h, join
from cibench.render.labels import DEFAULT
from cibench.render.numbers import digits, error_of, limits, number, percent, plain
from cibench.report.score_readings import coverage_of, verdict_of
from cibench.report.views import Score, View

JUDGED_VERDICTS = (CoverageVerdict.BROKEN, CoverageVerdict.LOW, CoverageVerdict.SOUND)
MOST_CONCLUSIONS = 12
"""Conclusions of a view that are written out; with more methods the table says it better."""


@dataclass(frozen=True, eq=False)
class Worlds:
    """Hold a view, what the catalogue says of the run's methods, and the diagnostics' scores."""

    view: View
    estimators: Mapping[str, Any]
    diagnostics: Sequence[Score]


def worlds(context: Worlds) -> Html | None:
    """Write the table of assumptions and the conclusions, nothing where nothing is assumed."""
    rows = [_row(context, name) for name in _assumptions(context)]
    if not rows:
        return None
    names = ("assumption", "in this simulation", "what an analyst would have seen", "relied on by")
    head = h("thead", h("tr", [h("th", name, scope="col") for name in names]))
    return h(
        "details", h("summary", "Assumptions: what holds, and what an analyst would have seen"),
        h("div", h("table", head, h("tbody", rows), cls="worlds"), cls="scroll"),
        _conclusions(context),
    )  # fmt: skip


def _assumptions(context: Worlds) -> list[str]:
    """Return what the dials break, then what the design breaks, then what else is relied on."""
    by_dial = [str(d.get("breaks")) for d in (context.view.about.get("dials") or {}).values()]
    by_design = [str(name) for name in context.view.about.get("violates") or ()]
    assumed = [name for m in context.view.methods for name in _assumed(context, m)]
    return list(dict.fromkeys([*by_dial, *by_design, *assumed]))


def _assumed(context: Worlds, method: str) -> list[str]:
    return [name for said in _assumes(context, method) for name in alternatives(said)]


def _assumes(context: Worlds, method: str) -> list[str]:
    name = next(str(s["estimator"]) for (m, _), s in context.view.scores.items() if m == method)
    return list((context.estimators.get(name) or {}).get("assumes") or ())


def _row(context: Worlds, assumption: str) -> Html:
    relying = [m for m in context.view.methods if assumption in _assumed(context, m)]
    everyone = len(relying) == len(context.view.methods) > 1
    return h(
        "tr", h("th", assumption, scope="row"),
        h("td", _status(context.view, assumption), cls="words"),
        h("td", _seen(context, assumption), cls="words"),
        h("td", "every method" if everyone else ", ".join(relying) or "no method here"),
    )  # fmt: skip


def _status(view: View, assumption: str) -> str:
    """Say whether the assumption holds here, and by how much the settings break it."""
    if assumption in (view.about.get("violates") or ()):
        return "broken by the design itself, at every setting"
    dials = view.about.get("dials") or {}
    parts = []
    for name, dial in dials.items():
        moved = [s.value for s in view.settings if s.dial == name and s.value is not None]
        if dial.get("breaks") == assumption and moved:
            unit = f" {dial['unit']}" if dial.get("unit") else ""
            parts.append(f"broken at {name} = {', '.join(map(plain, sorted(moved)))}{unit}")
    if parts:
        return f"holds at the default; {'; '.join(parts)}"
    if any(dial.get("breaks") == assumption for dial in dials.values()):
        return "holds: its dial stayed at the default"
    return "taken to hold: no dial of this scenario breaks it"


def _seen(context: Worlds, assumption: str) -> Html | str:
    """Say how often each diagnostic that tests the assumption would have raised the alarm."""
    testing = {
        name: said for name, said in context.estimators.items()
        if assumption in (said.get("tests") or ())
    }  # fmt: skip
    dials = context.view.about.get("dials") or {}
    own = {name for name, dial in dials.items() if dial.get("breaks") == assumption}
    lines = []
    for name in testing:
        rates = [
            _alarm(s) for s in context.diagnostics
            if s["estimator"] == name and (s["at"] == DEFAULT or s["dial"] in own)
        ]  # fmt: skip
        if rates:
            lines.append(join(h("b", name), ": alarm in ", join(*rates, between="; ")))
    return join(*lines, between=". ") if lines else "nothing: no diagnostic of the run tests it"


def _alarm(score: Score) -> Html:
    low, high = score["rejection_low"], score["rejection_high"]
    where = "the default" if score["at"] == DEFAULT else str(score["at"])
    share = f"{percent(score['rejection'], digits(low, high))} %"
    return join(share, h("span", f" ({limits(low, high)})", cls="mc"), f" at {where}")


def _conclusions(context: Worlds) -> Html | None:
    """Say in the conditional what the table of scores says of each method."""
    items = [h("li", line) for line in _conditionals(context)]
    if not items:
        return None
    return join(
        h("h4", "What follows, and on what condition"),
        h("ul", items[:MOST_CONCLUSIONS], cls="words"),
    )


def _conditionals(context: Worlds) -> Iterator[Html]:
    view = context.view
    for method in view.methods:
        score, assumed = view.at_default(method), _assumes(context, method)
        if score is None or verdict_of(score) in (CoverageVerdict.SILENT, *UNJUDGED):
            continue
        broken = [name for name in assumed if fails(name, view.about.get("violates") or ())]
        intact = ", ".join(f"“{name}”" for name in assumed if name not in broken)
        when = (
            f"If {intact} hold{'' if len(assumed) - len(broken) > 1 else 's'}" if intact else "Here"
        )
        though = f" (the design breaks {', '.join(f'“{n}”' for n in broken)})" if broken else ""
        yield join(when, though, ", ", h("b", method, cls="method"), f" {_worth(score)}",
                   *_otherwise(view, method), ".")  # fmt: skip


def _otherwise(view: View, method: str) -> Iterator[str]:
    """Say for each dial what is left at its largest setting."""
    for dial in view.dials:
        default = float(view.dial(dial).get("default", 0))
        place = max(
            (s for s in view.settings if s.dial == dial and s.value is not None),
            key=lambda s: abs((s.value or 0.0) - default),
        )
        score = view.scores.get((method, place.label))
        if score is not None and verdict_of(score) in JUDGED_VERDICTS:
            coverage, low, high = coverage_of(score)
            share = f"{percent(coverage, digits(low, high))} % ({limits(low, high)})"
            broken = view.dial(dial).get("breaks") or dial
            yield f"; if “{broken}” fails by {place.label}, in {share}"


def _worth(score: Score) -> str:
    coverage, low, high = coverage_of(score)
    share = f"{percent(coverage, digits(low, high))} % ({limits(low, high)})"
    covers = f"covers the truth in {share} of the data sets"
    if not score["moments"]:
        return covers
    bias, error = score["bias"], score["bias_mcse"]
    return f"has a bias of {number(bias, error)} {error_of(bias, error)} and {covers}"
