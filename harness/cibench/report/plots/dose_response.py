"""Dose-response: how coverage and bias change as one assumption is broken by a known amount."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.analysis.sensitivity.breakdown import surely_breaks
from cibench.model.types import Array
from cibench.render.figures import INK, NARROW, ROOMY, Look, Plot, canvas, width
from cibench.render.labels import DEFAULT, Setting
from cibench.render.numbers import number, percent, plain
from cibench.report.plots.forest import mark_nominal
from cibench.report.score_readings import coverage_of
from cibench.report.views import Line, View
from cibench.utils.missing import missing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points = Sequence[tuple[float, Setting]]

COVERAGE = "coverage_with_failures"

LANE = 0.07
"""Inches above the coverage panel for one method's breakdown point."""

CAPTION = (
    "Coverage counts failures as misses. Each curve starts from the same default cell, which is "
    "ringed. Bars are 95 % Monte Carlo limits, thin lines simultaneous 95 % bands over the "
    "settings. In the legend, each method's empirical SE at the default, the yardstick for its "
    "bias. Above the panel stands where coverage falls below the bound, with 95 % limits; an arrow "
    "says that it may be beyond the settings that were run."
)


def curve(view: View, dial: str, look: Mapping[str, Look]) -> Plot:
    """Draw coverage and bias of every method against the settings of one dial."""
    points = view.curve(dial)
    broken, called = view.dial(dial).get("breaks"), view.called(dial)
    start = f"The ringed point is {called} = {plain(view.dial(dial).get('default', 0))}."
    if view.dial(dial).get("truth") == "moves":
        start += " The truth moves with this dial; bias is against the truth at each setting."
    return Plot(
        f"{view.slug}-dial-{dial}",
        f"Breaking “{broken}”: {called}" if broken else f"Along {called}",
        CAPTION,
        _alt(view, dial, points),
        lambda: _paint(view, dial, points, look),
        start,
    )


