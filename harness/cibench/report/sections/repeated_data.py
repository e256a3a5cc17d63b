"""The warning that opens a page where replicates are not data sets of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cibench.render.html import Html, h
from cibench.render.labels import scenario_label, setting
from cibench.render.numbers import count

if TYPE_CHECKING:
    import pandas as pd


def repeated_section(table: pd.DataFrame, catalogue: Mapping[str, Any]) -> Html | None:
    """Write the section; none where every replicate is a data set of its own."""
    if table.empty:
        return None
    lines = sentences(table, catalogue)
    return h(
        "section", h("h2", f"{count(len(lines), 'cell')} with repeated data sets"),
        h("p", "Monte Carlo errors and limits take every replicate for a draw of its own. Where a "
          "scenario returns a stored table or fixes its seed they are too small, however many "
          "replicates there are. With a few units and discrete columns independent draws may be "
          "equal by chance; then they are right.", cls="note"),
        h("ul", [h("li", line) for line in lines]), id="repeated",
    )  # fmt: skip


def sentences(table: pd.DataFrame, catalogue: Mapping[str, Any]) -> list[str]:
    """Say of each cell how many data sets its replicates are."""
    known = catalogue.get("scenarios") or {}
    lines = []
    for row in table.to_dict("records"):
        about = known.get(row["scenario"]) or {}
        at = setting(row["dial"], row["setting"], row["dials"], about).label
        every = count(int(row["replicates"]), "replicate")
        distinct = count(int(row["data_sets"]), "data set")
        where = f"{scenario_label(row['scenario'], about)}, n = {row['n']}, {at}"
        lines.append(f"{where}: {every} are {distinct}")
    return lines
