"""From a suite to replicate rows: cut cells into blocks, let them be run, store what comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager
from pathlib import Path
from time import perf_counter

from cibench import executors, provenance, registry, status, store
from cibench.block import Block, Result, first_fits
from cibench.blocks import Cutter
from cibench.errors import BadInput
from cibench.progress import CellProgress, Listener, Progress
from cibench.rows import FINE
from cibench.storage.inventory import Inventory
from cibench.storage.session import Session, opened
from cibench.storage.shards import coded
from cibench.suite import Suite
from cibench.supervise import Limits

TICK = 1.0
"""Seconds after which the run looks at its clock though no block has ended."""


def execute(
    suite: Suite, folder: Path, workers: int, isolate: bool, listen: Listener = lambda _: None,
    *, update: bool = False, repair: bool = False,
) -> None:  # fmt: skip
    """Run the suite into a run folder; where it holds rows of the suite, run what is missing.

    Raises BadInput, with nothing changed, where the folder holds anything else (see
    `storage.session.opened`) or a plug-in cannot be imported by worker processes; and, with all
    rows until then stored, where the disk is full.
    """
    if suite.precision:
        raise BadInput(
            f"suite {suite.name} states precision instead of replicates: `cibench plan` says how "
            "many each cell needs; run it with --replicates"
        )
    plugins = (*suite.plugins, *_own_modules(suite)) if isolate else suite.plugins
    with opened(folder, suite, update, repair) as session:
        if session.complete:
            return
        cut = Cutter(suite, session.inventory, plugins)
        limits = Limits(suite.timeout, suite.memory)
        modules = provenance.modules(suite)
        where = (
            executors.local_processes(workers, modules, limits)
            if isolate
            else executors.in_process(modules)
        )
        try:
            _run(session, cut, where, listen)
        except OSError as error:
            raise BadInput(
                f"{folder}: {error.strerror or error}; what is stored stays, and the same command "
                "goes on from there"
            ) from error


def _run(
    session: Session, cut: Cutter, where: AbstractContextManager[executors.Workplace],
    listen: Listener,
) -> None:  # fmt: skip
    writer = session.begin()
    progress = _progress(session.inventory)
    watch = status.Watch(session.run, progress)

    def tick() -> None:
        writer.flush()
        watch.note("running")

    ending = "interrupted"
    try:
        with where as place:
            progress.started = perf_counter()
            for block, result in _finished(cut.blocks(), place, tick):
                cut.learn(block, result)
                writer.add(block.cell, result.table)
                _count(progress.cells[block.cell], result)
                progress.cell = progress.cells[block.cell].name
                listen(progress)
        ending = "finished"
    finally:
        writer.flush(everything=True)
        store.close(session.run, progress.done)
        watch.note(ending, at_once=True)


def _progress(inventory: Inventory) -> Progress:
    suite = inventory.suite
    parts = zip(suite.cells, inventory.stored, inventory.failures, strict=True)
    return Progress(
        [
            CellProgress(str(cell), cell.rows * suite.replicates, done, failures)
            for cell, done, failures in parts
        ]
    )


def _count(cell: CellProgress, result: Result) -> None:
    lost, (statuses, _) = 0, coded(result.table, "status")
    if not set(statuses) <= set(FINE):
        names = ["replicate", "refit", "estimator", "options", "status"]
        fits = result.table.select(names).to_pylist()
        lost = len({tuple(fit.values())[:-1] for fit in fits if fit["status"] not in FINE})
    cell.add(first_fits(result.table), lost, result.seconds)


def _finished(
    blocks: Iterator[Block], place: executors.Workplace, tick: Callable[[], object]
) -> Iterator[tuple[Block, Result]]:
    """Yield blocks as they end, with at most two a worker in flight."""
    pending: dict[Future[Result], Block] = {}
    for block in blocks:
        pending[place.executor.submit(place.work, block)] = block
        while len(pending) >= 2 * place.workers:
            yield from _ended(pending, tick)
    while pending:
        yield from _ended(pending, tick)


def _ended(
    pending: dict[Future[Result], Block], tick: Callable[[], object]
) -> Iterator[tuple[Block, Result]]:
    for future in wait(pending, TICK, return_when=FIRST_COMPLETED).done:
        yield pending.pop(future), future.result()
    tick()


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
