"""From a suite to replicate rows: cut cells into blocks, let them be run, store what comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from cibench.execution import adaptive
from cibench.execution.blocks import Cutter
from cibench.execution.progress import CellProgress, Progress, Watch
from cibench.execution.settings import IN_PROCESS, RunSettings, Tuning
from cibench.model import registry
from cibench.storage import manifest, provenance
from cibench.storage.inventory import Inventory
from cibench.storage.schema import FINE
from cibench.storage.session import Session, opened
from cibench.storage.shards import coded
from cibench.storage.writer import Writer
from cibench.suite.suite import Suite
from cibench.utils.errors import BadInput, Unwritable, one_line
from cibench.workers.block import Block, Result, first_fits
from cibench.workers.dask import Terms, on_dask
from cibench.workers.supervisor import Limits, local_processes
from cibench.workers.workplace import Workplace, in_process


def execute(suite: Suite, folder: Path, settings: RunSettings = IN_PROCESS) -> None:
    """Run the suite into a run folder; where it holds rows of the suite, run what is missing.

    Raises BadInput, with nothing changed, where the folder holds anything else (see
    `cibench.storage.session.opened`), a plug-in cannot be imported by worker processes or workers
    cannot be reached or started; and, with all rows until then stored, where the disk is full or
    the cluster is lost.

    >>> from pathlib import Path
    >>> from cibench import load
    >>> from cibench.execution import execute
    >>> from cibench.suite import parse_suite
    >>> cell = {"scenario": "did/two-group", "n": 30, "estimators": "did/collapsed"}
    >>> suite = parse_suite({"name": "small", "seed": 1, "replicates": 20, "cells": [cell]})
    >>> execute(suite.with_replicates(5), Path("small"))
    >>> execute(suite, Path("small"))  # the 15 that are missing
    >>> len(load("small").replicates)
    20
    """
    plugins = suite.plugins
    if settings.isolated:
        plugins = (*plugins, *_own_modules(suite))
    with _opened(folder, suite, settings) as session:
        if session.complete:
            session.restate()
            return
        cutter = Cutter(suite, session.inventory, plugins, settings.tuning.block_seconds)
        try:
            with ExitStack() as stack:
                place = stack.enter_context(_workplace(suite, settings))
                _run(_Job(session, cutter, place, plugins, settings, stack.close))
        except (OSError, Unwritable) as error:
            reason = f"{folder}: {error.strerror or error}" if isinstance(error, OSError) else error
            raise BadInput(
                f"{reason}; what is stored stays, and the same command goes on from there"
            ) from error


def _opened(folder: Path, suite: Suite, settings: RunSettings) -> AbstractContextManager[Session]:
    return opened(
        folder, suite, update=settings.update, repair=settings.repair,
        first_look=settings.tuning.first_look,
    )  # fmt: skip


def _workplace(suite: Suite, settings: RunSettings) -> AbstractContextManager[Workplace]:
    """Return where the suite's blocks are to run; entering it starts workers or reaches them."""
    modules, limits = provenance.modules(suite), Limits(suite.timeout, suite.memory)
    if settings.executor is not None:
        tuning = settings.tuning
        terms = Terms.of(suite, modules, limits, tuning.idle_seconds)
        return on_dask(settings.executor, terms, tuning.greet_seconds)
    if settings.isolated:
        return local_processes(settings.workers, modules, limits)
    return in_process(modules)


class _Job(NamedTuple):
    """Hold a run that is under way: its folder, what cuts it, where it runs, how and what ends it.

    `stop` ends at once what is under way at the place.
    """

    session: Session
    cutter: Cutter
    place: Workplace
    plugins: tuple[str, ...]
    settings: RunSettings
    stop: Callable[[], object]


def _run(job: _Job) -> None:
    """Run round after round until every cell has what it is to have; one, without precision."""
    session, tuning = job.session, job.settings.tuning
    session.begin()
    writer = Writer(
        session.run, session.suite, session.inventory.shards, flush_seconds=tuning.flush_seconds,
        waiting_rows=tuning.waiting_rows, shard_rows=tuning.shard_rows,
    )  # fmt: skip
    progress = _progress(session.inventory)
    watch, settled, ending = Watch(session.run, progress), dict[int, str](), "interrupted"
    try:
        if session.suite.precision and session.suite.precision.pilot:
            watch.note("running", at_once=True)
            settled |= _pilot(job)
            progress.lengthen(_totals(session.suite), settled)
        progress.started, more = perf_counter(), True
        while more:
            _round(job, writer, progress, watch)
            more = adaptive.next_round(session, settled)
            progress.lengthen(_totals(session.suite), settled)
        ending = "finished"
    except BaseException:
        job.stop()  # before the last rows are written: workers would go on, and be in the way
        raise
    finally:
        writer.flush(everything=True)
        manifest.close(session.run, progress.done)
        watch.note(ending, at_once=True)


