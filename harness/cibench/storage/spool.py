"""Columns put aside while shards are read: in memory up to a bound, beyond it in a temporary file.

Some tables need of every cell what only the last one tells what to do with: a score the statistics
of its null cell, a leaderboard the losses beside a reference that answers everywhere, a curve its
replicates at all settings. Memory would grow with the run, or each shard be read again.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from cibench.metrics.groups import Group
from cibench.model.types import Array

IN_MEMORY = 2**24
"""Bytes that stay in memory."""


class Slot(NamedTuple):
    """Say where in the file a column begins, how long it is, and of what."""

    offset: int
    size: int
    dtype: np.dtype[Any]


class Spool:
    """Hold columns of numbers, each as it was to the bit; the file goes with the object."""

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=in_memory)  # noqa: SIM115
        self._last: dict[str, tuple[bytes, Slot]] = {}
        self.size = 0
        weakref.finalize(self, self._file.close)

    def put(self, name: str, column: Array) -> Slot:
        """Put a column aside; one that equals the last of its name takes no room.

        The replicates of neighbouring groups are mostly the same, and so are their truths.
        """
        content = column.tobytes()
        known, slot = self._last.get(name, (b"", Slot(0, -1, column.dtype)))
        if (known, slot.size, slot.dtype) != (content, column.size, column.dtype):
            slot = Slot(self.size, column.size, column.dtype)
            self._file.seek(self.size)
            self._file.write(content)
            self.size += len(content)
            self._last[name] = content, slot
        return slot

    def get(self, slot: Slot) -> Array:
        """Return a column that was put aside, read-only."""
        self._file.seek(slot.offset)
        return np.frombuffer(self._file.read(slot.size * slot.dtype.itemsize), dtype=slot.dtype)


@dataclass(frozen=True, eq=False, slots=True)
class SpooledGroup:
    """Hold where some columns of a group of rows were put aside."""

    spool: Spool
    names: Sequence[str]
    slots: Sequence[Slot]

    def read(self, *names: str) -> Group:
        """Return the columns, in replicate order: all of them, or only those named."""
        slots = dict(zip(self.names, self.slots, strict=True))
        return {name: self.spool.get(slots[name]) for name in names or self.names}
