"""Run one block anywhere and survive whatever it dies of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cibench.utils.lazy import offered

if TYPE_CHECKING:
    from cibench.workers.block import Block, Result, run_block
    from cibench.workers.workplace import Workplace

__all__ = ["Block", "Result", "Workplace", "run_block"]

_HOMES = {
    "cibench.workers.block": ("Block", "Result", "run_block"),
    "cibench.workers.workplace": ("Workplace",),
}  # fmt: skip

__getattr__ = offered(__name__, _HOMES)
