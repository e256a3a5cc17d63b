"""The warning that opens a page where a scenario has a bug: data sets that could not be drawn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cibench.render.html import Html, h
from cibench.render.numbers import count
from cibench.storage.undrawn import sentences


def undrawn_section(
    manifest: Mapping[str, Any], place: Path, catalogue: Mapping[str, Any]
) -> Html | None:
    """Write the section; none where every data set was drawn."""
    undrawn = manifest.get("undrawn") or ()
    if not undrawn:
        return None
    lost = sum(int(entry["replicates"]) for entry in undrawn)
    return h(
        "section", h("h2", f"{count(lost, 'data set')} could not be drawn"),
        h("p", "That is a bug of the scenario. No estimator has tried these data sets and none is "
          "charged; the next run draws them again.", cls="note"),
        h("ul", [h("li", line) for line in sentences(undrawn, place, catalogue)]), id="undrawn",
    )  # fmt: skip
