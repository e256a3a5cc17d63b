"""The body of the report: scenarios with their plots, methods, provenance, the design (ADEMP).

Aims, data-generating mechanisms, estimands, methods and performance measures, written from the
suite as it ran, so that a paper can say them without going back to code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from cibench.metrics.scales import back, words
from cibench.render.figures import Plot
from cibench.render.html import Html, facts, folded, h, join, prose
from cibench.render.labels import DEFAULT, dial_label, dials_of, slug
from cibench.render.numbers import BLANK, exact, percent, plain
from cibench.report.provenance_words import by_formula, counting, made_elsewhere, whence
from cibench.report.sections.comparisons import comparison
from cibench.report.sections.score_tables import measures_of, score_table, shortfalls
from cibench.report.views import View
from cibench.storage.manifest import skipped_checks
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd

SAME = " All methods and all settings of a dial face the same noise."

SOURCE = "Morris, White and Crowther (2019), Statistics in Medicine 38"


def ademp_section(
    views: Sequence[View], scores: pd.DataFrame, catalogue: Mapping[str, Any],
    manifest: Mapping[str, Any],
) -> Html:  # fmt: skip
    """Write the block: aims, mechanisms, estimands, methods, performance measures."""
    elsewhere = made_elsewhere(manifest)
    parts = (
        ("Aims", _aims(views, elsewhere)),
        ("Data-generating mechanisms", h("ul", [_mechanism(part) for part in _by_scenario(views)])),
        ("Estimands", _estimands(views)),
        ("Methods", _methods(scores, catalogue)),
        ("Performance measures", _measures(views, manifest, elsewhere)),
    )
    body = [join(h("dt", name), h("dd", said)) for name, said in parts]
    return h(
        "section", folded(
            h("h2", "What was done"),
            h("p", f"Aims, data, estimands, methods and measures (ADEMP), after {SOURCE}.",
              cls="note"),
            h("dl", body, cls="ademp"), whole=True,
        ), id="ademp",
    )  # fmt: skip


def _by_scenario(views: Sequence[View]) -> list[list[View]]:
    names = dict.fromkeys(view.scenario for view in views)
    return [[view for view in views if view.scenario == name] for name in names]


def _aims(views: Sequence[View], elsewhere: bool) -> Html:
    broken = dict.fromkeys(_broken(view, dial) for view in views for dial in view.dials)
    aim = "To find out with what bias and coverage each method answers"
    aim += "" if elsewhere else " where its assumptions hold"
    if not broken:
        return join(aim, ".")
    named = h("span", "; ".join(f"“{name}”" for name in broken))
    return join(aim, ", and how both degrade as one assumption is broken by a known amount: ",
                named, ".")  # fmt: skip


def _mechanism(views: Sequence[View]) -> Html:
    first = views[0]
    sizes = ", ".join(f"{n:,}" for n in dict.fromkeys(view.n for view in views) if n)
    description = str(first.about.get("doc") or "").split("\n\n")[0].replace("\n", " ")
    moved = [_moved(first, dial) for dial in dict.fromkeys(d for view in views for d in view.dials)]
    reference = first.about.get("reference")
    return h(
        "li", h("a", first.name, href=f"#{slug(f'scenario {first.scenario}')}"),
        f"{sizes and ', n = '}{sizes}. {description}",
        [join(" ", part) for part in moved],
        f" Source: {reference}." if reference else None,
    )  # fmt: skip


def _moved(view: View, dial: str) -> str:
    about, default = view.dial(dial), view.dial(dial).get("default", 0)
    settings = ", ".join(plain(v) for v, _ in view.curve(dial) if v != default)
    unit = f" {about['unit']}" if about.get("unit") else ""
    broken = about.get("breaks")
    holds = f"{plain(default)} where “{broken}” holds" if broken else f"{plain(default)} by default"
    return f"{view.called(dial)} = {settings}{unit} ({holds})."


def _broken(view: View, dial: str) -> str:
    """Return the assumption that a dial breaks, the dial's own name where that is not known."""
    return str(view.dial(dial).get("breaks") or dial)


def _estimands(views: Sequence[View]) -> Html:
    names: dict[str, list[str]] = {}
    for view in views:
        scenarios = names.setdefault(view.estimand, [])
        if view.name not in scenarios:
            scenarios.append(view.name)
    lines = [
        h("li", h("b", estimand), f": {', '.join(where)}") for estimand, where in names.items()
    ]
    return h("ul", lines)


