"""The terminal: a console wide enough for tables, and plain tables of text."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

PLAIN_WIDTH = 160
"""Columns where output is piped, so that tables stay whole."""


def console() -> Console:
    """Return a console on standard output, wide enough for tables where it is piped."""
    default = Console(highlight=False)
    return default if default.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


def table(rows: list[dict[str, str]], title: str = "") -> Table:
    """Return a table with the rows' keys as its columns."""
    grid = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for name in rows[0] if rows else ():
        grid.add_column(name, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(v) for v in row.values()))
    return grid