def _paint(view: View, dial: str, points: Points, look: Mapping[str, Look]) -> Figure:
    stacked = width() < NARROW
    names = [_legend(view, method) for method in view.methods]
    in_line = 2 if 2 * (0.65 + 0.072 * max(map(len, names))) < width() else 1
    legend_rows = -(-len(view.methods) // in_line)
    called, unit = view.called(dial), view.dial(dial).get("unit")
    axis = wrap(f"{called}: {unit}" if unit else called, max(24, int(12.5 * width())))
    below = 0.45 + 0.17 * len(axis) + 0.19 * legend_rows
    lanes = LANE * (len(_broken(view, dial)) + 1) if _broken(view, dial) else 0.0
    figure, grid = canvas(
        2.33 + below + lanes + 2.3 * stacked, columns=1 if stacked else 2,
        rows=1 + stacked, bottom=below, left=0.55, across=0.65, down=0.55,
        top=0.35 + lanes,
    )  # fmt: skip
    coverage, bias = (axes for row in grid for axes in row)
    mark_nominal(coverage, view.level, upright=False)
    bias.axhline(0, color=INK, lw=1, ls="--")
    values = [value for value, _ in points]
    gap = min((b - a for a, b in pairwise(values)), default=0.0)
    # all methods of a setting stand nearer to it than to any other
    nudge = min((max(values) - min(values)) * 0.016, gap / 2 / len(view.methods)) or 0.01
    for i, method in enumerate(view.methods):
        aside = nudge * (i - (len(view.methods) - 1) / 2)
        for axes, measure, times in ((coverage, COVERAGE, 100), (bias, "bias", 1)):
            draw_bands(axes, view, (method, dial, measure), look[method], aside, times)
        _line(coverage, _coverage(view, method, points), look[method], aside)
        _line(bias, _bias(view, method, points), look[method], aside)
        coverage.plot([], [], color=look[method].colour, marker=look[method].marker,
                      ls=look[method].dashes, label=names[i])  # fmt: skip
    biased = f"Bias, {view.unit}" if width() > ROOMY else "Bias"
    for axes, title in ((coverage, "Coverage, %"), (bias, biased)):
        axes.set_title(title, pad=6 + 72 * lanes * (axes is coverage))
        if len(values) <= 6:
            axes.set_xticks(values, [plain(v) for v in values])
    _mark_breakdowns(coverage, _broken(view, dial), look)
    figure.text(0.5, (0.12 + 0.19 * legend_rows) / figure.get_figheight(), "\n".join(axis),
                ha="center", va="bottom")  # fmt: skip
    figure.legend(*coverage.get_legend_handles_labels(), loc="lower center", ncols=in_line,
                  fontsize=8.5, borderaxespad=0.3, handlelength=3)  # fmt: skip
    return figure


def _line(axes: Axes, data: Array, look: Look, aside: float) -> None:
    """Draw one curve: columns of `data` are x, value, reach below, reach above, default or not."""
    x, value, below, above, ringed = data
    axes.errorbar(x + aside, value, yerr=[below, above], color=look.colour, marker=look.marker,
                  ls=look.dashes, ms=5.5, lw=1.6, capsize=2.5)  # fmt: skip
    at = ringed == 1
    axes.plot(x[at] + aside, value[at], "o", mfc="none", mec=look.colour, ms=10, mew=0.8)


def draw_bands(
    axes: Axes, view: View, curve: tuple[str, str, str], look: Look, aside: float, times: float
) -> None:
    """Draw simultaneous limits as thin lines behind the bars, none of moments that are hidden."""
    if curve[2] != COVERAGE and not all(
        s["moments"] for (method, _), s in view.scores.items() if method == curve[0]
    ):
        return
    for (method, dial, setting, measure), (low, high) in view.doses.bands.items():
        if (method, dial, measure) == curve and math.isfinite(low + high):
            axes.plot([setting + aside] * 2, [times * low, times * high], color=look.colour,
                      lw=0.7, alpha=0.7)  # fmt: skip


def _broken(view: View, dial: str) -> list[Line]:
    """Return the lines of the sensitivity table that can be drawn: those with limits."""
    lines = [line for line in view.doses.broken if line["dial"] == dial]
    return [line for line in lines if not missing(line["breakdown_low"])]


def _mark_breakdowns(axes: Axes, lines: Sequence[Line], look: Mapping[str, Look]) -> None:
    """Draw each breakdown point with its limits in a lane of its own above the panel."""
    high = axes.get_position().height * axes.figure.get_figheight()  # type: ignore[union-attr]
    across, left_right = axes.get_xaxis_transform(), axes.get_xlim()
    for i, line in enumerate(lines):
        at, how = 1 + LANE * (i + 1) / high, look[str(line["method"])]
        low, top = line["breakdown_low"], line["breakdown_high"]
        edge = line["harshest"] if math.isinf(top) else top
        kept: Any = {"color": how.colour, "transform": across, "clip_on": False}
        axes.plot([-0.02], [at], marker=how.marker, ms=3.5, **kept | {"transform": axes.transAxes})
        axes.plot([low, edge], [at, at], lw=1.6, solid_capstyle="butt", **kept)
        if math.isinf(top):
            axes.plot([edge], [at], ls="", marker=">" if top > 0 else "<", ms=5, **kept)
        if surely_breaks(line):
            axes.plot([line["breakdown"]], [at], ls="", marker="|", ms=7, mew=2, **kept)
    axes.set_xlim(left_right)


def _coverage(view: View, method: str, points: Points) -> Array:
    rows = []
    for x, setting in points:
        score = view.scores.get((method, setting.label))
        if score and not missing(score[COVERAGE]):
            here, low, high = (100 * end for end in coverage_of(score))
            below, above = max(here - low, 0.0), max(high - here, 0.0)
            rows.append((x, here, below, above, setting.label == DEFAULT))
    return np.array(rows, dtype=float).reshape(-1, 5).T


def _bias(view: View, method: str, points: Points) -> Array:
    rows = []
    for x, setting in points:
        score = view.scores.get((method, setting.label))
        if score and score["moments"] and not missing(score["bias"]):
            reach = 0.0 if missing(score["bias_mcse"]) else 1.96 * score["bias_mcse"]
            rows.append((x, score["bias"], reach, reach, setting.label == DEFAULT))
    return np.array(rows, dtype=float).reshape(-1, 5).T


def _legend(view: View, method: str) -> str:
    score = view.at_default(method)
    if score is None or not score["moments"] or missing(score["empirical_se"]):
        return method
    return f"{method} (SE {number(score['empirical_se'], score['empirical_se_mcse'])})"


def _alt(view: View, dial: str, points: Points) -> str:
    lines = []
    for method in view.methods:
        scores = [view.scores.get((method, setting.label)) for _, setting in points]
        shares = [percent(s[COVERAGE]) if s else "–" for s in scores]
        lines.append(f"{method}: {', '.join(shares)}")
    places = ", ".join(plain(x) for x, _ in points)
    head = f"{view.name}, {view.title}. Coverage in % at {view.called(dial)} = {places}. "
    return head + "; ".join(lines)
