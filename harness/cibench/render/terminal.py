"""The terminal: a console wide enough for tables, and plain tables of text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from cibench.utils.errors import spelt_out

PLAIN_WIDTH = 160
"""Columns where output is piped, so that tables stay whole."""


class SafeConsole(Console):
    """Print texts of whoever wrote them: none of them moves the cursor, only the console does."""

    def render(self, *words: Any, **more: Any) -> Iterable[Segment]:
        """Yield what is to be printed, with all spelt out that a terminal would obey."""
        for segment in super().render(*words, **more):
            yield segment if segment.control else segment._replace(text=spelt_out(segment.text))


def console(*, stderr: bool = False) -> Console:
    """Return a console on standard output or error, wide enough for tables where it is piped."""
    default = SafeConsole(highlight=False, markup=False, stderr=stderr)
    if default.is_terminal:
        return default
    return SafeConsole(highlight=False, markup=False, stderr=stderr, width=PLAIN_WIDTH)


def table(rows: list[dict[str, str]], title: str = "") -> Table:
    """Return a table with the rows' keys as its columns."""
    grid = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for name in rows[0] if rows else ():
        grid.add_column(name, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(v) for v in row.values()))
    return grid
