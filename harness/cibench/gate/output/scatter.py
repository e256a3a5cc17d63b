"""Draw what a cell answered before against what it answered after, fit by fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cibench.gate.comparison import CellResult
from cibench.gate.output.cell_views import CellView
from cibench.metrics.groups import answers, present
from cibench.model.types import Array
from cibench.render.figures import INK, MISS, OKABE_ITO, SOFT, Plot, canvas
from cibench.render.labels import slug
from cibench.render.numbers import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOTS = 1500
"""Dots drawn at most, evenly chosen; those that changed most are always among them."""

PANELS = {"estimate": "estimate", "std_error": "standard error"}


def scatter(view: CellView, marked: Sequence[int]) -> Plot | None:
    """Draw estimates and standard errors before and after; None where there are none.

    `marked` are the replicates to be named. Without pairs the ordered values stand in for them.
    """
    cell = view.cell
    by_panel = {name: _columns(cell, name) for name in PANELS}
    panels = {name: columns for name, columns in by_panel.items() if columns[0].size}
    if not panels:
        return None
    paired = cell.pair.paired
    what = "each dot is one data set" if paired else "ordered values of either side"
    size = max(columns[0].size for columns in panels.values())
    return Plot(
        f"{slug(view.place)}-{slug(view.method)}", "Before and after",
        f"{count(size, 'fit')}, {what}; on the line nothing changed."
        + (" Numbered are the replicates that changed most." if marked and paired else ""),
        f"Scatter plot of {' and '.join(PANELS[name] for name in panels)} before and after for "
        f"{view.method} in {view.place}.",
        lambda: _paint(panels, marked if paired else ()),
    )  # fmt: skip


def _columns(cell: CellResult, name: str) -> tuple[Array, Array, Array]:
    """Return values before and after and the replicates they are of."""
    before, after = cell.pair.before, cell.pair.after
    if cell.pair.paired:
        there = np.isfinite(before[name]) & np.isfinite(after[name])
        return before[name][there], after[name][there], before["replicate"][there]
    old, new = (present(answers(group), name)[0] for group in (before, after))
    points = (np.arange(min(old.size, new.size, DOTS)) + 0.5) / max(1, min(old.size, DOTS))
    points = points[points < 1]
    if not old.size or not new.size:
        return old[:0], new[:0], old[:0]
    return np.quantile(old, points), np.quantile(new, points), np.zeros(points.size)


def _paint(panels: dict[str, tuple[Array, Array, Array]], marked: Sequence[int]) -> Figure:
    figure, [row] = canvas(
        3.3, columns=len(panels), left=0.75, right=0.2, top=0.35, bottom=0.55, across=0.85
    )
    for axes, (name, (before, after, replicate)) in zip(row, panels.items(), strict=True):
        _panel(axes, before, after, replicate, marked)
        axes.set_title(PANELS[name])
        axes.set_xlabel("before")
        axes.set_ylabel("after")
    return figure


def _panel(
    axes: Axes, before: Array, after: Array, replicate: Array, marked: Sequence[int]
) -> None:
    named = np.isin(replicate, marked)
    chosen = np.unique(np.linspace(0, before.size - 1, min(before.size, DOTS)).astype(int))
    low = float(min(before.min(), after.min()))
    high = float(max(before.max(), after.max()))
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    ends = low - room, high + room
    axes.plot(ends, ends, color=SOFT, linewidth=0.9, zorder=1)
    axes.plot(before[chosen], after[chosen], "o", markersize=2.6, alpha=0.45,
              color=OKABE_ITO[0], markeredgewidth=0, zorder=2)  # fmt: skip
    axes.plot(before[named], after[named], "o", markersize=5, color=MISS, markerfacecolor="none",
              markeredgewidth=1.2, zorder=3)  # fmt: skip
    _name(axes, before[named], after[named], replicate[named], ends)
    axes.set(xlim=ends, ylim=ends)
    axes.locator_params(nbins=5)


def _name(
    axes: Axes, before: Array, after: Array, replicate: Array, ends: tuple[float, float]
) -> None:
    """Write the replicate beside each marked dot, unless another name stands there already."""
    taken: list[tuple[float, float]] = []
    apart = 0.07 * (ends[1] - ends[0])
    for x, y, number in zip(before, after, replicate, strict=True):
        if any(abs(x - a) < 2 * apart and abs(y - b) < apart for a, b in taken):
            continue
        taken.append((float(x), float(y)))
        right = x > (ends[0] + ends[1]) / 2
        axes.annotate(
            f"{int(number)}", (x, y), xytext=(-6 if right else 6, 4), textcoords="offset points",
            fontsize=7.5, color=INK, ha="right" if right else "left",
        )  # fmt: skip
