"""The command line's part for starting runs: how commands run suites, `cibench run`, `plan`."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cibench.cli.foreign_code import announce_plugins, announce_scheduler
from cibench.cli.results import close
from cibench.render import shell
from cibench.utils.addresses import LOCAL, is_url
from cibench.utils.errors import (
    BadInput,
    Interrupted,
    RunInterrupted,
    UndrawnData,
    Unfinished,
)
from cibench.utils.machine import workers_or_cores

if TYPE_CHECKING:
    from cibench.execution.settings import RunSettings
    from cibench.results.run_folder import Run
    from cibench.suite.suite import Suite


NoChecks = Annotated[
    bool, typer.Option("--no-checks", help="Do not hold plug-ins to their contracts first.")
]


@contextmanager
def run_settings(
    workers: int | None, *,
    executor: str | None = None, update: bool = False, repair: bool = False,
    keep_going: bool = True, checks: bool = True,
) -> Iterator[RunSettings]:  # fmt: skip
    """Yield how every command runs a suite: isolated, with one worker per core unless said.

    Commands that compare runs fit by fit want every fit, whatever it is like. Progress is shown for
    as long.
    """
    from cibench.cli.progress_bar import progress_bar
    from cibench.execution.settings import RunSettings

    with progress_bar() as listen:
        yield RunSettings(
            workers_or_cores(workers), isolate=True, executor=executor, update=update,
            repair=repair, keep_going=keep_going, checks=checks, listen=listen,
        )  # fmt: skip


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
    keep_going: Annotated[
        bool,
        typer.Option("--keep-going", help="Go on with a method whose first ten fits raise alike."),
    ] = False,
    no_checks: NoChecks = False,
) -> None:
    """Run a suite, or what is missing of it in its folder; score it and write its report."""
    from cibench.results.api import run as run_suite
    from cibench.storage.object_store import copied_back

    there = _cluster(workers, executor)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what schedulers send
    with _suite(suite, replicates) as chosen:
        place = out or (suite if _is_run(suite) else f"results/{chosen.name}")
        try:
            with run_settings(
                workers, executor=there, update=update, repair=repair, keep_going=keep_going,
                checks=not no_checks,
            ) as settings:  # fmt: skip
                result = run_suite(chosen, place, settings=settings)
        except UndrawnData as fault:
            _write_rest(fault.run)
            raise
        except RunInterrupted as stop:
            again = f": {stop}; to go on from there: {_again(place)}" if str(stop) else ""
            raise Interrupted(f"interrupted{again}") from None
    with copied_back(result.url, result.folder):
        report = _written(result, place)
    close(result, report)


def _again(place: str) -> str:
    """Return the command that goes on with a run."""
    return shell.command("run", shell.place(place))


def _written(result: Run, place: str) -> Path:
    """Write tables and report and return its path; what keeps them is said with a way on."""
    try:
        result.write_scores()
        return result.write_report()
    except Unfinished as error:
        raise Unfinished(error.reason, error.kept, _again(place)) from error


def _write_rest(result: Run) -> None:
    """Write and show what there is of a run of which scenarios could not draw everything."""
    from cibench.storage.object_store import copied_back

    if not result.manifest["stored_rows"]:
        return
    with copied_back(result.url, result.folder):
        report = _written(result, result.place)
    with suppress(typer.Exit):  # the code is that of the fault
        close(result, report)


def _cluster(workers: int | None, executor: str) -> str | None:
    """Return the address of a cluster's scheduler, None where fits run on this machine."""
    if executor == LOCAL:
        return None
    announce_scheduler(executor)
    if workers is not None:
        raise BadInput("--workers: a cluster has the workers that it has; leave this out")
    return executor


@contextmanager
def _suite(suite: str, replicates: int | None) -> Iterator[Suite]:
    """Yield a suite by path, name or the run that has it; what it names lies beside it so long.

    With `replicates` it is to have so many of each cell.
    """
    from cibench.storage.manifest import TO_PARSE
    from cibench.storage.object_store import fetched
    from cibench.suite.parse import find_suite

    with fetched(suite, only=TO_PARSE) as folder:
        announce_plugins(folder)
        chosen = find_suite(folder if is_url(suite) else suite)
        yield chosen if replicates is None else chosen.with_replicates(replicates)


def _is_run(suite: str) -> bool:
    from cibench.suite.parse import built_in_suites

    return is_url(suite) or (suite not in built_in_suites() and Path(suite).is_dir())


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
    no_checks: NoChecks = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how many replicates each cell needs, and how long that takes, from a short pilot."""
    from cibench.cli.display import show_plan
    from cibench.execution.plans import plan as plan_suite
    from cibench.execution.plans import targets_of
    from cibench.suite.parse import find_suite

    announce_plugins(suite)
    chosen = find_suite(suite)
    targets = targets_of(chosen, target or [])
    with run_settings(workers, checks=not no_checks) as settings:
        planned = plan_suite(chosen, targets, settings, pilot=pilot)
    if as_json:
        typer.echo(json.dumps(planned.as_dict(), indent=1, ensure_ascii=False))
    else:
        show_plan(planned)
