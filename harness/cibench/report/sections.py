"""The body of the report: scenarios with their plots and tables, methods, provenance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cibench.report.attribution import shortfalls
from cibench.report.document import facts
from cibench.report.figures import Plot
from cibench.report.labels import DEFAULT, dials_of, slug
from cibench.report.markup import Html, h, join, prose
from cibench.report.numbers import BLANK, blank, exact, plain
from cibench.report.pairs import comparison
from cibench.report.tables import score_table
from cibench.report.views import View

Drawn = Mapping[str, Sequence[Plot]]
"""The plots of each view, by the view's slug."""


def scenario_section(
    views: Sequence[View], drawn: Drawn, beside: Callable[[View], Html | None]
) -> Html:
    """Write one scenario: what it asks, what its dials break, then plots and scores by view.

    `beside` writes what else belongs under a view's scores.
    """
    name, about = views[0].scenario, views[0].about
    first, *others = views
    return h(
        "section", h("h2", name), prose(str(about.get("doc") or "")), _facts(views),
        _dials(about),
        h("details", h("summary", "Equations"), h("pre", str(about.get("equations") or ""))),
        _view(first, drawn, beside(first), opened=True),
        [_view(view, drawn, beside(view), opened=False) for view in others],
        id=slug(f"scenario {name}"),
    )  # fmt: skip


def methods_section(names: Iterable[str], catalogue: Mapping[str, Any]) -> Html:
    """Write what each estimator and diagnostic of the run says of itself."""
    known = catalogue.get("estimators") or {}
    cards = [_method(name, known.get(name) or {}) for name in dict.fromkeys(names)]
    return h("section", h("h2", "Methods"), h("div", cards, cls="cards"), id="methods")


def _precision(manifest: Mapping[str, Any]) -> str | None:
    """Say what decided on the replicates of each cell, where precision did."""
    asked, cells = manifest.get("precision"), manifest.get("cells") or ()
    if not asked:
        return None
    counts = [cell["replicates"] for cell in cells]
    short = sum(cell["stopped"].startswith("max_replicates") for cell in cells)
    targets = ", ".join(f"{name} {value:g}" for name, value in asked["targets"].items())
    how = f"a pilot of {asked['pilot']:,}" if asked.get("pilot") else "rounds"
    return (
        f"{targets}, by {how}: {min(counts):,} to {max(counts):,} replicates a cell, "
        f"{short} of {len(cells)} cells ended at the most allowed"
    )


def provenance_section(manifest: Mapping[str, Any], stored: int, refits: int = 0) -> Html:
    """Write where the numbers come from: seed, versions, machine, rows, declined pairs."""
    expected = manifest.get("expected_rows")
    rows = f"{stored:,} stored" + (f" of {expected:,} expected" if expected is not None else "")
    if expected is not None and stored != expected:
        rows += ": the run is incomplete"
    rows += f"; {refits:,} more of repeated fits" if refits else ""
    versions = manifest.get("versions") or {}
    known = [
        ("suite", manifest.get("suite")), ("seed", manifest.get("seed")),
        ("replicates", manifest.get("replicates")), ("precision", _precision(manifest)),
        ("nominal level", manifest.get("level")),
        ("rows", rows), ("created", manifest.get("created")),
        ("finished", manifest.get("finished")),
        ("platform", manifest.get("platform")), ("Python", manifest.get("python")),
        ("protocol", manifest.get("protocol")),
        ("versions", ", ".join(f"{k} {v}" for k, v in versions.items())),
    ]  # fmt: skip
    return h(
        "section", h("h2", "Provenance"),
        h("p", "Seeds are derived, not chosen: every random stream comes from its address, the "
          "run’s seed with the scenario, n and replicate for the data, and the method’s name for "
          "its own randomness. The dials are not part of the address of the data, so that every "
          "method and every setting faces the same noise."),
        facts(known), _declined(manifest.get("declined") or ()), id="provenance",
    )  # fmt: skip


def figure(plot: Plot) -> Html:
    """Put a plot into the page, with its title, caption and words for those who cannot see it."""
    wide, high = plot.size
    image = h("img", src=plot.data_uri, alt=plot.alt, width=wide, height=high)
    return h(
        "figure", h("h4", plot.title), h("div", image, cls="scroll"),
        h("figcaption", plot.caption),
    )  # fmt: skip


