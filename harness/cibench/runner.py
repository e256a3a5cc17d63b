"""From a suite to replicate rows: cut cells into blocks, let them be run, store what comes back."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import TYPE_CHECKING

from cibench import executors, registry, store
from cibench.block import Block, Result
from cibench.design import truths
from cibench.errors import BadInput
from cibench.model import Target, Truth
from cibench.progress import Listener, Progress
from cibench.suite import Cell, Suite

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_SECONDS = 1.0
"""How long a block should take: long against its transport, short against a lost one."""

FIRST_BLOCK, LARGEST_BLOCK = 5, 2000


def execute(
    suite: Suite, folder: Path, workers: int, isolate: bool, listen: Listener = lambda _: None
) -> None:
    """Run the suite into a new run folder.

    Raises BadInput, with nothing written, where the folder is not empty or a plug-in cannot be
    imported by worker processes.
    """
    modules = suite.libraries
    plugins = (*suite.plugins, *_own_modules(suite)) if isolate else suite.plugins
    store.check_free(folder)
    population = [tuple(truths(cell.scenario).items()) for cell in suite.cells]
    store.create(folder, suite)
    where = (
        executors.local_processes(workers, modules, suite.timeout)
        if isolate
        else executors.in_process(modules)
    )
    with where as workplace:
        progress = Progress(suite.expected_rows)
        pace: dict[int, float] = {}
        blocks = _blocks(suite, population, plugins, pace)
        tables: dict[int, list[tuple[int, pa.Table]]] = {}
        for block, result in _finished(blocks, workplace):
            pace[block.cell] = result.seconds / block.count
            parts = tables.setdefault(block.cell, [])
            parts.append((block.first, result.table))
            _count(progress, suite.cells[block.cell], result)
            listen(progress)
            wanted = suite.replicates * suite.cells[block.cell].rows
            if sum(table.num_rows for _, table in parts) == wanted:
                store.write_cell(folder, block.cell, tables.pop(block.cell))
    store.finish(folder, progress.done)


def _count(progress: Progress, cell: Cell, result: Result) -> None:
    status = result.table.column("status").to_pylist()
    progress.done += len(status)
    progress.failures += sum(s not in ("ok", "declined") for s in status)
    progress.cell = str(cell)


def _blocks(
    suite: Suite, population: list[tuple[tuple[Target, Truth], ...]], plugins: tuple[str, ...],
    pace: dict[int, float],
) -> Iterator[Block]:  # fmt: skip
    """Yield blocks cell by cell, sized by the pace that the cell's earlier blocks showed."""
    for index, cell in enumerate(suite.cells):
        first = 0
        while first < suite.replicates:
            size = FIRST_BLOCK
            if index in pace:
                size = max(1, min(LARGEST_BLOCK, round(BLOCK_SECONDS / max(pace[index], 1e-6))))
            count = min(size, suite.replicates - first)
            yield Block(
                cell=index, key=cell.key, entrants=cell.entrants, truths=population[index],
                seed=suite.seed, level=suite.level, first=first, count=count, plugins=plugins,
            )  # fmt: skip
            first += count


def _finished(
    blocks: Iterator[Block], place: executors.Workplace
) -> Iterator[tuple[Block, Result]]:
    """Yield blocks as they end, with at most two a worker in flight."""
    pending: dict[Future[Result], Block] = {}
    for block in blocks:
        pending[place.executor.submit(place.work, block)] = block
        while len(pending) >= 2 * place.workers:
            yield from _ended(pending)
    while pending:
        yield from _ended(pending)


def _ended(pending: dict[Future[Result], Block]) -> Iterator[tuple[Block, Result]]:
    for future in wait(pending, return_when=FIRST_COMPLETED).done:
        yield pending.pop(future), future.result()


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