def _methods(scores: pd.DataFrame, catalogue: Mapping[str, Any]) -> Html:
    known = catalogue.get("estimators") or {}
    lines = []
    for name in dict.fromkeys(scores["estimator"]):
        summary = str((known.get(name) or {}).get("doc") or "").split("\n")[0]
        lines.append(h("li", h("b", name, cls="method"), f": {summary}" if summary else ""))
    return h("ul", lines)


def _measures(views: Sequence[View], manifest: Mapping[str, Any], elsewhere: bool) -> Html:
    counts = sorted({int(s["replicates"]) for view in views for s in view.scores.values()})
    ends = [f"{n:,}" for n in dict.fromkeys(counts[:1] + counts[-1:])]
    levels = " and ".join(percent(level) for level in sorted({view.level for view in views}))
    settings = [
        f"{' to '.join(ends) or 'no'} replicates a cell",
        f"nominal level {levels} %" if levels else "",
        f"seed {manifest['seed']}" if manifest.get("seed") is not None else "",
    ]
    own = (score for view in views for score in view.scores.values())
    named = ", ".join(f"{m.heading} ({m.meaning})" for m in measures_of(own))
    return join(
        h("p", f"{', '.join(part for part in settings if part)}.{'' if elsewhere else SAME}"),
        h("p", f"{named}. Each stands beside its Monte Carlo standard error"
          f"{by_formula(manifest)}; shares beside their 95 % Wilson limits; {counting(manifest)}.",
          cls="note"),
    )  # fmt: skip


AT_ONCE = 2
"""Plots of a view that stand open: the cell at the default and the first dial."""


class Described(Protocol):
    """What a scenario's section takes besides its views: their plots, and how these are put in."""

    @property
    def drawn(self) -> Mapping[str, Sequence[Plot]]:
        """Return the plots of each view, by the view's slug."""

    def figure(self, plot: Plot) -> Html:
        """Put a plot into the page."""

    def worlds(self, view: View) -> Html | None:
        """Write what else belongs under a view's scores."""


def scenario_section(views: Sequence[View], contents: Described) -> Html:
    """Write one scenario: what it asks, what its dials break, then plots and scores by view."""
    first, *others = views
    about = first.about
    return h(
        "section", h("h2", first.name), prose(str(about.get("doc") or "")),
        folded("Truth, columns, dials, equations", _facts(views), _dials(about),
               _equations(about)),
        _view(first, contents, opened=True),
        [_view(view, contents, opened=False) for view in others],
        id=slug(f"scenario {first.scenario}"),
    )  # fmt: skip


def _equations(about: Mapping[str, Any]) -> Html | None:
    text = str(about.get("equations") or "")
    return h("pre", text) if text else None


def methods_section(names: Iterable[str], catalogue: Mapping[str, Any]) -> Html:
    """Write what each estimator and diagnostic of the run says of itself."""
    known = catalogue.get("estimators") or {}
    cards = [_method(name, known.get(name) or {}) for name in dict.fromkeys(names)]
    return h(
        "section", folded(h("h2", "Methods"), h("div", cards, cls="cards"), whole=True),
        id="methods",
    )  # fmt: skip


def _precision(manifest: Mapping[str, Any]) -> str | None:
    """Say what decided on the replicates of each cell, where precision did."""
    precision, cells = manifest.get("precision"), manifest.get("cells") or ()
    if not precision:
        return None
    counts = [cell["replicates"] for cell in cells]
    short = sum(cell["stopped"].startswith("max_replicates") for cell in cells)
    targets = ", ".join(f"{name} {value:g}" for name, value in precision["targets"].items())
    how = f"a pilot of {precision['pilot']:,}" if precision.get("pilot") else "rounds"
    return (
        f"{targets}, by {how}: {min(counts):,} to {max(counts):,} replicates a cell, "
        f"{short} of {len(cells)} cells ended at the most allowed"
    )


def _plugins(manifest: Mapping[str, Any]) -> str | None:
    """Say which plug-ins were held to their contracts before the run, and which were not."""
    if skipped_checks(manifest):
        return "not held to their contracts before the run, as it was told (--no-checks)"
    plugins = (manifest.get("checks") or {}).get("plugins") or {}
    notes = [f"not {name}, which {x['unchecked']}" for name, x in plugins.items() if x["unchecked"]]
    notes += [x["warning"] for x in plugins.values() if x["warning"]]
    whole = [name for name, entry in plugins.items() if not entry["unchecked"]]
    passed = f"held to their contracts before the run: {', '.join(whole)}" if whole else ""
    return "; ".join(filter(None, [passed, *notes])) or None


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
        ("rows", rows), ("plug-ins", _plugins(manifest)), ("created", manifest.get("created")),
        ("finished", manifest.get("finished")),
        ("platform", manifest.get("platform")), ("Python", manifest.get("python")),
        ("protocol", manifest.get("protocol")),
        ("versions", ", ".join(f"{k} {v}" for k, v in versions.items())),
    ]  # fmt: skip
    return h(
        "section",
        folded(h("h2", "Provenance"), h("p", whence(manifest)), facts(known),
               _declined(manifest.get("declined") or ()), whole=True), id="provenance",
    )  # fmt: skip


