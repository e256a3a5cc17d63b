"""Cut what is missing of a run into blocks of replicates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from cibench.model.design import truths
from cibench.model.types import Array, Target, Truth
from cibench.storage.inventory import Inventory
from cibench.suite.suite import Suite
from cibench.workers.block import Block, Result

MANY, LONGEST = 100, 10.0
"""From so many workers on blocks take longer in proportion, so that a driver keeps up with them.

No longer than that many seconds, though: so much is lost with a worker.
"""

LARGEST_BLOCK = 2000


class Cutter:
    """Cut blocks that take about `block_seconds`, as earlier ones of their kind showed."""

    def __init__(
        self, suite: Suite, inventory: Inventory, plugins: tuple[str, ...], block_seconds: float
    ) -> None:
        self._suite, self._inventory, self._plugins = suite, inventory, plugins
        self._block_seconds = block_seconds
        self._pace: dict[Any, float] = {}
        self._truths: dict[int, tuple[tuple[Target, Truth], ...]] = {}
        self._missing()

    def learn(self, block: Block, result: Result) -> None:
        """Note how long a replicate of such a block takes."""
        self._pace[_kind(block)] = result.seconds / block.count

    def blocks(self, slots: Callable[[], int] = lambda: 1) -> Iterator[Block]:
        """Yield the blocks of what is missing, cell by cell, each sized when it is asked for.

        Where `slots`, the number of blocks that can run at a time, is large they are longer.
        """
        missing = self._missing()
        for index, cell in enumerate(self._suite.cells):
            for first, count, entrants in missing[index]:
                whole = Block(
                    cell=index, key=cell.key, entrants=tuple(cell.entrants[e] for e in entrants),
                    truths=self._truths[index], seed=self._suite.seed, level=self._suite.level,
                    first=first, count=count, plugins=self._plugins, refits=self._suite.refits,
                )  # fmt: skip
                yield from self._pieces(whole, slots)

    def _missing(self) -> list[list[tuple[int, int, Array]]]:
        """Return what is missing, cell by cell, whose truths are known from here on."""
        cells = self._suite.cells
        missing = [list(self._inventory.missing(index)) for index in range(len(cells))]
        for index in [i for i, some in enumerate(missing) if some and i not in self._truths]:
            self._truths[index] = tuple(truths(cells[index].scenario).items())
        return missing

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
