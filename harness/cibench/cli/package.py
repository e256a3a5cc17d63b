"""The command line's part for runs that are handed on: `cibench pack`, `unpack`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cibench.cli.results import RunFolder


def pack(
    folder: RunFolder,
    out: Annotated[Path | None, typer.Option(help="The file [SUITE.zip].")] = None,
) -> None:
    """Write a run, its plug-ins and tables as one file that says how to make them again.

    The file is a zip of a folder with README.md, SHA256SUMS and requirements.txt. Its own digest,
    SHA-256, is printed: who has it knows that the file is the same.
    """
    from cibench.render.numbers import count
    from cibench.results.api import load
    from cibench.results.replication_package import pack as pack_run

    package = pack_run(load(folder), out)
    typer.echo(f"package: {package.path} ({count(package.files, 'file')})")
    typer.echo(f"SHA-256: {package.digest}")


def unpack(
    file: Annotated[Path, typer.Argument(metavar="PACKAGE", help="A file that `pack` wrote.")],
    out: Annotated[
        Path | None, typer.Option(help="The folder [the file's name, without its ending].")
    ] = None,
) -> None:
    """Unpack a replication package and check every file in it; nothing is executed."""
    from cibench.results.replication_package import RUN
    from cibench.results.replication_package import unpack as unpack_run

    folder = unpack_run(file, out)
    typer.echo(f"run: {folder / RUN} (every file is as it was packed)")
    typer.echo(f"what it is and how to make it again: {folder / 'README.md'}")
