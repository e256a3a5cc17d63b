"""The audit's report: one HTML file with the verdict, every rule and check, and plots."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path
from typing import Any

import numpy as np

from cibench.model.types import Array
from cibench.twins.audit.audit import Audit, Check
from cibench.twins.audit.interval_worth import Worth
from cibench.twins.audit.summary_definitions import Definition
from cibench.twins.twin import Twin
from cibench.utils.errors import BadInput
from cibench.utils.files import write_atomically

STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.2rem .6rem;
border-bottom:1px solid #ccc}td.n{text-align:right;font-variant-numeric:tabular-nums}
.bad{color:#a40000;font-weight:600}img{max-width:100%}"""
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


def score(found: Audit, kind: str) -> float:
    """Return a score as quality reports give it: 1 less the mean discrepancy, pairs halved."""
    gaps = [abs(c.discrepancy) for c in found.checks if c.kind == kind]
    if not gaps:
        return 1.0
    return 1 - float(np.mean(gaps)) / (2 if kind == "dependence" else 1)


def write_report(twin: Twin, found: Audit, path: Path, told: Worth | None = None) -> None:
    """Write the report; raises BadInput where the place cannot be written."""
    parts = [_head(twin, found), _worth(twin, told), _rules(found), _scores(found)]
    for kind, title in KINDS.items():
        checks = [c for c in found.checks if c.kind == kind]
        if checks:
            parts.append(_table(title, checks))
    pictures = [_margins(twin, found), _dependence(twin, found)]
    parts[3:3] = [f"<p><img alt='{alt}' src='{src}'></p>" for alt, src in pictures]
    body = "\n".join(parts)
    page = (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>Audit of {twin.name}</title>"
        f"<style>{STYLE}</style><main>{body}</main></html>"
    )
    try:
        write_atomically(path, lambda p: p.write_text(page, encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from error


def _head(twin: Twin, found: Audit) -> str:
    told, say = twin.seed, html.escape
    verdict = "passed" if found.passed else "<span class='bad'>failed</span>"
    lines = "".join(f"<li>{say(line)}</li>" for line in found.lines)
    f = "is given" if twin.structure.known else (
        f"was estimated from {told['rows']} rows: what is drawn knows no more of it than they do"
    )  # fmt: skip
    return (
        f"<h1>Audit: {verdict}</h1><p>{say(found.what)}; {twin.design.kind}; structure "
        f"{say(twin.structure.name)}; planted effect {say(str(found.effect))}; seed "
        f"{say(told['where'])}, {told['rows']} rows.</p><p>The outcome function {f}. Twins are "
        f"test benches, not evidence.</p><ul>{lines}</ul>"
    )


def _worth(twin: Twin, told: Worth | None) -> str:
    """Say what intervals from enlarged data are worth, where the outcome function is estimated."""
    if told is None:
        return ""
    lines = "".join(f"<p>{html.escape(line)}.</p>" for line in told.lines)
    return (
        f"<h2>What enlarged data say of the world: what {twin.seed['rows']} rows say</h2>{lines}"
        "<p>Each trial draws a seed of the real size from the twin, estimates the effect, plants "
        "the estimate into enlarged data and forms the interval there.</p>"
    )


def _rules(found: Audit) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(r.name)}</td><td class='n{' bad' if r.violations else ''}'>"
        f"{r.violations}</td></tr>"
        for r in found.rules
    )
    return (
        f"<h2>Rules that hold in every row</h2><table><tr><th>rule<th>broken in rows{rows}</table>"
    )


def _scores(found: Audit) -> str:
    shapes, pairs = score(found, "margin"), score(found, "dependence")
    return (
        f"<h2>Likeness</h2><p>Quality scores as others give them: columns {100 * shapes:.1f} %, "
        f"pairs {100 * pairs:.1f} %. They do not see a jump, a rule or a trend; the gate does not "
        "use them.</p>"
    )


def _table(title: str, checks: list[Check]) -> str:
    worst = sorted(checks, key=lambda c: -c.size)[:25]
    rows = "".join(
        f"<tr><td>{html.escape(c.name)}</td><td class='n'>{c.discrepancy:.4g}</td>"
        f"<td class='n'>{c.margin:.3g}</td><td class='n'>{c.se:.3g}</td>"
        f"<td class='n{'' if c.passed else ' bad'}'>{c.size:.2f}</td>"
        f"<td class='n'>{c.critical:.2f}</td></tr>"
        for c in worst
    )
    more = f" (the worst {len(worst)} of {len(checks)})" if len(worst) < len(checks) else ""
    return (
        f"<h2>{html.escape(title)}{more}</h2><table><tr><th>check<th>off by<th>margin<th>standard "
        f"error<th>beyond the margin, in errors<th>critical{rows}</table>"
    )


def _margins(twin: Twin, found: Audit) -> tuple[str, str]:
    """Draw the seed's shares against those of the audited rows."""
    definition, told = Definition.load(twin.summaries["definition"]), twin.summaries
    count = len(definition.shares)
    gaps = np.array([c.discrepancy for c in found.checks if c.kind == "margin"])
    seed = np.asarray(told["value"])[:count]
    return "shares of the seed and of the audited rows", _against(
        seed, seed + gaps, "share in the seed", "share in the audited rows", (0, 1)
    )


def _dependence(twin: Twin, found: Audit) -> tuple[str, str]:
    """Draw the seed's rank correlations against those of the audited rows."""
    definition, told = Definition.load(twin.summaries["definition"]), twin.summaries
    first = len(definition.shares)
    seed = np.asarray(told["value"])[first : first + len(definition.pairs)]
    gaps = np.array([c.discrepancy for c in found.checks if c.kind == "dependence"])
    return "rank correlations of the seed and of the audited rows", _against(
        seed, seed + gaps, "rank correlation in the seed", "in the audited rows", (-1, 1)
    )


def _against(x: Array, y: Array, xlabel: str, ylabel: str, limits: tuple[int, int]) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), layout="constrained")
    axes: Any = figure.subplots()
    axes.plot(limits, limits, color="0.7", linewidth=1)
    axes.plot(x, y, "o", markersize=4, color="#1f4e79")
    axes.set(xlabel=xlabel, ylabel=ylabel, xlim=limits, ylim=limits)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
