"""How far a run is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter


@dataclass
class Progress:
    """Count what is done of a run; handed to the listener after every block."""

    total: int
    done: int = 0
    failures: int = 0
    cell: str = ""
    started: float = field(default_factory=perf_counter)

    @property
    def rate(self) -> float:
        """Return rows a second since the clock started."""
        return self.done / max(perf_counter() - self.started, 1e-9)


Listener = Callable[[Progress], object]
