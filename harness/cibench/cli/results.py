"""The command line's part for runs that exist: `cibench status`, `replay`, `score`, `report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cibench.utils.errors import BadInput

if TYPE_CHECKING:
    from cibench.results.run_folder import Run

FAILED = 1

RunFolder = Annotated[str, typer.Argument(metavar="RUN", help="A run folder or its URL.")]


def status(folder: RunFolder) -> None:
    """Show how far a run is, in all and cell by cell; from any terminal, while it runs or after."""
    from cibench.cli.display import show_status
    from cibench.execution.progress import look
    from cibench.storage.object_store import fetched

    with fetched(folder) as here:
        show_status(look(here, folder), folder)


def replay(
    folder: RunFolder,
    scenario: Annotated[str, typer.Option(help="The scenario of the fit.")],
    replicate: Annotated[int, typer.Option(help="Its replicate.")],
    estimator: Annotated[
        str | None, typer.Option(help="Its estimator; without one the data set is drawn alone.")
    ] = None,
    n: Annotated[
        int | None, typer.Option(help="Its number of units, where there are several.")
    ] = None,
    dial: Annotated[list[str] | None, typer.Option(help="NAME=VALUE, off its default.")] = None,
    parameter: Annotated[list[str] | None, typer.Option(help="NAME=VALUE.")] = None,
    options: Annotated[str | None, typer.Option(help="The estimator's, as JSON.")] = None,
    out: Annotated[Path | None, typer.Option(help="The bundle's folder [replay-...].")] = None,
) -> None:
    """Make one stored fit again and bundle it: data, a script, its output.

    The exit code is 0 where the stored row came again, bit for bit, and 1 where it did not. Without
    an estimator the data set is drawn and nothing fitted: 1 where that fails.
    """
    from cibench.cli.display import show_draw, show_replay
    from cibench.execution.replay_bundle import write_bundle
    from cibench.execution.replays import (
        DrawAddress,
        FitAddress,
        read_options,
        read_pairs,
        replay_draw,
    )
    from cibench.execution.replays import replay as replay_fit
    from cibench.storage.object_store import fetched

    pairs = read_pairs("--dial", dial), read_pairs("--parameter", parameter)
    if estimator is None:
        for name, value in (("--options", options), ("--out", out)):
            if value is not None:
                raise BadInput(f"{name}: belongs to a fit; name its --estimator too")
        with fetched(folder) as here:
            undrawn = replay_draw(here, DrawAddress(scenario, replicate, n, *pairs))
        show_draw(undrawn)
        if undrawn:
            raise typer.Exit(FAILED)
        return
    wanted = FitAddress(scenario, estimator, replicate, n, *pairs, read_options(options))
    with fetched(folder) as here:
        replayed = replay_fit(here, wanted)
        show_replay(replayed, write_bundle(replayed, out))
    if replayed.differences:
        raise typer.Exit(FAILED)


def score(folder: RunFolder) -> None:
    """Score a run again from its replicate rows and print the table."""
    from cibench.results.api import load
    from cibench.storage.object_store import copied_back

    run = load(folder)
    with copied_back(run.url, run.folder):
        written = run.write_scores()
    close(run, written)


def report(folder: RunFolder) -> None:
    """Write a run's report and plots again from its replicate rows."""
    from cibench.results.api import load
    from cibench.storage.object_store import copied_back

    run = load(folder)
    with copied_back(run.url, run.folder):
        path = run.write_report()
    typer.echo(f"report: {f'{run.url}/{path.name}' if run.url else path}")


def close(finished: Run, written: Path) -> None:
    """Print the score table and what was written; exit 1 where a cell could not be scored."""
    from cibench.cli.display import show_failures, show_scores
    from cibench.render.numbers import count

    show_scores(finished)
    show_failures(finished)
    name = "report" if written.suffix == ".html" else "scores"
    where = f"{finished.url}/{written.name}" if finished.url else written.resolve()
    typer.echo(f"{name}: {where}")
    unscored = finished.scores[finished.scores["answered"] == 0]
    for _, rows in unscored.groupby(["scenario", "estimator"], sort=False):
        row, more = rows.iloc[0], len(rows) - 1
        where = f"{row['scenario']} {row['dials']} n={row['n']} {row['estimator']}"
        rest = f" and in {count(more, 'more row')} of scores.csv" if more else ""
        typer.echo(f"cibench: no answer to score in {where}{rest}", err=True)
    if len(unscored):
        raise typer.Exit(FAILED)
