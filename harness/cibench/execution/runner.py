"""From a suite to replicate rows: cut cells into blocks, let them be run, store what comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import replace
from math import inf
from pathlib import Path
from sys import intern
from time import perf_counter
from typing import Any, NamedTuple

from cibench.contracts.plugin_checks import check_plugins, unchecked
from cibench.contracts.preflight import KINDS
from cibench.execution import adaptive
from cibench.execution.blocks import Cutter
from cibench.execution.progress import CellProgress, Progress, Watch
from cibench.execution.settings import IN_PROCESS, RunSettings, Tuning
from cibench.model import registry
from cibench.storage import manifest, provenance
from cibench.storage.imported import still_so
from cibench.storage.inventory import Inventory
from cibench.storage.schema import FINE
from cibench.storage.session import Session, opened
from cibench.storage.shards import coded
from cibench.storage.undrawn import Undrawn, sentences
from cibench.storage.writer import Writer
from cibench.suite.suite import Suite
from cibench.utils.errors import BadInput, UndrawnData, Unwritable, one_line
from cibench.workers.block import Block, Result, first_fits
from cibench.workers.dask import Terms, on_dask
from cibench.workers.supervisor import Limits, local_processes
from cibench.workers.workplace import Workplace, in_process


def execute(suite: Suite, folder: Path, settings: RunSettings = IN_PROCESS) -> None:
    """Run the suite into a run folder; where it holds rows of the suite, run what is missing.

    Raises BadInput, with nothing changed, where the folder holds anything else (see
    `cibench.storage.session.opened`), a plug-in breaks its contract or cannot be imported by worker
    processes, or workers cannot be reached or started; with all rows until then stored, where the
    disk is full or the cluster is lost; and UndrawnData, with all other rows stored, where a
    scenario could not draw data sets or its data sets were changed meanwhile.

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
    plugins = _plugins(suite, settings)
    with _opened(folder, suite, settings) as session:
        if session.complete:
            session.restate()
            return
        checks = _checks(suite, session.before, settings, plugins)
        cutter = Cutter(
            suite, session.inventory, plugins, settings.tuning.block_seconds,
            observe=settings.observe is not None,
        )  # fmt: skip
        try:
            with ExitStack() as stack:
                place = stack.enter_context(_workplace(suite, settings))
                lines = _run(_Job(session, cutter, place, plugins, settings, checks, stack.close))
        except (OSError, Unwritable) as error:
            reason = f"{folder}: {error.strerror or error}" if isinstance(error, OSError) else error
            raise BadInput(
                f"{reason}; what is stored stays, and the same command goes on from there"
            ) from error
        if lines:
            raise UndrawnData(*lines)


def preflight(
    suite: Suite, settings: RunSettings = IN_PROCESS, folder: Path | None = None, *,
    kinds: Sequence[registry.Kind] = KINDS,
) -> RunSettings:  # fmt: skip
    """Hold a suite's plug-ins to their contracts, before anything is removed or built for its run.

    Returns settings with the verdicts, under which `execute` runs the suite, with however many
    replicates, and asks nothing again. What passed for the run in `folder`, which may be there or
    not, is not looked at. Raises BadInput with a line for each broken contract.
    """
    if settings.verdicts is not None:
        return settings
    before = None
    with suppress(BadInput, OSError):  # it is about to be replaced
        before = manifest.read_manifest(folder) if folder and manifest.holds_run(folder) else None
    verdicts = _checks(suite, before, settings, _plugins(suite, settings), kinds)
    return replace(settings, verdicts=verdicts)


def _plugins(suite: Suite, settings: RunSettings) -> tuple[str, ...]:
    """Return the plug-ins that processes load which make the fits."""
    return (*suite.plugins, *(_own_modules(suite) if settings.isolated else ()))


def _opened(folder: Path, suite: Suite, settings: RunSettings) -> AbstractContextManager[Session]:
    return opened(
        folder, suite, update=settings.update, repair=settings.repair,
        keep_going=settings.keep_going, first_look=settings.tuning.first_look,
    )  # fmt: skip


