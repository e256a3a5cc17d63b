"""Data sets that a scenario could not draw: its bug, of which no estimator's row tells.

Such a replicate has no rows: no estimator has tried. The manifest says which they are, and since
their rows are missing the next run tries them again, with today's source or with the old one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cibench.render.numbers import count
from cibench.render.replay_command import draw_command
from cibench.storage.schema import IDENTITY
from cibench.storage.stops import alike

if TYPE_CHECKING:
    from cibench.suite.suite import Suite


class Undrawn(NamedTuple):
    """Say of a replicate without a data set what became of the draw, and the traceback if any."""

    replicate: int
    status: str
    reason: str
    traceback: str = ""


Faults = Mapping[int, Mapping[int, Undrawn]]
"""What could not be drawn, by the cell's place in the suite and by replicate."""


def entries(suite: Suite, faults: Faults) -> list[dict[str, Any]]:
    """Return what a manifest says: of each cell and kind of fault how many, and the first."""
    lines = []
    for index, undrawn in sorted(faults.items()):
        kinds: dict[object, list[Undrawn]] = {}
        for _, fault in sorted(undrawn.items()):
            kinds.setdefault(_kind(fault), []).append(fault)
        for alike_ones in kinds.values():
            first = alike_ones[0]
            lines.append({
                **{name: suite.cells[index].key[name] for name in IDENTITY},
                "status": first.status, "reason": first.reason,
                "replicates": len(alike_ones), "first": first.replicate,
            })  # fmt: skip
    return lines


def _kind(fault: Undrawn) -> object:
    return alike(fault.status, fault.reason) or (fault.status, fault.reason)


def sentences(
    undrawn: Sequence[Mapping[str, Any]], place: Path | str, catalogue: Mapping[str, Any]
) -> list[str]:
    """Say each fault of a scenario once: how many data sets of how many cells, and how to see it.

    `undrawn` are entries of the manifest of the run at a place.
    """
    kinds: dict[object, list[Mapping[str, Any]]] = {}
    for entry in undrawn:
        kind = alike(entry["status"], entry["reason"]) or (entry["status"], entry["reason"])
        kinds.setdefault((entry["scenario"], kind), []).append(entry)
    return [_sentence(same, place, catalogue) for same in kinds.values()]


def _sentence(
    same: Sequence[Mapping[str, Any]], place: Path | str, catalogue: Mapping[str, Any]
) -> str:
    first = same[0]
    lost = count(sum(entry["replicates"] for entry in same), "data set")
    where = f" in {len(same)} cells" if len(same) > 1 else ""
    return (
        f"scenario {first['scenario']} could not draw {lost}{where}: {first['reason']}; first "
        f"replicate {first['first']} of {_cell(first)}, to see it: "
        f"{draw_command(place, {**first, 'replicate': first['first']}, catalogue)}"
    )


def _cell(entry: Mapping[str, Any]) -> str:
    values = {**json.loads(entry["dials"]), **json.loads(entry["parameters"])}
    return " ".join([f"n={entry['n']}", *(f"{name}={value}" for name, value in values.items())])
