"""What all figures share: the look of a method, the canvas in inches, the files that come out."""

from __future__ import annotations

import io
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from textwrap import wrap
from typing import TYPE_CHECKING, Any, TypeAlias

from cibench.render.html import Html, h
from cibench.utils.errors import BadInput

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
GREYS = ("#000000", "#6e6e6e", "#a8a8a8", "#404040", "#8c8c8c", "#c0c0c0", "#202020", "#585858")
WIDTH = 6.6
"""Inches across a report's figures: two stand side by side on a laptop and stay legible."""

NARROW = 4.5
"""Inches below which panels stand one above the other, and a legend has one column."""

ROOMY = 5.5
"""Inches above which axes have their whole words."""

LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*(cm|mm|in|pt)", re.IGNORECASE)
INCHES = {"cm": 1 / 2.54, "mm": 1 / 25.4, "in": 1.0, "pt": 1 / 72}
NARROWEST, WIDEST = 2.3, 24.0

RC: Any = {
    "svg.hashsalt": "cibench", "svg.fonttype": "path", "font.size": 9, "font.family": "DejaVu Sans",
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#7b8794",
    "axes.labelcolor": INK, "axes.titlesize": 9.5, "axes.titlelocation": "left",
    "axes.titleweight": "bold", "xtick.color": "#52606d", "ytick.color": "#52606d",
    "text.color": INK, "axes.grid": True, "grid.color": "#e4e7eb", "grid.linewidth": 0.7,
    "axes.axisbelow": True, "legend.frameon": False, "axes.formatter.useoffset": False,
    "pdf.fonttype": 42,  # letters, which journals ask for, and not outlines
    "text.parse_math": False,  # a label's dollars are dollars
}  # fmt: skip


@dataclass(frozen=True)
class Style:
    """Say how wide figures are, in inches, and whether they are printed without colours."""

    width: float = WIDTH
    grey: bool = False


_style: ContextVar[Style | None] = ContextVar("style", default=None)


@contextmanager
def styled(new: Style) -> Iterator[None]:
    """Have figures drawn in a style for a while."""
    before = _style.set(new)
    try:
        yield
    finally:
        _style.reset(before)


def style() -> Style:
    """Return the style of figures now."""
    return _style.get() or Style()


def width() -> float:
    """Return how many inches wide figures are now."""
    return style().width


def inches(text: str) -> float:
    """Return a width such as "12cm", "120mm", "4.7in" or "340pt" in inches; raises BadInput."""
    match = LENGTH.fullmatch(text.strip())
    wide = float(match[1]) * INCHES[match[2].lower()] if match else 0.0
    if not NARROWEST <= wide <= WIDEST:
        raise BadInput(f"width: {text!r} is not a width of 6cm to 60cm, such as 12cm, 340pt, 4.7in")
    return wide


NO_PLOTS = "there are no plots here, since matplotlib is not installed: pip install matplotlib"


def can_draw() -> bool:
    """Say whether what paints figures is installed; pages do without and say so."""
    return find_spec("matplotlib") is not None


@dataclass(frozen=True)
class Look:
    """Hold how a method is drawn: shape and dashes tell it apart where colour does not."""

    colour: str
    marker: str
    dashes: str


@dataclass(frozen=True)
class Plot:
    """Hold a figure with its words; `name` is that of its files.

    The `caption` says how to read such figures, `note` what holds of this one alone.
    """

    name: str
    title: str
    caption: str
    alt: str
    paint: Callable[[], Figure] = field(repr=False)
    note: str = ""

    def figure(self) -> Figure:
        """Paint the figure, in the style of the moment; BadInput where matplotlib is not there."""
        if not can_draw():
            raise BadInput(NO_PLOTS)
        import matplotlib as mpl

        with mpl.rc_context(RC):
            figure = self.paint()
        if style().grey:
            without_colours(figure)
        return figure

    @cached_property
    def _drawn(self) -> tuple[bytes, bytes, tuple[int, int]]:
        figure = self.figure()
        wide, high = (round(96 * inch) for inch in figure.get_size_inches())
        return saved(figure, "svg", 130), saved(figure, "png", 160), (wide, high)

    @property
    def svg(self) -> bytes:
        """Return the figure as SVG."""
        return self._drawn[0]

    @property
    def png(self) -> bytes:
        """Return the figure as PNG."""
        return self._drawn[1]

    @property
    def size(self) -> tuple[int, int]:
        """Return the figure's size in pixels."""
        return self._drawn[2]

    @property
    def data_uri(self) -> str:
        """Return the SVG as a data URI; as an image its ids do not clash with another's."""
        return f"data:image/svg+xml;base64,{b64encode(self.svg).decode('ascii')}"