def _pilot(job: _Job) -> dict[int, str]:
    """Run the pilot into a folder within the run's, take over its counts and return why."""
    suite = adaptive.pilot_of(job.session.suite)
    with _opened(job.session.run / adaptive.PILOT, suite, job.settings) as session:
        if not session.complete:
            seconds = job.settings.tuning.block_seconds
            cutter = Cutter(suite, session.inventory, job.plugins, seconds)
            _run(job._replace(session=session, cutter=cutter))
    return adaptive.after_pilot(job.session)


def _round(job: _Job, writer: Writer, progress: Progress, watch: Watch) -> None:
    """Run what is missing, and store it."""

    def tick() -> None:
        writer.flush()
        watch.note("running")

    flight = _Flight(job.place, tick, job.settings.tuning)
    for block, result in flight.finished(job.cutter.blocks(job.place.slots)):
        job.cutter.learn(block, result)
        writer.add(block.cell, result.table)
        _count(progress.cells[block.cell], result)
        progress.cell = progress.cells[block.cell].name
        job.settings.listen(progress)
    writer.flush(everything=True)
    job.session.inventory.fill()


def _totals(suite: Suite) -> list[int]:
    """Return how many rows each cell is to have."""
    return [cell.rows * count for cell, count in zip(suite.cells, suite.counts, strict=True)]


def _progress(inventory: Inventory) -> Progress:
    suite = inventory.suite
    parts = zip(suite.cells, _totals(suite), inventory.stored, inventory.failures, strict=True)
    return Progress(
        [CellProgress(str(cell), total, done, lost) for cell, total, done, lost in parts]
    )


def _count(cell: CellProgress, result: Result) -> None:
    lost, (statuses, _) = 0, coded(result.table, "status")
    if not set(statuses) <= set(FINE):
        names = ["replicate", "refit", "estimator", "options", "status"]
        fits = result.table.select(names).to_pylist()
        lost = len({tuple(fit.values())[:-1] for fit in fits if fit["status"] not in FINE})
    cell.add(first_fits(result.table), lost, result.seconds)


class _Flight:
    """Keep blocks under way at a place, at most two for each that it can run at a time.

    `tick` is called whenever blocks have ended, and every `tick_seconds` while none does.
    """

    def __init__(self, place: Workplace, tick: Callable[[], object], tuning: Tuning) -> None:
        self._place, self._tick, self._tuning = place, tick, tuning
        self._pending: dict[Future[Result], tuple[Block, int]] = {}

    def finished(self, blocks: Iterator[Block]) -> Iterator[tuple[Block, Result]]:
        """Yield blocks as they end."""
        for block in blocks:
            self._send(block)
            while len(self._pending) >= 2 * self._place.slots():
                yield from self._ended()
        while self._pending:
            yield from self._ended()

    def _send(self, block: Block, losses: int = 0) -> None:
        future = self._place.executor.submit(self._place.work, block)
        self._pending[future] = block, losses

    def _ended(self) -> Iterator[tuple[Block, Result]]:
        seconds = self._tuning.tick_seconds
        for future in wait(self._pending, seconds, return_when=FIRST_COMPLETED).done:
            block, losses = self._pending.pop(future)
            try:
                result = future.result()
            except self._place.lost as error:
                if losses == self._tuning.most_losses:
                    raise BadInput(f"workers die whatever they run: {one_line(error)}") from error
                self._send(block, losses + 1)
            except CancelledError as error:
                raise BadInput(
                    "the workers are gone or were told to stop; what is stored stays, and the same "
                    "command goes on from there"
                ) from error
            else:
                yield block, result
        self._tick()


def _own_modules(suite: Suite) -> list[str]:
    """Return the modules that workers import to find what did not come with cibench.

    Raises BadInput naming what was defined in a notebook or a test and has no such module.
    """
    import importlib.util

    used = [registry.entry("scenario", name) for name in suite.scenarios]
    used += [registry.entry("estimator", name) for name in suite.estimators]
    modules = []
    for entry in used:
        if entry.built_in or (entry.path and str(entry.path) in suite.plugins):
            continue
        if entry.module == "__main__" or importlib.util.find_spec(entry.module) is None:
            raise BadInput(
                f"'{entry.name}' was defined in {entry.module}, which worker processes cannot "
                "import; put it in a file named in the suite's plugins, or run with workers=1"
            )
        modules.append(entry.module)
    return sorted(set(modules))
