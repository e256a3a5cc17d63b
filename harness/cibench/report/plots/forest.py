"""The default cell at a glance: bias and coverage of every method, with Monte Carlo limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cibench.render.figures import (
    INK,
    ROOMY,
    SOFT,
    Look,
    Plot,
    canvas,
    left_margin,
    method_axis,
    pitch,
    width,
)
from cibench.render.numbers import limits, percent, signed
from cibench.report.score_readings import coverage_of
from cibench.report.views import View
from cibench.suite.expectations import SHORTFALL
from cibench.utils.missing import missing

PATCH = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def forest(view: View, look: Mapping[str, Look]) -> Plot | None:
    """Draw bias and coverage in the default cell side by side, None where there is none."""
    methods = [m for m in view.methods if view.at_default(m)]
    if not methods:
        return None
    return Plot(
        f"{view.slug}-forest",
        "Bias and coverage with every dial at its default",
        "Bars are 95 % Monte Carlo limits: 1.96 standard errors for bias, Wilson's for coverage, "
        "which counts failures as misses. The dashed lines mark no bias and nominal coverage; the "
        "shaded band ends five points under nominal, where a method that states no other floor "
        "counts as broken.",
        _alt(view, methods),
        lambda: _paint(view, methods, look),
    )


def _paint(view: View, methods: list[str], look: Mapping[str, Look]) -> Figure:
    figure, [[bias, coverage]] = canvas(
        0.95 + pitch(methods, 0.42) * len(methods),
        columns=2,
        left=left_margin(methods),
        sharey=True,
    )
    method_axis(bias, methods)
    coverage.grid(visible=False, axis="y")
    coverage.tick_params(axis="y", length=0, labelleft=False)
    bias.axvline(0, color=INK, lw=1, ls="--")
    mark_nominal(coverage, view.level, upright=True)
    for i, method in enumerate(methods):
        _bias(bias, i, view, method, look[method])
        _coverage(coverage, i, view, method, look[method])
    bias.set_title("Bias")
    roomy = width() > ROOMY
    bias.set_xlabel(view.unit if roomy else view.unit.replace("units of the outcome", "units"))
    bias.locator_params(axis="x", nbins=5)
    coverage.set_title("Coverage")
    coverage.set_xlabel("% of intervals that hold the truth" if roomy else "%")
    return figure


def mark_nominal(axes: Axes, level: float, *, upright: bool) -> None:
    """Mark the nominal level and the five points below it that a sound method may lose."""
    band, line = (axes.axvspan, axes.axvline) if upright else (axes.axhspan, axes.axhline)
    band(100 * (level - SHORTFALL), 100 * level, color="#eef2f6", lw=0)
    line(100 * level, color=INK, lw=1, ls="--")


def _bias(axes: Axes, at: int, view: View, method: str, look: Look) -> None:
    score = view.at_default(method) or {}
    if not score["moments"]:
        note(axes, at, "hidden: no average to rely on")
    elif not missing(score["bias"]):
        reach = 0.0 if missing(score["bias_mcse"]) else 1.96 * score["bias_mcse"]
        axes.errorbar(score["bias"], at, xerr=reach, color=look.colour, fmt=look.marker,
                      ms=6, capsize=3, lw=1.6)  # fmt: skip


def _coverage(axes: Axes, at: int, view: View, method: str, look: Look) -> None:
    score = view.at_default(method) or {}
    if missing(score["coverage_with_failures"]) or not score["answered"]:
        note(axes, at, "no answer" if not score["answered"] else "gives no limits")
        return
    here, low, high = (100 * end for end in coverage_of(score))
    axes.errorbar(here, at, xerr=[[max(here - low, 0)], [max(high - here, 0)]],
                  color=look.colour, fmt=look.marker, ms=6, capsize=3, lw=1.6)  # fmt: skip


def note(axes: Axes, at: float, text: str) -> None:
    """Write in a method's line why nothing is drawn there."""
    axes.text(0.02, at, text, color=SOFT, fontsize=8, va="center", bbox=PATCH, zorder=5,
              transform=axes.get_yaxis_transform())  # fmt: skip


def _alt(view: View, methods: list[str]) -> str:
    lines = []
    for method in methods:
        score = view.at_default(method) or {}
        bias = f"bias {signed(score['bias'], score['bias_mcse'])}, " if score["moments"] else ""
        share, low, high = coverage_of(score)
        lines.append(f"{method}: {bias}coverage {percent(share)} % ({limits(low, high)})")
    return f"{view.name}, {view.title}, default. " + "; ".join(lines)