def _view(view: View, drawn: Drawn, beside: Html | None, *, opened: bool) -> Html:
    truth = h("span", f" truth {_truth(view)}", cls="mc") if view.apart else None
    return h(
        "details", h("summary", h("h3", view.title), truth),
        None if view.settings[0].label == DEFAULT else h(
            "p", "The default cell was not run here, so there are no plots of it and no curve has "
            "its zero.", cls="note"),
        h("div", [figure(plot) for plot in drawn.get(view.slug, ())], cls="plots"),
        h("h4", "Scores"),
        h("p", "In brackets, Monte Carlo standard errors; beside proportions, 95 % Wilson limits. "
          "A click on a heading sorts.", cls="note"),
        score_table(view), shortfalls(view), comparison(view), beside,
        cls="view", id=view.slug, open=opened,
    )  # fmt: skip


def _facts(views: Sequence[View]) -> Html:
    about = views[0].about
    truths = list(dict.fromkeys(_truth(view) for view in views))
    defaults = {k: v.get("default") for k, v in (about.get("parameters") or {}).items()}
    parameters = {**defaults, **views[0].parameters} if len(views) == 1 else defaults
    units = {k: v.get("unit") for k, v in (about.get("parameters") or {}).items()}
    said = [
        f"{k} = {plain(v)}" + (f" ({units[k]})" if units.get(k) else "")
        for k, v in parameters.items()
    ]
    return facts((
        ("estimand", ", ".join(about.get("estimands") or {v.estimand for v in views})),
        ("truth", truths[0] if len(truths) == 1 else "differs; given with each part below"),
        ("parameters", "; ".join(said)),
        ("columns", ", ".join(f"{k}: {_role(v)}" for k, v in (about.get("roles") or {}).items())),
        ("reference", about.get("reference")),
    ))  # fmt: skip


def _truth(view: View) -> str:
    scores = [s for s in view.scores.values() if not blank(s["truth"])]
    if not scores:
        return BLANK
    ends = (min(scores, key=lambda s: s["truth"]), max(scores, key=lambda s: s["truth"]))
    said = " to ".join(dict.fromkeys(exact(s["truth"], s["truth_mcse"]) for s in ends))
    return f"one for each replicate, {said} on average" if view.truth_varies else said


def _role(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _dials(about: Mapping[str, Any]) -> Html | None:
    rows = [
        h("tr", h("th", name, scope="row"), h("td", str(d.get("breaks") or "")),
          h("td", str(d.get("unit") or ""), cls="words"), h("td", plain(d.get("default"))),
          h("td", ", ".join(plain(x) for x in d.get("grid") or ())),
          h("td", _behaviour(d)))
        for name, d in dials_of(about).items()
    ]  # fmt: skip
    if not rows:
        return None
    names = ("dial", "breaks the assumption", "unit", "default", "grid", "truth")
    head = h("thead", h("tr", [h("th", name, scope="col") for name in names]))
    return h("div", h("table", head, h("tbody", rows)), cls="scroll")


def _behaviour(dial: Mapping[str, Any]) -> str:
    said = ["moves with the dial" if dial.get("truth") == "moves" else "stays"]
    if dial.get("paired") is False:
        said.append("unpaired: settings have noise of their own")
    return "; ".join(said)


def _method(name: str, said: Mapping[str, Any]) -> Html:
    options = ", ".join(f"{k} = {plain(v)}" for k, v in (said.get("options") or {}).items())
    known = (
        ("answers", ", ".join((*(said.get("targets") or ()), *(said.get("horizons") or ())))),
        ("tests", ", ".join(said.get("tests") or ())),
        ("assumes", ", ".join(said.get("assumes") or ())),
        ("needs", ", ".join(said.get("needs") or ())),
        ("uses", ", ".join(said.get("uses") or ())),
        ("options", options),
        ("note", "an oracle: it sees what no analyst sees" if said.get("oracle") else ""),
    )
    module = str(said.get("module") or "")
    family = h("details", h("summary", "Its family"), prose(module)) if module else None
    return h("article", h("h3", name), prose(str(said.get("doc") or "")), facts(known), family)


def _declined(pairs: Iterable[Mapping[str, Any]]) -> Html | None:
    lines = [
        h("li", h("b", str(p.get("estimator"))), f" for {p.get('scenario')}: {p.get('reason')}")
        for p in pairs
    ]
    return join(h("h3", "Declined by declaration"), h("ul", lines)) if lines else None
