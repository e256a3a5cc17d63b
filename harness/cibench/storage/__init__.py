"""Keep a run's rows: shards that grow, what is stored already, and the one reader of all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cibench.utils.lazy import offered

if TYPE_CHECKING:
    from cibench.storage.manifest import read_manifest
    from cibench.storage.reader import CellRows, cells, cells_of
    from cibench.storage.session import Session

__all__ = ["CellRows", "Session", "cells", "cells_of", "read_manifest"]

_HOMES = {
    "cibench.storage.manifest": ("read_manifest",),
    "cibench.storage.reader": ("CellRows", "cells", "cells_of"),
    "cibench.storage.session": ("Session",),
}  # fmt: skip

__getattr__ = offered(__name__, _HOMES)
