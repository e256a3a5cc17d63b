"""The audit's report: one HTML file with the verdict, every rule and check, and plots."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cibench.model.types import Array
from cibench.render.html import PLAIN, Html, document, h, join, picture
from cibench.twins.audit.audit import Audit, Check
from cibench.twins.audit.interval_worth import Worth
from cibench.twins.audit.summary_definitions import Definition
from cibench.twins.twin import Twin
from cibench.utils.files import write_text

KINDS = {
    "effect": "The planted effect, as an estimator finds it that knows everything else",
    "take-up": "Take-up at the cutoff",
    "placebo": "Where nothing should jump or drift",
    "pre-trend": "Before adoption",
    "residual": "What the residual knows of the treatment",
    "calibration": "Treatment and instrument against their mechanisms",
    "density": "Density on either side of the cutoff",
    "margin": "Columns, one by one",
    "dependence": "Columns, in pairs",
}


def score(audit: Audit, kind: str) -> float:
    """Return a score as quality reports give it: 1 less the mean discrepancy, pairs halved."""
    gaps = [abs(c.discrepancy) for c in audit.checks if c.kind == kind]
    if not gaps:
        return 1.0
    return 1 - float(np.mean(gaps)) / (2 if kind == "dependence" else 1)


def write_report(twin: Twin, audit: Audit, path: Path, intervals: Worth | None = None) -> None:
    """Write the report; raises BadInput where the place cannot be written."""
    checks = {kind: [c for c in audit.checks if c.kind == kind] for kind in KINDS}
    body = h(
        "main", _head(twin, audit), _worth(twin, intervals), _rules(audit),
        h("p", _margins(twin, audit)), h("p", _dependence(twin, audit)), _scores(audit),
        [_table(title, checks[kind]) for kind, title in KINDS.items() if checks[kind]],
    )  # fmt: skip
    page = document(f"Audit of {twin.name}", body, style=PLAIN, scripts=())
    write_text(path, page)


def _head(twin: Twin, audit: Audit) -> Html:
    seed = twin.seed
    f = "is given" if twin.structure.known else (
        f"was estimated from {seed['rows']} rows: what is drawn knows no more of it than they do"
    )  # fmt: skip
    return join(
        h("h1", "Audit: ", "passed" if audit.passed else h("span", "failed", cls="bad")),
        h("p", f"{audit.what}; {twin.design.kind}; structure {twin.structure.name}; planted effect "
          f"{audit.effect}; seed {seed['where']}, {seed['rows']} rows."),
        h("p", f"The outcome function {f}. Twins are test benches, not evidence."),
        h("ul", [h("li", line) for line in audit.lines]),
    )  # fmt: skip


def _worth(twin: Twin, intervals: Worth | None) -> Html | None:
    """Say what intervals from enlarged data are worth, where the outcome function is estimated."""
    if intervals is None:
        return None
    return join(
        h("h2", f"What enlarged data say of the world: what {twin.seed['rows']} rows say"),
        [h("p", f"{line}.") for line in intervals.lines],
        h("p", "Each trial draws a seed of the real size from the twin, estimates the effect, "
          "plants the estimate into enlarged data and forms the interval there."),
    )  # fmt: skip


def _rules(audit: Audit) -> Html:
    rows = [
        h("tr", h("td", r.name), h("td", str(r.violations), cls=_numeric(good=not r.violations)))
        for r in audit.rules
    ]
    head = h("tr", h("th", "rule"), h("th", "broken in rows"))
    return join(h("h2", "Rules that hold in every row"), h("table", head, rows))


def _numeric(*, good: bool) -> str:
    return "n" if good else "n bad"


def _scores(audit: Audit) -> Html:
    shapes, pairs = score(audit, "margin"), score(audit, "dependence")
    return join(
        h("h2", "Likeness"),
        h("p", f"Quality scores as others give them: columns {100 * shapes:.1f} %, pairs "
          f"{100 * pairs:.1f} %. They do not see a jump, a rule or a trend; the gate does not use "
          "them."),
    )  # fmt: skip


CHECKED = (
    "check", "off by", "margin", "standard error", "beyond the margin, in errors", "critical",
)  # fmt: skip


def _table(title: str, checks: Sequence[Check]) -> Html:
    worst = sorted(checks, key=lambda c: -c.size)[:25]
    rows = [
        h("tr", h("td", c.name), h("td", f"{c.discrepancy:.4g}", cls="n"),
          h("td", f"{c.margin:.3g}", cls="n"), h("td", f"{c.se:.3g}", cls="n"),
          h("td", f"{c.size:.2f}", cls=_numeric(good=c.passed)),
          h("td", f"{c.critical:.2f}", cls="n"))
        for c in worst
    ]  # fmt: skip
    more = f" (the worst {len(worst)} of {len(checks)})" if len(worst) < len(checks) else ""
    head = h("tr", [h("th", name) for name in CHECKED])
    return join(h("h2", f"{title}{more}"), h("table", head, rows))


def _margins(twin: Twin, audit: Audit) -> Html:
    """Draw the seed's shares against those of the audited rows."""
    definition, summaries = Definition.load(twin.summaries["definition"]), twin.summaries
    count = len(definition.shares)
    gaps = np.array([c.discrepancy for c in audit.checks if c.kind == "margin"])
    seed = np.asarray(summaries["value"])[:count]
    drawn = _against(seed, seed + gaps, "share in the seed", "share in the audited rows", (0, 1))
    return picture(drawn, "shares of the seed and of the audited rows")


def _dependence(twin: Twin, audit: Audit) -> Html:
    """Draw the seed's rank correlations against those of the audited rows."""
    definition, summaries = Definition.load(twin.summaries["definition"]), twin.summaries
    first = len(definition.shares)
    seed = np.asarray(summaries["value"])[first : first + len(definition.pairs)]
    gaps = np.array([c.discrepancy for c in audit.checks if c.kind == "dependence"])
    drawn = _against(
        seed, seed + gaps, "rank correlation in the seed", "in the audited rows", (-1, 1)
    )
    return picture(drawn, "rank correlations of the seed and of the audited rows")


def _against(x: Array, y: Array, xlabel: str, ylabel: str, limits: tuple[int, int]) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), layout="constrained")
    axes: Any = figure.subplots()
    axes.plot(limits, limits, color="0.7", linewidth=1)
    axes.plot(x, y, "o", markersize=4, color="#1f4e79")
    axes.set(xlabel=xlabel, ylabel=ylabel, xlim=limits, ylim=limits)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