def looks(methods: Sequence[str]) -> dict[str, Look]:
    """Give each method a look of its own, in their order."""
    if style().grey:
        return {
            method: Look(GREYS[i % 8], MARKERS[i % 11], DASHES[i % 4])
            for i, method in enumerate(methods)
        }
    return {
        method: Look(OKABE_ITO[i % 8], MARKERS[i % 11], DASHES[i // 8 % 4])
        for i, method in enumerate(methods)
    }


NO_DATE: Any = {
    "svg": {"Date": None, "Creator": None}, "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}  # fmt: skip
"""Equal figures are equal files."""


def saved(figure: Figure, form: str, dpi: int) -> bytes:
    """Return a figure as a file of a format, without a date."""
    import matplotlib as mpl

    file = io.BytesIO()
    with mpl.rc_context(RC):
        figure.savefig(file, format=form, dpi=dpi, metadata=NO_DATE[form])
    return file.getvalue()


def without_colours(figure: Figure) -> None:
    """Make every colour of a figure the grey that is as light."""
    from matplotlib import colors
    from matplotlib.collections import Collection
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    def grey(colour: Any) -> Any:
        shades = colors.to_rgba_array(colour)
        light = shades[:, :3] @ [0.2126, 0.7152, 0.0722]
        return [(v, v, v, alpha) for v, alpha in zip(light, shades[:, 3], strict=True)]

    for artist in figure.findobj():
        if isinstance(artist, Collection):
            artist.set(
                facecolor=grey(artist.get_facecolor()), edgecolor=grey(artist.get_edgecolor())
            )
        elif isinstance(artist, Patch):
            own = {"facecolor": artist.get_facecolor(), "edgecolor": artist.get_edgecolor()}
            artist.set(**{name: grey(colour)[0] for name, colour in own.items()})
        elif isinstance(artist, Line2D):
            faces = artist.get_markerfacecolor(), artist.get_markeredgecolor()
            artist.set_color(grey(artist.get_color())[0])
            for put, face in zip(
                (artist.set_markerfacecolor, artist.set_markeredgecolor), faces, strict=True
            ):
                put(face if isinstance(face, str) and face == "none" else grey(face)[0])
        elif hasattr(artist, "set_color") and hasattr(artist, "get_color"):
            artist.set_color(grey(artist.get_color())[0])


def canvas(
    height: float, *, rows: int = 1, columns: int = 1, left: float = 0.7, right: float = 0.15,
    top: float = 0.35, bottom: float = 0.5, across: float = 0.3, down: float = 0.4,
    **options: Any,
) -> tuple[Figure, Grid]:  # fmt: skip
    """Lay out axes by margins and gaps in inches, which is quicker than matplotlib's layouts."""
    from matplotlib.figure import Figure

    across_all = width()
    figure = Figure(figsize=(across_all, height))
    wide = (across_all - left - right - across * (columns - 1)) / columns
    high = (height - top - bottom - down * (rows - 1)) / rows
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    figure.subplots_adjust(
        left=left / across_all, right=1 - right / across_all, top=1 - top / height,
        bottom=bottom / height, wspace=across / wide, hspace=down / high,
    )  # fmt: skip
    return figure, [list(row) for row in axes]


def in_lines(method: str) -> str:
    """Break a method's name after its family and before its options, to fit beside an axis."""
    name, bracket, options = method.partition(" (")
    family, slash, rest = name.partition("/")
    most = _letters()
    below = wrap(f"({options}", most) if bracket else []
    above = [family + slash] if slash else wrap(family, most)
    return "\n".join([*above, *wrap(rest, most), *below][:4])


def _letters() -> int:
    """Return how many letters a line of names beside an axis has at most."""
    return min(28, max(10, int((0.42 * width() - 0.25) / 0.074)))


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
    return 0.25 + 0.074 * min(longest, _letters() + 2)


def no_plots() -> Html | None:
    """Return what a page says that can have no plots; None where they can be drawn."""
    return None if can_draw() else h("p", f"{NO_PLOTS[0].upper()}{NO_PLOTS[1:]}.", cls="note")


def figure(plot: Plot, *, caption: bool = True) -> Html:
    """Put a plot into the page, with its title and words for those who cannot see it.

    Where figures of its kind have a `caption` already it has its own note alone.
    """
    wide, high = plot.size
    image = h("img", src=plot.data_uri, alt=plot.alt, width=wide, height=high)
    words = " ".join(filter(None, (plot.caption if caption else "", plot.note)))
    return h(
        "figure", h("h4", plot.title), h("div", image, cls="scroll"),
        h("figcaption", words) if words else None,
    )  # fmt: skip
