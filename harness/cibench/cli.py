"""The command line: `cibench run`, `status`, `replay`, `plan`, `check`, `twin`, `list` and more."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cibench import lesson_commands, twin_commands
from cibench.addresses import LOCAL, is_url, parse
from cibench.errors import BadInput
from cibench.gate import baseline_commands, commands, regress_command

if TYPE_CHECKING:
    from cibench.progress import Progress
    from cibench.runs import Run
    from cibench.suite import Suite

app = typer.Typer(
    help="Benchmark causal estimators on data whose true effect is known.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip

app.add_typer(baseline_commands.baselines, name="baseline")
app.command()(commands.check)
app.command()(regress_command.regress)
app.add_typer(twin_commands.twins, name="twin")

UNSCORED, BAD_INPUT, INTERRUPTED = 1, 2, 130


class Interrupted(Exception):  # noqa: N818 - the user's wish, not an error
    """Carry the line that says what an interrupted run leaves."""


class Shelf(StrEnum):
    """Name what can be listed."""

    SCENARIOS = "scenarios"
    ESTIMATORS = "estimators"
    SUITES = "suites"
    LESSONS = "lessons"


class Template(StrEnum):
    """Name what a new file can be of."""

    SCENARIO = "scenario"
    ESTIMATOR = "estimator"
    LESSON = "lesson"


RunFolder = Annotated[str, typer.Argument(metavar="RUN", help="A run folder or its URL.")]


@app.command("list")
def list_(
    shelf: Annotated[Shelf | None, typer.Argument(help="What to list; all if omitted.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List scenarios, estimators, suites and lessons."""
    from cibench.listing import listing, print_listing

    found = listing(shelf)
    if as_json:
        typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        print_listing(found)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A scenario, an estimator or a suite.")],
) -> None:
    """Show equations, estimand, dials with units and assumptions, reference."""
    from cibench.listing import print_one

    print_one(name)


