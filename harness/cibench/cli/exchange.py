"""The commands `cibench export` and `cibench import`: data sets out, answers in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cibench.cli.foreign_code import announce_plugins
from cibench.render import shell
from cibench.utils.errors import BadInput

UNGUESSED = 2**64
GUESSABLE = (
    "cibench: the suite's seed is small: who guesses it and the scenario can draw the data sets "
    'again, and their truths; `python -c "import secrets; print(secrets.randbits(128))"` gives one '
    "that nobody guesses"
)
"""What is said of seeds below."""


def export(
    suite: Annotated[
        str, typer.Argument(help="A suite file, a built-in suite, or a run folder.")
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="To give away; a new one.")],
    ending: Annotated[
        str, typer.Option("--format", help="Of the data sets: csv, parquet, dta or npz.")
    ] = "csv",
    sealed: Annotated[
        bool, typer.Option("--sealed", help="Keep suite and truths back, and commit to them.")
    ] = False,
    owner: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where the truths stay, a run folder [FOLDER-owner]."),
    ] = None,
    replicates: Annotated[int | None, typer.Option(help="Replicates per cell.")] = None,
) -> None:  # fmt: skip
    """Write the data sets of a suite as files, with the questions to be answered about them.

    Whoever answers fills in answers.csv; `cibench import` makes rows of it.
    """
    from cibench.exchange.export import export_suite
    from cibench.suite.parse import find_suite

    announce_plugins(suite)
    chosen = find_suite(suite)
    chosen = chosen if replicates is None else chosen.with_replicates(replicates)
    written = export_suite(chosen, out, ending=ending, sealed=sealed, owner=owner)
    typer.echo(f"{written.data_sets:,} data sets, {written.questions:,} questions: {out.resolve()}")
    if written.owner is not None:
        typer.echo(f"truths, yours: {written.owner.resolve()}")
        if chosen.seed < UNGUESSED:
            typer.echo(GUESSABLE, err=True)
        words = (written.owner, "answers.csv", "--estimator", "NAME")
        typer.echo(f"  {shell.command('import', *words)}")


def import_(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run folder, or that of a sealed export.")
    ],
    answers: Annotated[
        Path, typer.Argument(metavar="ANSWERS", help="CSV, Parquet or .dta, or a folder of them.")
    ],
    estimator: Annotated[
        str | None, typer.Option(metavar="NAME", help="What the method is called.")
    ] = None,
    suite: Annotated[
        str | None, typer.Option(help="Begin a run of this suite; one that is there must be of it.")
    ] = None,
    reveal: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the sealed lines, for everybody.")
    ] = None,
) -> None:  # fmt: skip
    """Store answers that were made elsewhere as rows of a run, and score and report it.

    They are checked first, all of them, against the data sets that they are answers to.
    """
    from cibench.cli.results import close
    from cibench.exchange.importing import import_answers
    from cibench.results.api import load
    from cibench.suite.parse import find_suite

    if estimator is None:
        raise BadInput("--estimator: is missing; it says what the method is called")
    if not answers.exists():
        raise BadInput(f"{answers}: there is no such file")
    announce_plugins(run)
    chosen = find_suite(suite) if suite is not None else None
    stored = import_answers(run, answers, estimator, suite=chosen)
    typer.echo(
        f"{stored.estimator}: {stored.answered:,} of {stored.data_sets:,} data sets are answered"
        + ("" if stored.complete else "; the others have no rows, and count as nothing")
    )
    if reveal is not None:
        _reveal(Path(run), reveal)
    finished = load(run)
    finished.write_scores()
    close(finished, finished.write_report())


def _reveal(run: Path, path: Path) -> None:
    """Write the sealed lines of an export, by which everybody can hold its owner to the truths."""
    from cibench.exchange.export import revealed
    from cibench.exchange.questions import SEALED, read_sealed
    from cibench.utils.files import write_text
    from cibench.utils.sealing import check_seals, reveal

    content = read_sealed(run)
    if content is None:
        raise BadInput(f"--reveal: {run} has no {SEALED}: nothing was sealed")
    seals = list(revealed(content))
    check_seals(run / SEALED, {str(seal.content["dataset"]): seal for seal in seals})
    write_text(path, reveal(seals))
    typer.echo(f"sealed lines: {path.resolve()}")
