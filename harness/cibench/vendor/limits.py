"""How many rows must share what leaves, which columns are free of that, which twins may leave."""

from __future__ import annotations

from dataclasses import dataclass

from cibench.errors import BadInput, unknown
from cibench.twins.generator import FAMILIES
from cibench.twins.twin import Twin

CELL = 10
"""No value that fewer seed rows share leaves, unless more or fewer are asked for."""

LEAST_CELL = 3


@dataclass(frozen=True)
class Limits:
    """Say how many rows must share what leaves, and which columns are free of that."""

    cell: int = CELL
    allowed: frozenset[str] = frozenset()

    def check(self, twin: Twin) -> None:
        """Raise BadInput for a generator that gives rows away, a cell or a column that is none."""
        if FAMILIES[twin.family].resamples:
            raise BadInput(
                f"generator '{twin.family}' draws values of the seed's own rows, which must not "
                "leave; fit the twin with --generator vine or gaussian"
            )
        if self.cell < LEAST_CELL:
            raise BadInput(f"--cell: {self.cell} is too few rows; {LEAST_CELL} is the least")
        units = units_of(twin)
        if units < 4 * self.cell:
            raise BadInput(f"--cell: {self.cell} is too many for a seed of {units} units")
        for name in sorted(self.allowed):
            known = [c.name for c in twin.known]
            if name not in known:
                raise BadInput(f"--allow: {unknown('column', name, known)}")


def units_of(twin: Twin) -> int:
    """Return how many seed rows (units of a panel) the twin was fitted to."""
    if "units" in twin.summaries:
        return int(twin.summaries["units"])
    return len(twin.seed["ever"]) if twin.panel is not None else int(twin.seed["rows"])
