"""HTML, numbers, labels, figures and the terminal; knows no domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cibench.utils.lazy import offered

if TYPE_CHECKING:
    from cibench.render.figures import Plot, canvas
    from cibench.render.html import Html, document, h, join
    from cibench.render.labels import label
    from cibench.render.numbers import number, percent, signed

__all__ = [
    "Html", "Plot", "canvas", "document", "h", "join", "label", "number", "percent", "signed",
]  # fmt: skip

_HOMES = {
    "cibench.render.figures": ("Plot", "canvas"),
    "cibench.render.html": ("Html", "document", "h", "join"),
    "cibench.render.labels": ("label",),
    "cibench.render.numbers": ("number", "percent", "signed"),
}  # fmt: skip

__getattr__ = offered(__name__, _HOMES)
