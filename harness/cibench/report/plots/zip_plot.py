"""The zip plot: every confidence interval, sorted by how far its estimate is from the truth.

After Morris, White and Crowther (2019), Statistics in Medicine 38, figure 5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np

from cibench.metrics.groups import Group
from cibench.metrics.intervals import covers
from cibench.model.types import Array
from cibench.render.figures import HIT, INK, MISS, Plot, canvas, style, width
from cibench.render.numbers import digits, percent
from cibench.report.views import View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DRAWN = 1000
"""Intervals drawn for a method at most, evenly spaced in rank."""


@dataclass(frozen=True, eq=False)
class Zip:
    """Hold a method's intervals as errors (limits minus truth), the least surprising first."""

    low: Array
    high: Array
    outside: Array
    hit: Array

    @property
    def centile(self) -> Array:
        """Return each interval's rank as a centile."""
        return 100 * (np.arange(self.low.size) + 0.5) / self.low.size


def zip_plot(view: View) -> Plot | None:
    """Draw the intervals of the default cell, one panel per method, None where there are none."""
    drawn = (m for m in view.methods if m in view.answers)
    zips = {m: z for m in drawn if (z := _sorted(view.answered(m))).low.size}
    if not zips:
        return None
    most = max(z.low.size for z in zips.values())
    spared = f"{DRAWN:,} of {most:,} are drawn, evenly in rank." if most > DRAWN else ""
    return Plot(
        f"{view.slug}-zip",
        "Every interval, sorted by its distance from the truth",
        "Each line is one replicate’s interval minus the truth, ranked by |estimate − truth| / SE: "
        "the most surprising on top. Darker intervals, in colour the orange ones, miss the truth. "
        "Where a method is honest, the colour changes at the dotted line, the nominal level; "
        "intervals that miss on one side only show bias. All panels have one scale; what lies "
        "beyond is cut at their edges.",
        _alt(view, zips),
        lambda: _paint(view, zips),
        spared,
    )


def _sorted(rows: Group) -> Zip:
    with_limits = ~np.isnan(rows["ci_low"]) & ~np.isnan(rows["ci_high"])
    names = ("ci_low", "ci_high", "truth", "estimate", "std_error")
    low, high, truth, t, se = (rows[name][with_limits] for name in names)
    outside = rows["outside"][with_limits] == 1
    # Without an estimate or its error the interval itself says how far off it is.
    with np.errstate(all="ignore"):
        z = np.abs(t - truth) / se
        stand_in = np.abs((low + high) / 2 - truth) / (high - low)
    order = np.argsort(np.nan_to_num(np.where(np.isfinite(z), z, stand_in)), kind="stable")
    hit = covers(low, high, truth, outside)
    return Zip((low - truth)[order], (high - truth)[order], outside[order], hit[order])


def _paint(view: View, zips: Mapping[str, Zip]) -> Figure:
    columns = min(len(zips), 4, max(2, int(width() / 1.5)))
    rows = -(-len(zips) // columns)
    lines = max(len(_title(view, method).split("\n")) for method in zips)
    above = 0.15 + 0.145 * lines
    figure, grid = canvas(
        0.5 + above + 1.6 * rows + (0.3 + above) * (rows - 1), rows=rows, columns=columns,
        sharex=True, sharey=True, left=0.5, top=above, bottom=0.5, across=0.16, down=0.3 + above,
    )  # fmt: skip
    panels = [axes for row in grid for axes in row]
    reach = _reach(list(zips.values()))
    for axes, (method, part) in zip(panels, zips.items(), strict=False):
        _panel(axes, view, method, part, reach)
    for axes in panels[len(zips) :]:
        axes.set_visible(False)
    for axes in panels[max(0, len(zips) - columns) : len(zips)]:  # the lowest of each column
        axes.tick_params(labelbottom=True)
    for row in grid:
        row[0].set_ylabel("centile of |z|", labelpad=2)
    figure.text(0.5, 0.1 / figure.get_figheight(), f"interval − truth, {view.unit}",
                ha="center", va="bottom")  # fmt: skip
    return figure


def _panel(axes: Axes, view: View, method: str, part: Zip, reach: float) -> None:
    from matplotlib.collections import LineCollection

    axes.set_xlim(-reach, reach)
    axes.set_ylim(0, 100)
    spaced = np.linspace(0, part.low.size - 1, min(part.low.size, DRAWN)).astype(int)
    lines, hits = _segments(part, spaced, reach)
    thickness = float(np.clip(160 / max(spaced.size, 1), 0.35, 2.0))
    axes.add_collection(
        LineCollection(list(lines), colors=np.where(hits, *_shades()), linewidths=thickness,
                       rasterized=True)
    )  # fmt: skip
    axes.axvline(0, color=INK, lw=0.9)
    axes.axhline(100 * view.level, color=INK, lw=1, ls=":")
    axes.grid(visible=False)
    axes.locator_params(axis="x", nbins=3)
    axes.set_yticks([0, 50, 100 * view.level])
    axes.set_title(_title(view, method), fontsize=8)


def _shades() -> tuple[str, str]:
    """Return the colours of intervals that hold the truth and of those that miss it."""
    return ("#c4c4c4", "#1a1a1a") if style().grey else (HIT, MISS)


def _segments(part: Zip, spaced: Array, reach: float) -> tuple[Array, Array]:
    """Return line segments clipped to the panel, two for a set that lies outside its limits."""
    y, low, high = part.centile[spaced], part.low[spaced], part.high[spaced]
    out, edge = part.outside[spaced], np.full(spaced.size, 1.02 * reach)
    first = np.column_stack([np.where(out, -edge, low), y, np.where(out, low, high), y])
    second = np.column_stack([high, y, edge, y])[out]
    ends = np.vstack([first, second])
    empty = ends[:, 0] > ends[:, 2]
    ends[:, [0, 2]] = np.clip(ends[:, [0, 2]], -edge[:1], edge[:1])
    hits = np.concatenate([part.hit[spaced], part.hit[spaced][out]])
    return ends[~empty].reshape(-1, 2, 2), hits[~empty]


WILDEST = 3
"""How many times farther than the median method's a method's limits may reach in one scale."""


def _reach(parts: Sequence[Zip]) -> float:
    """Return how far from the truth all panels reach: almost all limits, but not wild ones."""
    reaches = []
    for part in parts:
        ends = np.abs(np.concatenate([part.low, part.high]))
        finite = ends[np.isfinite(ends)]
        if finite.size:
            reaches.append(float(min(np.quantile(finite, 0.995), 4 * np.median(finite))))
    if not reaches:
        return 1.0
    return 1.05 * min(max(reaches), WILDEST * float(np.median(reaches))) or 1.0


def _title(view: View, method: str) -> str:
    """Name the method in at most three lines, then its coverage."""
    score = view.at_default(method) or {}
    places = digits(score["coverage_low"], score["coverage_high"])
    name = wrap(method.partition("/")[2] or method, 21)[:3]
    return "\n".join([*name, f"covers {percent(score['coverage'], places)} %"])


def _alt(view: View, zips: Mapping[str, Zip]) -> str:
    misses = [f"{m}: {int((~z.hit).sum()):,} of {z.hit.size:,} miss" for m, z in zips.items()]
    return f"{view.name}, {view.title}, intervals of the default cell. " + "; ".join(misses)