def _checks(
    suite: Suite, before: Mapping[str, Any] | None, settings: RunSettings, plugins: Sequence[str],
    kinds: Sequence[registry.Kind] = KINDS,
) -> Mapping[str, Any]:  # fmt: skip
    """Hold the plug-ins to their contracts and return what the manifest says of that."""
    if settings.verdicts is not None:
        return settings.verdicts
    if not settings.checks:
        return unchecked(suite, kinds)
    known = (before or {}).get("checks")
    imported = (before or {}).get("imported")
    if imported and still_so(imported) != imported:
        known = None  # what passed then had other libraries under it
    load, seconds = (
        (plugins if settings.isolated else None),
        min(settings.tuning.check_seconds, suite.timeout or inf),
    )
    return check_plugins(suite, known, load, provenance.modules(suite), seconds, kinds)


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

    `checks` is what the manifest says of the contract checks of plug-ins. `stop` ends at
    once what is under way at the place.
    """

    session: Session
    cutter: Cutter
    place: Workplace
    plugins: tuple[str, ...]
    settings: RunSettings
    checks: Mapping[str, Any]
    stop: Callable[[], object]


def _run(job: _Job) -> list[str]:
    """Run round after round until every cell has what it is to have; one, without precision.

    Returns what to say of data sets that could not be drawn; a cell with some has no more rounds.
    """
    session, tuning = job.session, job.settings.tuning
    with job.settings.arranging():
        session.begin(job.checks)
    writer = Writer(
        session.run, session.suite, session.inventory.shards, flush_seconds=tuning.flush_seconds,
        waiting_rows=tuning.waiting_rows, shard_rows=tuning.shard_rows,
        most_bytes=tuning.most_bytes,
    )  # fmt: skip
    progress = _progress(session.inventory)
    watch, settled, ending = Watch(session.run, progress), dict[int, str](), "interrupted"
    undrawn, faulty, lines = dict[int, dict[int, Undrawn]](), set[int](), list[str]()
    try:
        if session.suite.precision and session.suite.precision.pilot:
            watch.note("running", at_once=True)
            lines = _pilot(job, settled, faulty)
            progress.lengthen(session.inventory.expected, settled)
        progress.started, more = perf_counter(), True
        while more:
            _round(job, writer, progress, watch, undrawn)
            more = adaptive.next_round(session, settled, faulty | undrawn.keys())
            progress.lengthen(session.inventory.expected, settled)
        ending = "finished"
    except BaseException:
        job.stop()  # before the last rows are written: workers would go on, and be in the way
        raise
    finally:
        writer.flush(everything=True)
        entries = session.close(progress.done, undrawn)
        watch.note(ending, at_once=True)
    catalogue = manifest.read_catalogue(session.run)
    return [*lines, *sentences(entries, session.run, catalogue), *session.exchanged_data()]


def _pilot(job: _Job, settled: dict[int, str], faulty: set[int]) -> list[str]:
    """Run the pilot into a folder within the run's and take over its counts; `settled` says why.

    Of `faulty` cells it could not draw all data sets; returns what to say of these.
    """
    suite, lines = adaptive.pilot_of(job.session.suite), list[str]()
    with _opened(job.session.run / adaptive.PILOT, suite, job.settings) as session:
        if session.complete:
            session.restate()
        else:
            seconds = job.settings.tuning.block_seconds
            cutter = Cutter(suite, session.inventory, job.plugins, seconds)
            lines = _run(job._replace(session=session, cutter=cutter))
        faulty |= session.undrawn
    settled |= adaptive.after_pilot(job.session, faulty)
    return lines


def _round(
    job: _Job, writer: Writer, progress: Progress, watch: Watch,
    undrawn: dict[int, dict[int, Undrawn]],
) -> None:  # fmt: skip
    """Run what is missing, and store it; `undrawn` takes up what could not be drawn."""

    def tick() -> None:
        job.session.check_held()
        writer.flush()
        watch.note("running")

    flight = _Flight(job.place, tick, job.settings.tuning)
    for block, result in flight.finished(job.cutter.blocks(job.place.slots)):
        job.cutter.learn(block, result)
        job.session.note_imported(result.imported)
        if job.settings.observe is not None:
            job.settings.observe(result.observed)
        if result.table.num_rows:
            writer.add(block.cell, result.table)
        for fault in result.undrawn:
            short = fault._replace(reason=intern(fault.reason), traceback="")  # there may be many
            undrawn.setdefault(block.cell, {})[fault.replicate] = short
        progress.add(
            block.cell, first_fits(result.table), _lost(result), result.seconds,
            job.session.inventory.expected_of(block.cell), len(undrawn.get(block.cell, ())),
        )  # fmt: skip
        job.settings.listen(progress)
    writer.flush(everything=True)
    job.session.inventory.fill()


def _progress(inventory: Inventory) -> Progress:
    suite = inventory.suite
    failures: list[int] = inventory.failures.tolist()
    parts = zip(suite.cells, inventory.expected, inventory.stored, failures, strict=True)
    return Progress([
        CellProgress(str(cell), cell.identity, total, done, lost)
        for cell, total, done, lost in parts
    ])  # fmt: skip


def _lost(result: Result) -> int:
    """Count a block's fits without an answer."""
    statuses, _ = coded(result.table, "status")
    if set(statuses) <= set(FINE):
        return 0
    names = ["replicate", "refit", "estimator", "options", "status"]
    fits = result.table.select(names).to_pylist()
    return len({tuple(fit.values())[:-1] for fit in fits if fit["status"] not in FINE})


class _Flight:
    """Keep blocks under way at a place, at most two for each that it can run at a time.

    `tick` is called whenever blocks have ended, and every `tick_seconds` while none does.
    """

    def __init__(self, place: Workplace, tick: Callable[[], object], tuning: Tuning) -> None:
        self._place, self._tick, self._tuning = place, tick, tuning
        self._pending: dict[Future[Result], tuple[Block, int]] = {}

    def finished(self, blocks: Iterator[Block | None]) -> Iterator[tuple[Block, Result]]:
        """Yield blocks as they end; None among them waits for some that are under way."""
        for block in blocks:
            if block is None:
                yield from self._ended()
                continue
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
        if getattr(entry.value, "imported", ""):
            continue  # nobody asks it
        if entry.built_in or (entry.path and str(entry.path) in suite.plugins):
            continue
        if entry.module == "__main__" or importlib.util.find_spec(entry.module) is None:
            raise BadInput(
                f"'{entry.name}' was defined in {entry.module}, which worker processes cannot "
                "import; put it in a file named in the suite's plugins, or run with workers=1"
            )
        modules.append(entry.module)
    return sorted(set(modules))
