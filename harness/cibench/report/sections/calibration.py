"""Posteriors in the report: whether they are what they say they are, where that can be known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cibench.render.html import Html, breakable, h, place, raw, sortable
from cibench.render.labels import label, view_titles
from cibench.render.numbers import BLANK, count, error_of, number
from cibench.report.views import KEYS
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd

Line = Mapping[str, Any]

HEAD = (
    ("method", ""), ("scenario", ""),
    ("mean", "of the posterior's distribution function at the truth; 1/2 if calibrated"),
    ("dispersion", "its s.d. over that of the uniform law; below 1: posteriors are too wide"),
    ("distance", "the most by which its distribution differs from the uniform one, and its limit"),
    ("p", "exact probability of a distance so large, were the posterior calibrated"),
    ("verdict", "all verdicts of this table together err in at most 5 of 100 runs"),
    ("data sets", ""),
)  # fmt: skip


def calibration_section(table: pd.DataFrame, catalogue: Mapping[str, Any]) -> Html | None:
    """Write the section; none where no scenario draws its parameters from a method's prior."""
    if table.empty:
        return None
    rows = [{str(k): v for k, v in r.items()} for r in label(table, catalogue).to_dict("records")]
    titles = view_titles([{key: row[key] for key in KEYS} for row in rows])
    rows = [row | {"title": title} for row, title in zip(rows, titles, strict=True)]
    return h(
        "section", h("h2", heading(rows)),
        h("p", "Here every data set draws all its parameters from the method’s own prior. The "
          "posterior’s distribution function at the drawn estimand is then uniform; at a fixed "
          "truth it is not, so no other scenario is judged by it. In brackets, Monte Carlo "
          "standard errors.", cls="note"),
        sortable(HEAD, [_row(row) for row in rows]),
        id="calibration",
    )  # fmt: skip


def heading(rows: Sequence[Line]) -> str:
    """Sum up in one line how many posteriors are not calibrated."""
    judged = [row for row in rows if not missing(row["p_value"])]
    off = sum(not row["calibrated"] for row in judged)
    if not judged:
        return "No posterior to calibrate"
    if not off:
        return "Posteriors are calibrated, as far as these data sets tell"
    return f"{off} of {count(len(judged), 'posterior')} {'is' if off == 1 else 'are'} off"


def _row(row: Line) -> Html:
    return h(
        "tr", h("th", breakable(str(row["method"])), scope="row"), place(row),
        _measure(row, "pit_mean"), _measure(row, "pit_dispersion"), *_test(row),
        h("td", f"{int(row['answered']):,}", cls="num", data_v=int(row["answered"]),
          title=str(row["note"])),
    )  # fmt: skip


def _test(row: Line) -> list[Html]:
    if missing(row["p_value"]):
        return [h("td", BLANK, cls="num", data_v="", title=str(row["note"])) for _ in range(3)]
    distance, limit, p = (float(row[name]) for name in ("distance", "limit", "p_value"))
    below = h("span", f"limit {limit:.3f}", cls="mc below")
    return [
        h("td", f"{distance:.3f}", below, cls="num", data_v=raw(distance)),
        h("td", f"{p:.3f}" if p >= 0.001 else "< 0.001", cls="num", data_v=raw(p)),
        h("td", "calibrated" if row["calibrated"] else "▼ not calibrated", cls="at"),
    ]


def _measure(row: Line, name: str) -> Html:
    value, error = row[name], row[f"{name}_mcse"]
    if missing(value):
        return h("td", BLANK, cls="num", data_v="", title=str(row["note"]))
    beside = h("span", error_of(value, error), cls="mc")
    return h("td", number(value, error), " ", beside, cls="num", data_v=raw(value))
