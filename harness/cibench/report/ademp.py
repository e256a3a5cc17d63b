"""What the run set out to do, in the order of Morris, White and Crowther (2019): ADEMP.

Aims, data-generating mechanisms, estimands, methods and performance measures, written from the
suite as it ran, so that a paper can say them without going back to code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cibench.report.labels import slug
from cibench.report.markup import Html, h, join
from cibench.report.numbers import percent, plain
from cibench.report.tables import COLUMNS
from cibench.report.views import View

if TYPE_CHECKING:
    import pandas as pd

SOURCE = "Morris, White and Crowther (2019), Statistics in Medicine 38"


def ademp_section(
    views: Sequence[View], rows: pd.DataFrame, catalogue: Mapping[str, Any],
    manifest: Mapping[str, Any],
) -> Html:  # fmt: skip
    """Write the block: aims, mechanisms, estimands, methods, performance measures."""
    parts = (
        ("Aims", _aims(views)),
        ("Data-generating mechanisms", h("ul", [_mechanism(part) for part in _by_scenario(views)])),
        ("Estimands", _estimands(views)),
        ("Methods", _methods(rows, catalogue)),
        ("Performance measures", _measures(views, manifest)),
    )
    body = [join(h("dt", name), h("dd", said)) for name, said in parts]
    return h(
        "section", h("h2", "What was done"),
        h("p", f"Aims, data, estimands, methods and measures (ADEMP), after {SOURCE}.", cls="note"),
        h("dl", body, cls="ademp"), id="ademp",
    )  # fmt: skip


def _by_scenario(views: Sequence[View]) -> list[list[View]]:
    names = dict.fromkeys(view.scenario for view in views)
    return [[view for view in views if view.scenario == name] for name in names]


def _aims(views: Sequence[View]) -> Html:
    broken = dict.fromkeys(_broken(view, dial) for view in views for dial in view.dials)
    said = "To find out with what bias and coverage each method answers where its assumptions hold"
    if not broken:
        return join(said, ".")
    named = h("span", "; ".join(f"“{name}”" for name in broken))
    return join(said, ", and how both degrade as one assumption is broken by a known amount: ",
                named, ".")  # fmt: skip


def _mechanism(views: Sequence[View]) -> Html:
    first = views[0]
    sizes = ", ".join(f"{n:,}" for n in dict.fromkeys(view.n for view in views))
    told = str(first.about.get("doc") or "").split("\n\n")[0].replace("\n", " ")
    moved = [_moved(first, dial) for dial in dict.fromkeys(d for view in views for d in view.dials)]
    reference = first.about.get("reference")
    return h(
        "li", h("a", first.scenario, href=f"#{slug(f'scenario {first.scenario}')}"),
        f", n = {sizes}. {told}",
        [join(" ", part) for part in moved],
        f" Source: {reference}." if reference else None,
    )  # fmt: skip


def _moved(view: View, dial: str) -> str:
    said, default = view.dial(dial), view.dial(dial).get("default", 0)
    settings = ", ".join(plain(v) for v, _ in view.curve(dial) if v != default)
    unit = f" {said['unit']}" if said.get("unit") else ""
    return f"{dial} = {settings}{unit} ({plain(default)} where “{_broken(view, dial)}” holds)."


def _broken(view: View, dial: str) -> str:
    """Return the assumption that a dial breaks, the dial's own name where that is not known."""
    return str(view.dial(dial).get("breaks") or dial)


def _estimands(views: Sequence[View]) -> Html:
    names: dict[str, list[str]] = {}
    for view in views:
        scenarios = names.setdefault(view.estimand, [])
        if view.scenario not in scenarios:
            scenarios.append(view.scenario)
    lines = [
        h("li", h("b", estimand), f": {', '.join(where)}") for estimand, where in names.items()
    ]
    return h("ul", lines)


def _methods(rows: pd.DataFrame, catalogue: Mapping[str, Any]) -> Html:
    known = catalogue.get("estimators") or {}
    lines = []
    for name in dict.fromkeys(rows["estimator"]):
        said = str((known.get(name) or {}).get("doc") or "").split("\n")[0]
        lines.append(h("li", h("b", name, cls="method"), f": {said}" if said else ""))
    return h("ul", lines)


def _measures(views: Sequence[View], manifest: Mapping[str, Any]) -> Html:
    counts = sorted({int(s["replicates"]) for view in views for s in view.scores.values()})
    ends = [f"{n:,}" for n in dict.fromkeys(counts[:1] + counts[-1:])]
    levels = " and ".join(percent(level) for level in sorted({view.level for view in views}))
    said = [
        f"{' to '.join(ends) or 'no'} replicates a cell",
        f"nominal level {levels} %" if levels else "",
        f"seed {manifest['seed']}" if manifest.get("seed") is not None else "",
    ]
    named = ", ".join(f"{c.name} ({c.meaning})" for c in COLUMNS if c.name)
    return join(
        h("p", f"{', '.join(part for part in said if part)}. All methods and all settings of a "
          "dial face the same noise."),
        h("p", f"{named}. Each stands beside its Monte Carlo standard error; shares beside their "
          "95 % Wilson limits. Failed fits are counted, not redrawn.", cls="note"),
    )  # fmt: skip
