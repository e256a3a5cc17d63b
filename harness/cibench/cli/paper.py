"""The command line's part for papers: `cibench table`, `figure`, `rows`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cibench.cli.results import RunFolder
from cibench.utils.errors import BadInput

Where = Annotated[
    list[str] | None,
    typer.Option(help="FIELD=VALUE, a name or a glob; several of one field select any of them."),
]
Out = Annotated[Path | None, typer.Option(help="The file to write [standard output].")]


def table(
    folder: RunFolder,
    rows: Annotated[str, typer.Option(help="Fields down, with commas.")] = "method,setting",
    columns: Annotated[str, typer.Option(help="Fields across, with commas.")] = "",
    measures: Annotated[
        str, typer.Option(help="Names of measures, with commas [those of tables/].")
    ] = "",
    where: Where = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format", help="markdown, latex, html, typst or csv [by the file's name, markdown]."
        ),
    ] = None,
    out: Out = None,
) -> None:
    """Write a table for a paper: scores, errors and footnotes in rows and columns of one's own.

    Fields are method, scenario, setting, n, estimand, horizon, level, and each dial and parameter
    by its name. What differs and is in neither rows nor columns makes tables of its own. `[labels]`
    in the run's suite.toml says how methods, scenarios, dials, settings and measures are called.
    """
    from cibench.report.paper_tables import ENDINGS
    from cibench.results.api import load
    from cibench.utils.files import check_folders, write_text

    check_folders(out)
    by_name = ENDINGS.get(out.suffix.removeprefix(".")) if out else None
    if out and out.suffix and not (format_ or by_name):
        raise BadInput(f"--out: no format ends in {out.suffix}; name one with --format")
    form = format_ or by_name or "markdown"
    down, across, named = map(_names, (rows, columns, measures))
    paper = load(folder)
    text = paper.table_text(form, down, across, named, _pairs(where))
    if form == "csv":
        for note in paper.table(down, across, named, _pairs(where)).attrs["notes"]:
            typer.echo(f"cibench: {note}", err=True)
    if out is None:
        typer.echo(text, nl=False)
        return
    write_text(out, text)
    typer.echo(f"table: {out}")


def figure(
    folder: RunFolder,
    kind: Annotated[str, typer.Option(help="dose-response, zip, forest or distribution.")],
    dial: Annotated[str | None, typer.Option(help="Of dose-response: the dial [every].")] = None,
    where: Where = None,
    width: Annotated[str, typer.Option(help="In cm, mm, in or pt.")] = "17cm",
    format_: Annotated[str, typer.Option("--format", help="pdf, svg or png.")] = "pdf",
    grey: Annotated[bool, typer.Option("--grey", help="Without colours.")] = False,
    out: Annotated[Path, typer.Option(help="The folder to write into.")] = Path("figures"),
) -> None:
    """Write figures for a paper, one for each scenario, size and target that is left by `--where`.

    Their captions are those of `Run.plots` in Python.
    """
    from cibench.results.api import load

    paper = load(folder)
    paths = paper.write_figures(
        out, kind, dial, _pairs(where), width=width, form=format_, grey=grey
    )
    for path in paths:
        typer.echo(f"figure: {path}")


def rows(
    folder: RunFolder,
    out: Annotated[Path, typer.Option(help="The CSV file to write.")] = Path("rows.csv"),
    hexadecimal: Annotated[
        bool,
        typer.Option(
            "--hex",
            help="Numbers in hexadecimal, which R reads to the last bit; decimals it may not.",
        ),
    ] = False,
) -> None:
    """Write the replicate rows of a run as CSV, every number exact, for R and others."""
    from cibench.results.api import load
    from cibench.utils.files import check_folders

    check_folders(out)
    typer.echo(f"rows: {load(folder).write_replicates(out, hexadecimal=hexadecimal)}")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _pairs(texts: list[str] | None) -> dict[str, list[str]]:
    """Read FIELD=VALUE, several times the same field too."""
    pairs: dict[str, list[str]] = {}
    for text in texts or ():
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise BadInput(f"--where: {text!r} is not FIELD=VALUE")
        pairs.setdefault(name.strip(), []).append(value.strip())
    return pairs