@app.command()
def run(
    suite: Annotated[
        str, typer.Argument(help="A suite file, a built-in suite, or a run folder to go on with.")
    ] = "quickstart",
    out: Annotated[
        str | None, typer.Option(help="Run folder, or URL as s3://bucket/run [results/<name>].")
    ] = None,
    replicates: Annotated[int | None, typer.Option(help="Replicates per cell.")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes [one per core].")] = None,
    executor: Annotated[
        str, typer.Option(help="Where fits run: local, or a cluster, dask://host:8786.")
    ] = LOCAL,
    update: Annotated[
        bool, typer.Option("--update", help="Set rows aside that today would be others.")
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Run again what damaged shards held.")
    ] = False,
) -> None:
    """Run a suite, or what is missing of it in its folder; score it and write its report."""
    from cibench.runner import execute
    from cibench.runs import Run
    from cibench.screen import progress_bar
    from cibench.storage.mirror import mirrored
    from cibench.suite import Suite

    _check_workers(workers, executor)
    given = None if is_url(suite) and out in (None, suite) else _suite(suite)
    place = out or (suite if _is_run(suite) or not given else f"results/{given.name}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what schedulers send
    with mirrored(place) as (folder, copying):
        found = given or Suite.find(folder)  # what the suite names lies beside it
        found = found if replicates is None else found.with_replicates(replicates)
        try:
            with progress_bar() as show_progress:

                def listen(progress: Progress) -> None:
                    show_progress(progress)
                    if copying:
                        copying.check()

                execute(
                    found, folder, workers or cores(), isolate=True, listen=listen, update=update,
                    repair=repair, executor=None if executor == LOCAL else executor,
                )  # fmt: skip
        except KeyboardInterrupt:
            raise Interrupted(_left_behind(folder, place)) from None
        finished = Run(folder, place if copying else "")
        finished.write_scores()
        _close(finished, finished.write_report())


@app.command()
def plan(
    suite: Annotated[str, typer.Argument(help="A suite file or a built-in suite.")],
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Measure and wanted Monte Carlo error, like coverage=0.005 [the suite's]."
        ),
    ] = None,
    pilot: Annotated[int, typer.Option(help="Replicates of the pilot.")] = 20,
    workers: Annotated[int | None, typer.Option(help="Worker processes [one per core].")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how many replicates each cell needs, and how long that takes, from a short pilot."""
    from cibench.planning import plan as plan_suite
    from cibench.planning import targets_of
    from cibench.screen import progress_bar, show_plan
    from cibench.suite import Suite

    found = Suite.find(suite)
    targets = targets_of(found, target or [])
    _check_workers(workers)
    with progress_bar() as listen:
        made = plan_suite(found, targets, workers=workers or cores(), pilot=pilot, listen=listen)
    if as_json:
        typer.echo(json.dumps(made.as_dict(), indent=1, ensure_ascii=False))
    else:
        show_plan(made)


@app.command()
def status(folder: RunFolder) -> None:
    """Show how far a run is, in all and cell by cell; from any terminal, while it runs or after."""
    from cibench.screen import show_status
    from cibench.status import look
    from cibench.storage.mirror import fetched

    with fetched(folder) as here:
        show_status(look(here), folder)


@app.command("replay")
def replay_(
    folder: RunFolder,
    scenario: Annotated[str, typer.Option(help="The scenario of the fit.")],
    replicate: Annotated[int, typer.Option(help="Its replicate.")],
    estimator: Annotated[str, typer.Option(help="Its estimator.")],
    n: Annotated[
        int | None, typer.Option(help="Its number of units, where there are several.")
    ] = None,
    dial: Annotated[list[str] | None, typer.Option(help="NAME=VALUE, off its default.")] = None,
    parameter: Annotated[list[str] | None, typer.Option(help="NAME=VALUE.")] = None,
    options: Annotated[str | None, typer.Option(help="The estimator's, as JSON.")] = None,
    out: Annotated[Path | None, typer.Option(help="The bundle's folder [replay-...].")] = None,
) -> None:
    """Make one stored fit again and bundle it: data, a script, its output.

    The exit code is 0 where the stored row came again, bit for bit, and 1 where it did not.
    """
    from cibench.bundle import write_bundle
    from cibench.replay import Wanted, read_options, read_pairs, replay
    from cibench.screen import show_replay
    from cibench.storage.mirror import fetched

    wanted = Wanted(
        scenario, estimator, replicate, n, read_pairs("--dial", dial),
        read_pairs("--parameter", parameter), read_options(options),
    )  # fmt: skip
    with fetched(folder) as here:
        replayed = replay(here, wanted)
        show_replay(replayed, write_bundle(replayed, out))
    if replayed.differences:
        raise typer.Exit(UNSCORED)


@app.command()
def score(folder: RunFolder) -> None:
    """Score a run again from its replicate rows and print the table."""
    from cibench.runs import load
    from cibench.storage.mirror import fetched

    with fetched(folder, back=True) as here:
        found = replace(load(here), url=folder if is_url(folder) else "")
        _close(found, found.write_scores())


@app.command()
def report(folder: RunFolder) -> None:
    """Write a run's report and plots again from its replicate rows."""
    from cibench.runs import load
    from cibench.storage.mirror import fetched

    with fetched(folder, back=True) as here:
        path = load(here).write_report()
    typer.echo(f"report: {f'{folder}/{path.name}' if is_url(folder) else path}")


@app.command()
def new(
    what: Annotated[Template, typer.Argument(help="What to write.")],
    name: Annotated[str, typer.Argument(help="Its id, family/name; a lesson: name.")],
    out: Annotated[Path | None, typer.Option(help="The file [NAME in this folder].")] = None,
) -> None:
    """Write a file to start from: plug-ins have three lines to fill in, a lesson runs as it is."""
    from cibench.scaffold import write_new, write_new_lesson

    if what is Template.LESSON:
        path = write_new_lesson(name, out)
        typer.echo(f"wrote {path}: a page already; change it and run")
        typer.echo(f"  cibench lesson {path}")
        return
    path = write_new(what.value, name, out)
    typer.echo(f"wrote {path}: fill in the three marked lines, then run")
    typer.echo(f"  python -m cibench.contracts {path}")


for command in (lesson_commands.lesson, lesson_commands.assignment, lesson_commands.grade):
    app.command()(command)


@app.command()
def doctor() -> None:
    """Show versions, optional libraries, broken plug-ins and threads."""
    from cibench.doctor import print_doctor

    print_doctor()


def _close(finished: Run, written: Path) -> None:
    """Print the score table and what was written; exit 1 where a cell could not be scored."""
    from cibench.screen import show_failures, show_scores

    show_scores(finished)
    show_failures(finished)
    name = "report" if written.suffix == ".html" else "scores"
    where = f"{finished.url}/{written.name}" if finished.url else written.resolve()
    typer.echo(f"{name}: {where}")
    unscored = finished.scores[finished.scores["answered"] == 0]
    for row in unscored.to_dict("records"):
        where = f"{row['scenario']} {row['dials']} n={row['n']} {row['estimator']}"
        typer.echo(f"cibench: no answer to score in {where}", err=True)
    if len(unscored):
        raise typer.Exit(UNSCORED)


def _check_workers(workers: int | None, executor: str = LOCAL) -> None:
    if workers is not None and workers < 1:
        raise BadInput(f"--workers: {workers} is not a number of 1 or more")
    if executor != LOCAL:
        parse(executor)
        if workers is not None:
            raise BadInput("--workers: a cluster has the workers that it has; leave this out")


def _suite(suite: str) -> Suite:
    """Return a suite by path, name or the run that has it."""
    from cibench.storage.mirror import fetched
    from cibench.suite import Suite

    if not is_url(suite):
        return Suite.find(suite)
    with fetched(suite) as here:
        return Suite.find(here)


def _is_run(suite: str) -> bool:
    from cibench.suite import built_in_suites

    return is_url(suite) or (suite not in built_in_suites() and Path(suite).is_dir())


def _left_behind(folder: Path, place: str) -> str:
    from cibench import store

    if not store.holds_run(folder):
        return "interrupted"
    manifest = store.read_manifest(folder)
    stored, expected = manifest["stored_rows"], manifest["expected_rows"]
    return (
        f"interrupted: {stored:,} of {expected:,} rows are stored; "
        f"to go on from there: cibench run {place}"
    )


def cores() -> int:
    """Return how many cores this process may use."""
    affinity: Any = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; bad input ends it with one line on standard error and code 2."""
    command = typer.main.get_command(app)
    try:
        code = command.main(arguments, prog_name="cibench", standalone_mode=False)
        if code == INTERRUPTED:  # typer turns Ctrl-C into this exit code, without a word
            _complain("interrupted", code)
    except BadInput as error:
        code = _complain(str(error), BAD_INPUT)
    except Interrupted as error:
        code = _complain(str(error), INTERRUPTED)
    except (KeyboardInterrupt, typer.Abort):
        code = _complain("interrupted", INTERRUPTED)
    except Exception as error:
        if not _is_usage(error):
            raise
        code = _complain(error.format_message(), BAD_INPUT)  # type: ignore[attr-defined]
    sys.exit(code if isinstance(code, int) else 0)


def _is_usage(error: Exception) -> bool:
    """Say whether typer's parser complains: recent versions carry a click of their own."""
    return any(cls.__name__ == "ClickException" for cls in type(error).__mro__)


def _complain(line: str, code: int) -> int:
    typer.echo(f"cibench: {' '.join(line.split())}", err=True)
    return code
