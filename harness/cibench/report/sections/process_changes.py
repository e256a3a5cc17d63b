"""Fits that changed the process which they share with others: bugs of estimators, told as such."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cibench.render.html import Html, h
from cibench.render.numbers import count

if TYPE_CHECKING:
    import pandas as pd


def process_changes_section(table: pd.DataFrame) -> Html | None:
    """Write the section; none where every fit left its process as it was."""
    if table.empty:
        return None
    fits = int(table["fits"].sum())
    lines = [
        f"{x['estimator']} on {x['scenario']}, {count(int(x['fits']), 'fit')}: {x['change']}"
        for x in table.to_dict("records")
    ]
    return h(
        "section", h("h2", f"{count(fits, 'fit')} changed their process"),
        h("p", "What such a fit replaced or set was put back, and no other row of this run has "
          "felt it. Where people use the method without this harness, it reaches whatever runs "
          "after it.", cls="note"),
        h("ul", [h("li", line) for line in lines]), id="process-changes",
    )  # fmt: skip
