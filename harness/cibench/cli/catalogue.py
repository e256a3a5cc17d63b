"""The commands `cibench list` and `show`."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from cibench.cli.index import kept
from cibench.render.labels import cell
from cibench.utils.errors import BadInput, unknown


class Shelf(StrEnum):
    """Name what can be listed."""

    SCENARIOS = "scenarios"
    ESTIMATORS = "estimators"
    SUITES = "suites"
    LESSONS = "lessons"


def list_(
    shelf: Annotated[Shelf | None, typer.Argument(help="What to list; all if omitted.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List scenarios, estimators, suites and lessons."""
    shelves = _listing(shelf)
    if as_json:
        typer.echo(json.dumps(shelves, indent=1, ensure_ascii=False))
    else:
        _print_listing(shelves)


def show(
    name: Annotated[str, typer.Argument(help="A scenario, an estimator or a suite.")],
) -> None:
    """Show equations, estimand, dials with units and assumptions, reference."""
    print_page(_page(name))


def _listing(shelf: str | None) -> dict[str, Any]:
    if shelves := kept("listing"):
        return {key: shelves[key] for key in shelves if shelf in (None, key) or key == "broken"}
    from cibench.cli.listing import listing

    return listing(shelf)


def _page(name: str) -> dict[str, Any]:
    if pages := kept("pages"):
        if name not in pages:
            raise BadInput(unknown("scenario, estimator or suite", name, pages))
        kept_page: dict[str, Any] = pages[name]
        return kept_page
    from cibench.cli.listing import page

    return page(name)


def _print_listing(shelves: dict[str, Any]) -> None:
    """Print one table per shelf; where output is piped a line for each entry, whole."""
    if not sys.stdout.isatty():
        typer.echo("\n\n".join(_lines(shelf, rows) for shelf, rows in shelves.items() if rows))
        return
    from cibench.render.terminal import console, table

    out = console()
    for shelf, entries in shelves.items():
        if entries:
            rows = [{k: cell(v) for k, v in entry.items()} for entry in entries]
            out.print(table(rows, shelf), "")


def _lines(shelf: str, entries: list[dict[str, Any]]) -> str:
    """Write a shelf in columns of text, as other programs read it."""
    rows = [[cell(value) for value in entry.values()] for entry in entries]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    texts = [shelf, *("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)]
    return "\n".join(texts)


def print_page(page: dict[str, Any]) -> None:
    """Print what is said of a scenario, an estimator or a suite."""
    from cibench.render.terminal import console, table

    out = console()
    if page["title"]:
        out.print(f"{page['title']}\n", style="bold")
    for line in page["lines"]:
        out.print(line, markup=False)
    for rows in page["tables"]:
        out.print(table(rows), "")
