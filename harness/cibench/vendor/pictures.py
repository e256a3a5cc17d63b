"""Plots of reports on bundles, as images within the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from cibench.model import Array
from cibench.report.markup import Html, h
from cibench.vendor.attack import Attack
from cibench.vendor.scoring import Line

BLUE, ORANGE, GREY = "#0072B2", "#b34700", "0.6"


def _image(figure: Any, words: str) -> Html:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    data = base64.b64encode(buffer.getvalue()).decode()
    return h("p", h("img", alt=words, src=f"data:image/png;base64,{data}"))


def _axes(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes: Any = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def roc(found: Sequence[Attack]) -> Html:
    """Draw of each attack the share of members that it finds against its false alarms."""
    figure, axes = _axes(5.5, 4.2)
    axes.plot((0, 1), (0, 1), color=GREY, linewidth=1, linestyle="--", label="a coin")
    looks = ("the twin", BLUE, "-"), ("planted leak", ORANGE, "-.")
    for one, (word, colour, style) in zip(found, looks, strict=True):
        grid = np.linspace(0, 1, 201)
        levels = np.quantile(one.outside, 1 - grid)
        hits: Array = 1 - np.searchsorted(np.sort(one.inside), levels) / len(one.inside)
        label = f"{word}: {one.auc.value:.3f}"
        axes.plot(grid, hits, color=colour, linestyle=style, label=label)
    axes.set(
        xlabel="share of others that are suspected", ylabel="share of members that are found",
        xlim=(0, 1), ylim=(0, 1.01),
    )  # fmt: skip
    axes.legend(frameon=False, loc="lower right")
    return _image(figure, "how many members the attacks find, against their false alarms")


def intervals(lines: Sequence[Line]) -> Html:
    """Draw each answer's interval less its truth, vendor by vendor."""
    vendors = list(dict.fromkeys(line.vendor for line in lines))
    figure, axes = _axes(7, 0.9 + 0.22 * len(lines))
    axes.axvline(0, color="0.2", linewidth=1)
    for place, line in enumerate(lines):
        colour, width = (BLUE, 1.5) if line.covers else (ORANGE, 3)
        ends = line.low - line.truth, line.high - line.truth
        axes.plot(ends, (place, place), color=colour, linewidth=width)
        axes.plot(line.error, place, "o", color=colour, markersize=4)
    names = [f"{n.vendor}, {n.dataset}" if len(vendors) > 1 else n.dataset for n in lines]
    axes.set(yticks=range(len(lines)), yticklabels=names, ylim=(len(lines) - 0.4, -0.6))
    axes.set_xlabel("estimate and interval, less the truth; thick: the interval misses it")
    return _image(figure, "estimates and intervals less their truths")
