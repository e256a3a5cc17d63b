"""The command line's part for runs that exist: `cibench status`, `replay`, `score`, `report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cibench.cli.foreign_code import announce_plugins
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
            announce_plugins(here)
            undrawn = replay_draw(here, DrawAddress(scenario, replicate, n, *pairs))
        show_draw(undrawn)
        if undrawn:
            raise typer.Exit(FAILED)
        return
    wanted = FitAddress(scenario, estimator, replicate, n, *pairs, read_options(options))
    with fetched(folder) as here:
        announce_plugins(here)
        replayed = replay_fit(here, wanted)
        show_replay(replayed, write_bundle(replayed, out))
    if replayed.differences:
        raise typer.Exit(FAILED)


Column = Annotated[str | None, typer.Option(metavar="COLUMN")]


def score(  # noqa: PLR0913, PLR0917 - what a table may have in its columns
    what: Annotated[
        str, typer.Argument(metavar="RUN|TABLE", help="A run, or a CSV, Parquet or .dta file.")
    ],
    estimate: Column = None,
    se: Annotated[str | None, typer.Option(metavar="COLUMN", help="Standard errors.")] = None,
    variance: Annotated[str | None, typer.Option(metavar="COLUMN", help="Their squares.")] = None,
    truth: Annotated[str | None, typer.Option(metavar="COLUMN|NUMBER")] = None,
    method: Column = None,
    replicate: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The data set [methods are not paired].")
    ] = None,
    by: Annotated[
        str | None, typer.Option(metavar="COLUMN,...", help="What sets cells apart.")
    ] = None,
    dial: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=DEFAULT", help="A violation, and where there is none."),
    ] = None,
    n: Annotated[str | None, typer.Option(metavar="COLUMN|NUMBER", help="Units.")] = None,
    low: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Lower limits [made of --se].")
    ] = None,
    high: Column = None,
    df: Annotated[str | None, typer.Option(metavar="COLUMN", help="For limits by t.")] = None,
    p_value: Column = None,
    answered: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="1 where a fit converged, else 0.")
    ] = None,
    level: Annotated[float | None, typer.Option(help="Nominal level of limits [0.95].")] = None,
    errors: Annotated[
        str | None, typer.Option(help="jackknife, or normal as published tables have them.")
    ] = None,
    truth_by_replicate: Annotated[
        bool, typer.Option("--truth-by-replicate", help="Each data set has a truth of its own.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="What the table is called [its file].")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder [results/<name>].")] = None,
) -> None:
    """Score a run again from its rows, or a table of estimates that somebody's own loop made.

    A table needs --estimate and --truth at least, and --se or --low and --high for coverage. Its
    scores, pairs, ranks and report go into a run folder.
    """
    named: dict[str, Any] = {
        "estimate": estimate, "se": se, "variance": variance, "truth": truth,
        "method": method, "replicate": replicate, "by": by and by.split(","), "dials": dial,
        "n": n, "low": low, "high": high, "df": df, "p_value": p_value, "answered": answered,
        "level": level, "errors": errors, "truth_by_replicate": truth_by_replicate, "name": name,
        "out": out,
    }  # fmt: skip
    named = {key: value for key, value in named.items() if value is not None and value is not False}
    if not _is_table(what):
        if named:
            role = OPTIONS.get(next(iter(named)), next(iter(named)))
            raise BadInput(f"--{role.replace('_', '-')}: is about a table; {what} is no file")
        close(*_scored_again(what))
        return
    close(*_scored_table(Path(what), named))


OPTIONS = {"dials": "dial"}
"""Options whose names are not those of what they say."""


def _is_table(what: str) -> bool:
    from cibench.utils.addresses import is_url

    path = Path(what)
    return not is_url(what) and (path.is_file() or path.suffix in (".csv", ".parquet", ".dta"))


def _scored_again(place: str) -> tuple[Run, Path]:
    from cibench.results.api import load
    from cibench.storage.object_store import copied_back

    run = load(place)
    with copied_back(run.url, run.folder):
        return run, run.write_scores()


def _scored_table(path: Path, named: dict[str, Any]) -> tuple[Run, Path]:
    """Score a table and write the report beside its scores."""
    from cibench.execution.replays import read_pairs
    from cibench.results.estimates import score as score_table

    if not path.is_file():
        raise BadInput(f"{path}: no such file")
    lacking = [f"--{name}: a table needs it" for name in ("estimate", "truth") if name not in named]
    if lacking:
        raise BadInput(*lacking)
    for key in ("truth", "n"):
        if key in named:
            named[key] = _number_or_column(named[key])
    named["dials"] = read_pairs("--dial", named.get("dials"))
    for dial, default in named["dials"].items():
        if not isinstance(default, int | float):
            raise BadInput(
                f"--dial: {dial}={default}: the default is no number; write the column's texts as "
                f"numbers, or name it with --by {dial}, as what sets cells apart"
            )
    out = named.pop("out", Path("results") / named.get("name", path.stem))
    run = score_table(path, out=out, **named)
    run.write_scores()
    return run, run.write_report()


def _number_or_column(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


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
    from cibench.cli.display import show_failures, show_process_changes, show_scores
    from cibench.render.numbers import count

    show_scores(finished)
    show_failures(finished)
    show_process_changes(finished)
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