def _view(view: View, contents: Described, *, opened: bool) -> Html:
    plots = [(plot.title, contents.figure(plot)) for plot in contents.drawn.get(view.slug, ())]
    first, others = plots[:AT_ONCE], plots[AT_ONCE:]
    truth = h("span", f" truth {_truth(view)}", cls="mc") if view.apart else None
    return h(
        "details", h("summary", h("h3", view.title), truth),
        None if view.settings[0].label == DEFAULT else h(
            "p", "The default cell was not run here, so there are no plots of it and no curve has "
            "its zero.", cls="note"),
        h("div", [drawn for _, drawn in first], cls="plots"),
        folded("; ".join(title for title, _ in others),
               h("div", [drawn for _, drawn in others], cls="plots")) if others else None,
        folded("Every score, differences between methods, assumptions", score_table(view),
               shortfalls(view), comparison(view), contents.worlds(view)),
        cls="view", id=view.slug, open=opened,
    )  # fmt: skip


def _facts(views: Sequence[View]) -> Html:
    about = views[0].about
    truths = list(dict.fromkeys(_truth(view) for view in views))
    defaults = {k: v.get("default") for k, v in (about.get("parameters") or {}).items()}
    parameters = {**defaults, **views[0].parameters} if len(views) == 1 else defaults
    units = {k: v.get("unit") for k, v in (about.get("parameters") or {}).items()}
    values = [
        f"{k} = {plain(v)}" + (f" ({units[k]})" if units.get(k) else "")
        for k, v in parameters.items()
    ]
    return facts((
        ("estimand", ", ".join(about.get("estimands") or {v.estimand for v in views})),
        ("truth", truths[0] if len(truths) == 1 else "differs; given with each part below"),
        ("parameters", "; ".join(values)),
        ("columns", ", ".join(f"{k}: {_role(v)}" for k, v in (about.get("roles") or {}).items())),
        ("reference", about.get("reference")),
    ))  # fmt: skip


def _truth(view: View) -> str:
    scores = [s for s in view.scores.values() if not missing(s["truth"])]
    if not scores:
        return BLANK
    ends = (min(scores, key=lambda s: s["truth"]), max(scores, key=lambda s: s["truth"]))
    text = " to ".join(dict.fromkeys(exact(s["truth"], s["truth_mcse"]) for s in ends))
    scale = ends[0].get("scale")
    if not missing(scale):  # people think of a ratio of 1.3, not of 0.26
        own = dict.fromkeys(exact(back(str(scale))(s["truth"])) for s in ends)
        text = f"{' to '.join(own)} ({text} in {words(str(scale))})"
    return f"one for each replicate, {text} on average" if view.truth_varies else text


def _role(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _dials(about: Mapping[str, Any]) -> Html | None:
    rows = [
        h("tr", h("th", dial_label(name, about), scope="row"), h("td", str(d.get("breaks") or "")),
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
    parts = ["moves with the dial" if dial.get("truth") == "moves" else "stays"]
    if dial.get("paired") is False:
        parts.append("unpaired: as if settings had noise of their own")
    return "; ".join(parts)


def _method(name: str, about: Mapping[str, Any]) -> Html:
    options = ", ".join(f"{k} = {plain(v)}" for k, v in (about.get("options") or {}).items())
    known = (
        ("answers", ", ".join((*(about.get("targets") or ()), *(about.get("horizons") or ())))),
        ("tests", ", ".join(about.get("tests") or ())),
        ("assumes", ", ".join(about.get("assumes") or ())),
        ("needs", ", ".join(about.get("needs") or ())),
        ("uses", ", ".join(about.get("uses") or ())),
        ("options", options),
        ("note", "an oracle: it sees what no analyst sees" if about.get("oracle") else ""),
    )
    module = str(about.get("module") or "")
    family = h("details", h("summary", "Its family"), prose(module)) if module else None
    return h("article", h("h3", name), prose(str(about.get("doc") or "")), facts(known), family)


def _declined(pairs: Iterable[Mapping[str, Any]]) -> Html | None:
    lines = [
        h("li", h("b", str(p.get("estimator"))), f" for {p.get('scenario')}: {p.get('reason')}")
        for p in pairs
    ]
    return join(h("h3", "Declined by declaration"), h("ul", lines)) if lines else None
