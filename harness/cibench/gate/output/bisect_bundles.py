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
from cibench.gate.output.cell_views import CellView, Replicate, changed_most
from cibench.render.labels import slug
from cibench.utils.errors import BadInput
from cibench.utils.files import write_json
from cibench.utils.missing import for_json

MOST = 3
CHANGE = "change.json"


@dataclass(frozen=True)
class CellBundle:
    """Hold a changed cell, its fits that changed most, and the bundle of the first of them.

    `why` says why there is no bundle, "" where there is one.
    """

    cell: CellView
    largest_changes: tuple[Replicate, ...]
    folder: Path
    why: str = ""


def hand_over(
    comparison: Comparison, views: Sequence[CellView], out: Path, most: int = MOST
) -> list[CellBundle]:
    """Write a bundle for the worst fit of each changed cell, the worst `most` cells first.

    Cells that share a fit, as the horizons of an event study do, get one. Of unpaired comparisons
    no fit changed, and there is nothing to hand over.
    """
    run = Path(str(comparison.provenance["run"]))
    bundles, seen = list[CellBundle](), set[tuple[Any, ...]]()
    for view in views:
        largest_changes = tuple(changed_most(view.cell, comparison.rules.tolerance))
        if not largest_changes or (fit := _fit(view.cell, largest_changes[0])) in seen:
            continue
        seen.add(fit)
        bundles.append(_cell_bundle(run, view, largest_changes, out))
        if len(bundles) == most:
            break
    return bundles


def _fit(cell: CellResult, replicate: Replicate) -> tuple[Any, ...]:
    keys = ("scenario", "n", "dials", "parameters", "estimator", "options")
    return (*(cell.names[key] for key in keys), replicate.replicate)


def _cell_bundle(
    run: Path, view: CellView, largest_changes: tuple[Replicate, ...], out: Path
) -> CellBundle:
    from cibench.execution.replay_bundle import write_bundle
    from cibench.execution.replays import FitAddress, replay

    names = view.cell.names
    dials, parameters, options = (
        {k: v for k, v in json.loads(names[part]).items() if v is not None}
        for part in ("dials", "parameters", "options")
    )
    words = f"{names['estimator']} {view.place} r{largest_changes[0].replicate}"
    folder = out / slug(words)
    fit = FitAddress(
        names["scenario"], names["estimator"], largest_changes[0].replicate, int(names["n"]),
        dials, parameters, options,
    )  # fmt: skip
    try:
        write_bundle(replay(run, fit), folder)
    except BadInput as error:
        return CellBundle(view, largest_changes, folder, str(error))
    write_json(folder / CHANGE, _change(view, largest_changes[0]))
    return CellBundle(view, largest_changes, folder)


def _change(view: CellView, replicate: Replicate) -> dict[str, Any]:
    """Return both answers as plain data; a number that is not finite as a word."""
    content = asdict(replicate)
    limits = content.pop("limits")
    content |= {"low": limits[:2], "high": limits[2:]}
    return {"cell": view.place, "estimator": view.method, **for_json(content)}


def lines(bundles: Sequence[CellBundle]) -> list[str]:
    """Say of each changed cell which fits changed most and where the bundle is."""
    sentences = []
    for bundle in bundles:
        listed = ", ".join(f"{r.replicate} ({r.change:.3g} SE)" for r in bundle.largest_changes)
        sentences.append(
            f"{bundle.cell.place}: {bundle.cell.method}: changed most in replicates {listed}"
        )
        sentences.append(
            f"  no bundle: {bundle.why}" if bundle.why else f"  bundle: {bundle.folder}"
        )
    return sentences or ["no single fit changed: nothing to bundle"]
