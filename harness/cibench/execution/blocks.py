"""Cut what is missing of a run into blocks of replicates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from cibench.model.design import truths
from cibench.model.types import Target, Truth
from cibench.storage.inventory import Inventory
from cibench.storage.stops import FIRST
from cibench.suite.suite import Suite
from cibench.utils.errors import BadInput, one_line_of
from cibench.workers.block import Block, Result

MANY, LONGEST = 100, 10.0
"""From so many workers on blocks take longer in proportion, so that a driver keeps up with them.

No longer than that many seconds, though: so much is lost with a worker.
"""

LARGEST_BLOCK = 2000


class Cutter:
    """Cut blocks that take about `block_seconds`, as earlier ones of their kind showed."""

    def __init__(
        self, suite: Suite, inventory: Inventory, plugins: tuple[str, ...], block_seconds: float,
        *, observe: bool = False,
    ) -> None:  # fmt: skip
        self._suite, self._inventory, self._plugins = suite, inventory, plugins
        self._block_seconds, self._observe = block_seconds, observe
        self._pace: dict[Any, float] = {}
        self._truths: dict[int, tuple[tuple[Target, Truth], ...]] = {}
        self._under_way, self._lost = Counter[int](), Counter[int]()
        self._learn_truths()

    def learn(self, block: Block, result: Result) -> None:
        """Note how long a replicate of such a block takes, and how a cell's first fits ended."""
        self._pace[_kind(block)] = result.seconds / block.count
        if block.first < FIRST:
            self._under_way[block.cell] -= block.count
            self._lost[block.cell] += len({fault.replicate for fault in result.undrawn})
            self._inventory.note_start(block.cell, result.table)

    def blocks(self, slots: Callable[[], int] = lambda: 1) -> Iterator[Block | None]:
        """Yield the blocks of what is missing, each sized when it is asked for.

        A cell's first replicates come before the others, since they say whether somebody stops
        there; None stands for waiting until they are done. A cell of which none of them can be
        drawn has no others. Where `slots`, the number of blocks that can run at a time, is large
        blocks are longer.
        """
        self._learn_truths()
        early = None if self._inventory.keep_going else FIRST
        waiting: list[int] = []
        for index in range(len(self._suite.cells)):
            yield from self._blocks(index, slots, 0, early)
            if early is not None:
                waiting.append(index)
                yield from self._rest(waiting, slots)
        while waiting:
            yield None
            yield from self._rest(waiting, slots)

    def _rest(self, waiting: list[int], slots: Callable[[], int]) -> Iterator[Block]:
        """Yield the later blocks of the cells whose first replicates are done, and strike these."""
        for index in [index for index in waiting if not self._under_way[index]]:
            waiting.remove(index)
            if self._lost[index] < FIRST:
                yield from self._blocks(index, slots, FIRST, None)

    def _blocks(
        self, index: int, slots: Callable[[], int], start: int, stop: int | None
    ) -> Iterator[Block]:
        """Yield the blocks of a cell's missing replicates from `start` on, before `stop`."""
        cell = self._suite.cells[index]
        for first, count, entrants in self._inventory.missing(index, start, stop):
            whole = Block(
                cell=index, key=cell.key, entrants=tuple(cell.entrants[e] for e in entrants),
                truths=self._truths[index], seed=self._suite.seed, level=self._suite.level,
                first=first, count=count, plugins=self._plugins, refits=self._suite.refits,
                observe=self._observe,
            )  # fmt: skip
            if stop is not None:
                self._under_way[index] += count
            yield from self._pieces(whole, slots)

    def _learn_truths(self) -> None:
        """Ask for the truths of the cells of which something is missing.

        Raises BadInput where a scenario cannot say them.
        """
        faults: dict[str, None] = {}
        for index, cell in enumerate(self._suite.cells):
            if index not in self._truths and any(True for _ in self._inventory.missing(index)):
                try:
                    self._truths[index] = tuple(truths(cell.scenario).items())
                except BadInput:
                    raise
                except Exception as error:
                    reason = one_line_of(error, type(cell.scenario).truth)
                    faults[f"scenario {cell.scenario.name} cannot say its truth: {reason}"] = None
        if faults:
            raise BadInput(*faults)

    def _pieces(self, whole: Block, slots: Callable[[], int]) -> Iterator[Block]:
        first, end = whole.first, whole.first + whole.count
        while first < end:
            pace = self._pace.get(_kind(whole))
            size = 1
            if pace is not None:
                size = round(seconds(slots(), self._block_seconds) / max(pace, 1e-6))
            count = min(max(1, min(LARGEST_BLOCK, size)), end - first)
            yield whole.part(first, count)
            first += count


def seconds(slots: int, block_seconds: float) -> float:
    """Return how long a block should take where so many run at a time."""
    return max(block_seconds, min(LONGEST, block_seconds * slots / MANY))


def _kind(block: Block) -> Any:
    """Return what settings of the dials share: their replicates take about as long."""
    return block.key["scenario"], block.key["n"], block.entrants
