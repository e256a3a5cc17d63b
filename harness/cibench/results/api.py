"""What Python and the command line call: run a suite, load a run."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cibench.results.run_folder import Run
from cibench.storage import manifest
from cibench.utils.addresses import is_url
from cibench.utils.errors import BadInput, RunInterrupted, UndrawnData
from cibench.utils.leftovers import new_folder

if TYPE_CHECKING:
    from cibench.execution.progress import Progress
    from cibench.execution.settings import RunSettings
    from cibench.suite.suite import Suite


def run(
    suite: str | Path | Mapping[str, Any] | Suite,
    out: str | Path | None = None,
    workers: int = 1,
    *,
    update: bool = False,
    repair: bool = False,
    keep_going: bool = False,
    checks: bool = True,
    executor: str | None = None,
    settings: RunSettings | None = None,
) -> Run:
    """Run a suite, or what is missing of it in a run folder, and return the run.

    `suite` is a path, a built-in suite's name, a mapping with the content of a suite file or a
    `Suite`, `out` a folder or a URL such as s3://bucket/run. Without `out` the run folder is a
    temporary one that goes with the returned object.
    One worker is this process, without isolation; more are child processes that survive crashes
    and keep to the suite's `timeout` and `memory`; with an `executor` such as "dask://host:8786"
    they are those of a cluster. An estimator whose first ten fits in a cell raise one exception has
    no more there, unless to `keep_going`. Plug-ins that break their contract are refused before
    anything is stored, unless without `checks`. All of that, and more, can be said as `settings`
    instead.
    Raises BadInput for a faulty suite or plug-in, a folder that is neither a run nor empty, rows
    that today would be others (`update` sets them aside), damaged shards (`repair` runs again what
    they held) and what is said beside `settings`; UndrawnData, a BadInput whose `run` is the run
    with all other rows, where a scenario could not draw data sets; RunInterrupted, a
    KeyboardInterrupt, with all rows until then stored, where Ctrl-C ends it.

    >>> import cibench
    >>> cell = {"scenario": "did/two-group", "n": 30, "estimators": "did/collapsed"}
    >>> suite = {"name": "small", "seed": 1, "replicates": 20, "cells": [cell]}
    >>> run = cibench.run(suite, out="small")
    >>> run.scores[["estimator", "truth", "bias", "coverage"]].round(2)
           estimator  truth  bias  coverage
    0  did/collapsed    0.5   0.0       1.0
    >>> cibench.load("small").manifest["stored_rows"]
    20
    """
    from cibench.execution.runner import execute
    from cibench.execution.settings import IN_PROCESS, RunSettings

    words = RunSettings(
        workers, executor=executor, update=update, repair=repair, keep_going=keep_going,
        checks=checks,
    )  # fmt: skip
    if settings is not None and words != IN_PROCESS:
        raise BadInput(
            "settings: they hold workers, executor, update, repair, keep_going and checks; name "
            "these there"
        )
    suite, place = _suite(suite), "" if out is None else str(out)
    result = Run(Path(place)) if place and not is_url(place) else _temporary(suite.name, place)
    try:
        with _mirrored(result, settings or words) as looked_after:
            execute(suite, result.folder, looked_after)
    except UndrawnData as fault:
        fault.run = result
        raise
    except KeyboardInterrupt as stop:
        raise RunInterrupted(*_rows(result.folder)) from stop
    return result


def _suite(suite: str | Path | Mapping[str, Any] | Suite) -> Suite:
    from cibench.suite.parse import find_suite, parse_suite
    from cibench.suite.suite import Suite

    if isinstance(suite, Suite):
        return suite
    return parse_suite(suite) if isinstance(suite, Mapping) else find_suite(suite)


@contextmanager
def _mirrored(run: Run, settings: RunSettings) -> Iterator[RunSettings]:
    """Copy a run at a URL there as it goes on; yield settings under which it ends if that fails."""
    if not run.url:
        yield settings
        return
    from cibench.storage.object_store import mirrored

    tuning = settings.tuning
    with mirrored(run.url, run.folder, tuning.copy_seconds, tuning.lease_seconds) as copying:

        def listen(progress: Progress) -> None:
            settings.listen(progress)
            copying.check()

        yield replace(settings, listen=listen, arranging=copying.arranging)


def _rows(folder: Path) -> tuple[int, int]:
    """Return how many rows are stored in a folder and how many the run will have, 0 if unknown."""
    if not manifest.holds_run(folder):
        return 0, 0
    content = manifest.read_manifest(folder)
    return content["stored_rows"], content["expected_rows"]


def _temporary(purpose: str = "run", url: str = "") -> Run:
    """Return a run in a temporary folder that goes with it."""
    run = Run(new_folder(purpose), url)
    weakref.finalize(run, shutil.rmtree, run.folder, ignore_errors=True)
    return run


def load(path: str | Path) -> Run:
    """Return the run in a folder or at a URL; raises BadInput where there is none.

    A run at a URL is copied, to a temporary folder that goes with the returned object.

    See `run`, whose run is loaded.
    """
    if not is_url(str(path)):
        run = Run(Path(path))
        manifest.read_manifest(run.folder)
        return run
    from cibench.storage.object_store import fetch, naming

    run = _temporary(url=str(path))
    with naming(run.url, run.folder):
        fetch(run.url, run.folder)
        manifest.read_manifest(run.folder)
    return run
