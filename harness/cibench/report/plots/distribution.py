"""The distribution of each method's estimates against the truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from cibench.model.types import Array
from cibench.render.figures import (
    INK,
    Look,
    Plot,
    canvas,
    left_margin,
    method_axis,
    pitch,
)
from cibench.render.numbers import count, exact, number
from cibench.report.views import View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOTS = 300
"""Dots drawn for a method at most; the shape above them rests on all estimates."""

WIDEST = 8
"""How many times wider than the median method's a method's reach may be before it is cut off."""


def distribution(view: View, look: Mapping[str, Look]) -> Plot | None:
    """Draw the estimates of the default cell, None where there are none.

    A truth that varies by replicate is taken out: then errors are drawn, around zero.
    """
    fixed = not view.truth_varies
    values = _values(view, fixed)
    if not values:
        return None
    truth = 0.0
    if fixed:
        truth = float(view.truths[0]) if view.truths.size else np.nan
    lowest, highest = _window(list(values.values()), truth)
    own = "" if fixed else "Each replicate has a truth of its own: the line is zero."
    return Plot(
        f"{view.slug}-estimates",
        "Estimates against the truth" if fixed else "Errors of the estimates",
        f"Every estimate of the default cell: the shape rests on all of them, at most {DOTS} are "
        "drawn as dots. The dashed line is the truth; the upright tick is the median, the bar the "
        "middle half. Estimates outside the window are counted at its edge.",
        _alt(view, values, truth),
        lambda: _paint(values, truth, (lowest, highest), look, fixed=fixed),
        own,
    )


def _values(view: View, fixed: bool) -> dict[str, Array]:
    values = {}
    for method in (m for m in view.methods if m in view.answers):
        rows = view.answered(method)
        estimates = rows["estimate"] if fixed else rows["estimate"] - rows["truth"]
        if not np.isnan(estimates).all():
            values[method] = estimates[~np.isnan(estimates)]
    return values


def _window(parts: list[Array], truth: float) -> tuple[float, float]:
    """Return the limits of the axis: whiskers of every method, none much wider than the rest."""
    quartiles = np.array([np.quantile(part, (0.25, 0.5, 0.75)) for part in parts])
    reach = 2.5 * (quartiles[:, 2] - quartiles[:, 0])
    reach = np.minimum(reach, WIDEST * float(np.median(reach))) if np.median(reach) else reach
    low = max(float((quartiles[:, 1] - reach).min()), float(min(p.min() for p in parts)))
    high = min(float((quartiles[:, 1] + reach).max()), float(max(p.max() for p in parts)))
    low, high = min(low, truth), max(high, truth)
    if high - low <= 1e-9 * max(abs(low), abs(high)):  # nothing but rounding
        low = high = truth
    margin = 0.06 * (high - low) or 0.1 * abs(truth) or 1.0
    return low - margin, high + margin


def _paint(
    values: Mapping[str, Array], truth: float, window: tuple[float, float],
    look: Mapping[str, Look], *, fixed: bool,
) -> Figure:  # fmt: skip
    methods = list(values)
    figure, [[axes]] = canvas(
        0.75 + pitch(methods, 0.6) * len(methods), left=left_margin(methods), top=0.15
    )
    method_axis(axes, methods)
    axes.set_xlim(*window)
    axes.axvline(truth, color=INK, lw=1, ls="--")
    for i, method in enumerate(methods):
        _method(axes, i, values[method], look[method])
        _outside(axes, i, values[method])
    axes.set_xlabel(f"estimate (truth {exact(truth)})" if fixed else "estimate − truth")
    return figure


def _method(axes: Axes, at: int, part: Array, look: Look) -> None:
    """Draw one method: the shape above its line, dots below, median and quartiles between."""
    low, high = axes.get_xlim()
    seen = part[(part >= low) & (part <= high)]
    if not seen.size:
        return
    grid, density = _density(seen, low, high)
    axes.fill_between(grid, at - 0.08 - 0.38 * density, at - 0.08, color=look.colour, alpha=0.35,
                      lw=0)  # fmt: skip
    dots = seen[np.linspace(0, seen.size - 1, min(seen.size, DOTS)).astype(int)]
    scatter = at + 0.13 + 0.25 * (np.arange(dots.size) * 0.618034 % 1)  # even, and no randomness
    axes.plot(dots, scatter, ".", color=look.colour, ms=2.5, alpha=0.5, mew=0, rasterized=True)
    quartiles = np.quantile(part, (0.25, 0.5, 0.75))
    axes.plot(quartiles[[0, 2]], [at, at], color=look.colour, lw=3, solid_capstyle="butt")
    axes.plot(quartiles[1], at, "|", color=INK, ms=9, mew=1.6)


def _density(part: Array, low: float, high: float) -> tuple[Array, Array]:
    """Return a smoothed histogram on a grid, its peak at one (Silverman's bandwidth)."""
    edges = np.linspace(low, high, 201)
    step = edges[1] - edges[0]
    q1, q3 = np.quantile(part, (0.25, 0.75))
    sd = min(float(part.std()), (q3 - q1) / 1.349) or float(part.std())
    width = max(0.9 * sd * part.size**-0.2, step) / step
    kernel = np.exp(-0.5 * (np.arange(-99, 100) / width) ** 2)
    smooth = np.convolve(np.histogram(part, edges)[0].astype(float), kernel, mode="same")
    return (edges[:-1] + edges[1:]) / 2, smooth / smooth.max()


def _outside(axes: Axes, at: int, part: Array) -> None:
    """Write at the edges how many estimates lie beyond them."""
    low, high = axes.get_xlim()
    beyond = ((0.005, "left", "◂ {}", part < low), (0.995, "right", "{} ▸", part > high))
    for x, side, text, out in beyond:
        if out.any():
            axes.text(x, at, text.format(f"{int(out.sum()):,} outside"), ha=side, va="center",
                      fontsize=7.5, transform=axes.get_yaxis_transform())  # fmt: skip


def _alt(view: View, values: Mapping[str, Array], truth: float) -> str:
    medians = [
        f"{method}: {count(part.size, 'estimate')}, median {number(float(np.median(part)))}"
        for method, part in values.items()
    ]
    return f"{view.name}, {view.title}, truth {exact(truth)}. " + "; ".join(medians)
