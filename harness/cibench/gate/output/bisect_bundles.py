"""Hand over what to bisect with: of every changed cell the fits that changed most, and a bundle.

A bundle holds the data set of the worst fit, a script that fits it, the answer then and now: at any
commit or version `python reproduce.py` says which of the two it gives.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cibench.gate.comparison import CellResult, Comparison
from cibench.gate.output.cell_views import Replicate, Told, changed_most
from cibench.render.labels import slug
from cibench.utils.errors import BadInput
from cibench.utils.files import write_json

MOST = 3
CHANGE = "change.json"


@dataclass(frozen=True)
class Handed:
    """Hold a changed cell, its fits that changed most, and the bundle of the first of them.

    `why` says why there is no bundle, "" where there is one.
    """

    cell: Told
    worst: tuple[Replicate, ...]
    folder: Path
    why: str = ""


def hand_over(found: Comparison, told: Sequence[Told], out: Path, most: int = MOST) -> list[Handed]:
    """Write a bundle for the worst fit of each changed cell, the worst `most` cells first.

    Cells that share a fit, as the horizons of an event study do, get one. Of unpaired comparisons
    no fit changed, and there is nothing to hand over.
    """
    run = Path(str(found.provenance["run"]))
    handed, seen = list[Handed](), set[tuple[Any, ...]]()
    for one in told:
        worst = tuple(changed_most(one.cell, found.rules.tolerance))
        if not worst or (fit := _fit(one.cell, worst[0])) in seen:
            continue
        seen.add(fit)
        handed.append(_handed(run, one, worst, out))
        if len(handed) == most:
            break
    return handed


def _fit(cell: CellResult, worst: Replicate) -> tuple[Any, ...]:
    keys = ("scenario", "n", "dials", "parameters", "estimator", "options")
    return (*(cell.names[key] for key in keys), worst.replicate)


def _handed(run: Path, one: Told, worst: tuple[Replicate, ...], out: Path) -> Handed:
    from cibench.execution.replay_bundle import write_bundle
    from cibench.execution.replays import Wanted, replay

    names = one.cell.names
    dials, parameters, options = (
        {k: v for k, v in json.loads(names[part]).items() if v is not None}
        for part in ("dials", "parameters", "options")
    )
    words = f"{names['estimator']} {one.place} r{worst[0].replicate}"
    folder = out / slug(words)
    fit = Wanted(
        names["scenario"], names["estimator"], worst[0].replicate, int(names["n"]),
        dials, parameters, options,
    )  # fmt: skip
    try:
        write_bundle(replay(run, fit), folder)
    except BadInput as error:
        return Handed(one, worst, folder, str(error))
    write_json(folder / CHANGE, _change(one, worst[0]))
    return Handed(one, worst, folder)


def _change(one: Told, worst: Replicate) -> dict[str, Any]:
    """Return both answers as plain data; a number that is not finite as a word."""
    told = asdict(worst)
    limits = told.pop("limits")
    told |= {"low": limits[:2], "high": limits[2:]}
    return {"cell": one.place, "estimator": one.method, **_plain(told)}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return repr(value) if isinstance(value, float) and value - value != 0 else value


def lines(handed: Sequence[Handed]) -> list[str]:
    """Say of each changed cell which fits changed most and where the bundle is."""
    said = []
    for one in handed:
        listed = ", ".join(f"{r.replicate} ({r.change:.3g} SE)" for r in one.worst)
        said.append(f"{one.cell.place}: {one.cell.method}: changed most in replicates {listed}")
        said.append(f"  no bundle: {one.why}" if one.why else f"  bundle: {one.folder}")
    return said or ["no single fit changed: nothing to bundle"]
