"""What the sortable tables of the report are made of: headings, numbers to sort by, the frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isinf
from typing import Any

from cibench.report.markup import Html, h
from cibench.report.numbers import blank


def sortable(names: Iterable[tuple[str, str]], body: Iterable[Html], cls: str = "") -> Html:
    """Frame rows under headings that sort by a click; each heading has a name and a meaning."""
    head = h("thead", h("tr", [header(*name) for name in names]))
    table = h("table", head, h("tbody", body), cls=f"sortable {cls}".rstrip())
    return h("div", table, cls="scroll tall")


def header(name: str, meaning: str = "") -> Html:
    """Write a heading that sorts by a click and explains itself to who points at it."""
    return h("th", h("button", name, type="button"), scope="col", title=meaning)


def raw(value: Any) -> str:
    """Write a number to sort by, "" for what is blank or infinite."""
    return "" if blank(value) or isinf(value) else repr(float(value))


def place(row: Mapping[str, Any]) -> Html:
    """Write the scenario of a row and, below it, which of its sizes and parameters it is."""
    below = h("span", str(row["title"]), cls="mc below")
    return h("td", str(row["scenario"]), below, cls="at")
