"""The command line's part for starting runs: `cibench run` and `plan`."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cibench.cli.results import close
from cibench.utils.addresses import LOCAL, is_url, parse
from cibench.utils.errors import BadInput, Interrupted
from cibench.utils.machine import workers_or_cores

if TYPE_CHECKING:
    from cibench.execution.progress import Progress
    from cibench.storage.object_store import Copying
    from cibench.suite.suite import Suite


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
    from cibench.results.run_folder import Run
    from cibench.storage.object_store import mirrored
    from cibench.suite.parse import find_suite

    _check_executor(workers, executor)
    processes = workers_or_cores(workers)
    given = None if is_url(suite) and out in (None, suite) else _suite(suite)
    place = out or (suite if _is_run(suite) or not given else f"results/{given.name}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what schedulers send
    with mirrored(place) as (folder, copying):
        found = given or find_suite(folder)  # what the suite names lies beside it
        found = found if replicates is None else found.with_replicates(replicates)
        try:
            how = {"update": update, "repair": repair}
            _execute(found, folder, processes, copying, executor=executor, **how)
        except KeyboardInterrupt:
            raise Interrupted(_left_behind(folder, place)) from None
        finished = Run(folder, place if copying else "")
        finished.write_scores()
        close(finished, finished.write_report())


def _execute(
    suite: Suite, folder: Path, workers: int, copying: Copying | None, executor: str, **how: bool
) -> None:
    """Run what is missing and show how far it is; an object store's copy is looked after, too."""
    from cibench.cli.progress_bar import progress_bar
    from cibench.execution.runner import execute

    with progress_bar() as show_progress:

        def listen(progress: Progress) -> None:
            show_progress(progress)
            if copying:
                copying.check()

        there = None if executor == LOCAL else executor
        execute(suite, folder, workers, isolate=True, listen=listen, executor=there, **how)


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
    from cibench.cli.display import show_plan
    from cibench.cli.progress_bar import progress_bar
    from cibench.execution.plans import plan as plan_suite
    from cibench.execution.plans import targets_of
    from cibench.suite.parse import find_suite

    found = find_suite(suite)
    targets = targets_of(found, target or [])
    processes = workers_or_cores(workers)
    with progress_bar() as listen:
        made = plan_suite(found, targets, workers=processes, pilot=pilot, listen=listen)
    if as_json:
        typer.echo(json.dumps(made.as_dict(), indent=1, ensure_ascii=False))
    else:
        show_plan(made)


def _check_executor(workers: int | None, executor: str) -> None:
    if executor != LOCAL:
        parse(executor)
        if workers is not None:
            raise BadInput("--workers: a cluster has the workers that it has; leave this out")


def _suite(suite: str) -> Suite:
    """Return a suite by path, name or the run that has it."""
    from cibench.storage.object_store import fetched
    from cibench.suite.parse import find_suite

    if not is_url(suite):
        return find_suite(suite)
    with fetched(suite) as here:
        return find_suite(here)


def _is_run(suite: str) -> bool:
    from cibench.suite.parse import built_in_suites

    return is_url(suite) or (suite not in built_in_suites() and Path(suite).is_dir())


def _left_behind(folder: Path, place: str) -> str:
    from cibench.storage.manifest import holds_run, read_manifest

    if not holds_run(folder):
        return "interrupted"
    manifest = read_manifest(folder)
    stored, expected = manifest["stored_rows"], manifest["expected_rows"]
    return (
        f"interrupted: {stored:,} of {expected:,} rows are stored; "
        f"to go on from there: cibench run {place}"
    )
