"""What all figures share: the look of a method, the canvas in inches, the files that come out."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, Any, TypeAlias

from cibench.render.html import Html, h

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Grid: TypeAlias = "list[list[Axes]]"

OKABE_ITO = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D1F",
)  # fmt: skip
"""The colour-blind-safe palette of Okabe and Ito; its yellow, too faint on white, is darkened."""

MARKERS = "osD^vPX*<>h"
DASHES = ("-", "--", "-.", ":")
HIT, MISS, INK, SOFT = "#8FB8D0", "#D55E00", "#1f2933", "#66727f"
WIDTH = 6.6
"""Inches across every figure: two stand side by side on a laptop and stay legible."""

RC: Any = {
    "svg.hashsalt": "cibench", "svg.fonttype": "path", "font.size": 9, "font.family": "DejaVu Sans",
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#7b8794",
    "axes.labelcolor": INK, "axes.titlesize": 9.5, "axes.titlelocation": "left",
    "axes.titleweight": "bold", "xtick.color": "#52606d", "ytick.color": "#52606d",
    "text.color": INK, "axes.grid": True, "grid.color": "#e4e7eb", "grid.linewidth": 0.7,
    "axes.axisbelow": True, "legend.frameon": False, "axes.formatter.useoffset": False,
}  # fmt: skip


@dataclass(frozen=True)
class Look:
    """Hold how a method is drawn: shape and dashes tell it apart where colour does not."""

    colour: str
    marker: str
    dashes: str


@dataclass(frozen=True)
class Plot:
    """Hold a drawn figure with its words; `name` is that of its files, `size` in pixels."""

    name: str
    title: str
    caption: str
    alt: str
    svg: bytes
    png: bytes
    size: tuple[int, int]

    @property
    def data_uri(self) -> str:
        """Return the SVG as a data URI; as an image its ids do not clash with another's."""
        return f"data:image/svg+xml;base64,{b64encode(self.svg).decode('ascii')}"


def looks(methods: Sequence[str]) -> dict[str, Look]:
    """Give each method a look of its own, in their order."""
    return {
        method: Look(OKABE_ITO[i % 8], MARKERS[i % 11], DASHES[i // 8 % 4])
        for i, method in enumerate(methods)
    }


def draw(name: str, title: str, caption: str, alt: str, paint: Callable[[], Figure]) -> Plot:
    """Paint a figure under the house style and write it twice, with no date in the files."""
    import matplotlib as mpl

    svg, png = io.BytesIO(), io.BytesIO()
    with mpl.rc_context(RC):
        figure = paint()
        figure.savefig(svg, format="svg", dpi=130, metadata={"Date": None, "Creator": None})
        figure.savefig(png, format="png", dpi=160, metadata={"Software": None})
    wide, high = (round(96 * inches) for inches in figure.get_size_inches())
    return Plot(name, title, caption, alt, svg.getvalue(), png.getvalue(), (wide, high))


def canvas(
    height: float, *, rows: int = 1, columns: int = 1, left: float = 0.7, right: float = 0.15,
    top: float = 0.35, bottom: float = 0.5, across: float = 0.3, down: float = 0.4,
    **options: Any,
) -> tuple[Figure, Grid]:  # fmt: skip
    """Lay out axes by margins and gaps in inches, which is quicker than matplotlib's layouts."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height))
    wide = (WIDTH - left - right - across * (columns - 1)) / columns
    high = (height - top - bottom - down * (rows - 1)) / rows
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    figure.subplots_adjust(
        left=left / WIDTH, right=1 - right / WIDTH, top=1 - top / height,
        bottom=bottom / height, wspace=across / wide, hspace=down / high,
    )  # fmt: skip
    return figure, [list(row) for row in axes]


def in_lines(method: str) -> str:
    """Break a method's name after its family and before its options, to fit beside an axis."""
    name, bracket, options = method.partition(" (")
    family, slash, rest = name.partition("/")
    below = wrap(f"({options}", 28) if bracket else []
    return "\n".join([family + slash, *wrap(rest, 28), *below][:4])


def pitch(methods: Sequence[str], least: float) -> float:
    """Return the inches from one method's line to the next, enough for the longest name."""
    return max([least, *(0.15 * len(in_lines(m).split("\n")) + 0.06 for m in methods)])


def method_axis(axes: Axes, methods: Sequence[str]) -> None:
    """Put the methods on the y axis, the first on top."""
    axes.set_yticks(range(len(methods)), [in_lines(m) for m in methods], fontsize=8.5)
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(visible=False, axis="y")


def left_margin(methods: Sequence[str]) -> float:
    """Return the inches that the methods' names need beside an axis."""
    longest = max((len(line) for m in methods for line in in_lines(m).split("\n")), default=0)
    return 0.25 + 0.074 * min(longest, 30)


def figure(plot: Plot) -> Html:
    """Put a plot into the page, with its title, caption and words for those who cannot see it."""
    wide, high = plot.size
    image = h("img", src=plot.data_uri, alt=plot.alt, width=wide, height=high)
    return h(
        "figure", h("h4", plot.title), h("div", image, cls="scroll"),
        h("figcaption", plot.caption),
    )  # fmt: skip
