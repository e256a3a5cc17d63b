"""Pictures that need no script: a setting's sampling distributions against the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cibench.render.html import Html, h

WIDTH, ROW, PAD = 300.0, 46.0, 6.0
INK, FAINT = "#1f2933", "#9aa5b1"


def distributions(
    series: Sequence[Mapping[str, Any]], edges: Sequence[float], colours: Sequence[str], alt: str,
    behind: Sequence[Mapping[str, Any]] = (),
) -> Html:  # fmt: skip
    """Draw a row of bars for each series with its truth; those `behind` are grey."""
    most = max((_share(s, c) for s in (*series, *behind) for c in s["counts"]), default=0) or 1.0
    rows = []
    for i, part in enumerate(series):
        base = (i + 1) * ROW - PAD
        if i < len(behind):
            rows.append(_bars(behind[i], base, most, FAINT))
        rows.append(_bars(part, base, most, colours[i % len(colours)]))
        x = _place(float(part["truth"][0]), edges)
        rows.append(h("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=f"{base - ROW + 2 * PAD:.1f}",
                      y2=f"{base:.1f}", stroke=INK, stroke_width="2.5"))  # fmt: skip
    high = len(series) * ROW
    return h(
        "svg", rows, viewBox=f"0 0 {WIDTH:g} {high:g}", role="img", aria_label=alt,
        xmlns="http://www.w3.org/2000/svg", width=f"{WIDTH:g}", height=f"{high:g}",
    )  # fmt: skip


def _share(part: Mapping[str, Any], count: int) -> float:
    return count / max(int(part["answered"]), 1)


def _place(value: float, edges: Sequence[float]) -> float:
    return (value - edges[0]) / (edges[1] - edges[0]) * WIDTH


def _bars(part: Mapping[str, Any], base: float, most: float, colour: str) -> Html:
    wide = WIDTH / len(part["counts"])
    points = [f"0,{base:.1f}"]
    for k, count in enumerate(part["counts"]):
        top = base - (ROW - 3 * PAD) * _share(part, count) / most
        points += [f"{k * wide:.1f},{top:.1f}", f"{(k + 1) * wide:.1f},{top:.1f}"]
    points.append(f"{WIDTH:.1f},{base:.1f}")
    return h("polygon", points=" ".join(points), fill=colour, fill_opacity="0.35", stroke=colour)
