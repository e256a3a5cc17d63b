"""Seed honesty in the report: what a method's own seed does, and what picking one would buy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cibench.analysis.algorithm_seeds import FLAGGED
from cibench.render.html import Html, breakable, h, join, place, raw, sortable
from cibench.render.labels import label, view_titles
from cibench.render.numbers import BLANK, count, error_of, limits, number, percent
from cibench.report.views import KEYS
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd

Line = Mapping[str, Any]

HEAD = (
    ("method", ""), ("scenario", ""), ("setting", ""),
    ("instability", "s.d. of the estimates over seeds on one data set, over the standard error"),
    ("of the limits", "the same of the confidence limits"),
    ("RMSE", "of an average seed, then of the seed nearest to the truth"),
    ("coverage %", "of an average seed, then of whether any seed covers"),
    ("finds an effect %", "an average seed, then any seed"),
    ("data sets", "each fitted so many times"),
)  # fmt: skip


def seeds_section(table: pd.DataFrame, catalogue: Mapping[str, Any]) -> Html | None:
    """Write the section; none where nothing was refitted."""
    if table.empty:
        return None
    rows = [{str(k): v for k, v in r.items()} for r in label(table, catalogue).to_dict("records")]
    titles = view_titles([{key: row[key] for key in KEYS} for row in rows])
    rows = [row | {"title": title} for row, title in zip(rows, titles, strict=True)]
    body = [_row(row) for row in sorted(rows, key=_most, reverse=True)]
    return h(
        "section", h("h2", heading(rows)),
        h("p", "Seeds are derived, not chosen: a method that draws random numbers of its own gets "
          "its stream from its name and the data set’s address. What another seed would have said "
          "was measured by fitting the same data sets again with other streams; methods that draw "
          "none are left out. Instability is the standard deviation over seeds on one data set in "
          f"units of the reported standard error, ▲ above {FLAGGED:g}. The second of two figures "
          "is what somebody gets who tries all seeds and keeps the best. In brackets, Monte Carlo "
          "standard errors over data sets.", cls="note"),
        sortable(HEAD, body),
        id="seeds",
    )  # fmt: skip


def heading(rows: Sequence[Line]) -> str:
    """Sum up in one line how many methods hang on their seed."""
    methods = {row["method"] for row in rows}
    shaky = {row["method"] for row in rows if row["flagged"]}
    if not shaky:
        return "No method’s answer hangs on its seed"
    hang = "hangs" if len(shaky) == 1 else "hang"
    return f"{len(shaky)} of {count(len(methods), 'method')} with a seed of its own {hang} on it"


def _most(row: Line) -> float:
    moved = (row["instability"], row["limits_instability"])
    return max((float(value) for value in moved if not missing(value)), default=-1.0)


def _row(row: Line) -> Html:
    sets, fits = int(row["data_sets"]), int(row["fits"])
    return h(
        "tr", h("th", breakable(str(row["method"])), scope="row"),
        place(row),
        h("td", str(row["at"]), cls="at"),
        _measure(row, "instability"), _measure(row, "limits_instability"),
        h("td", _pair(row, "rmse", number), cls="at", data_v=raw(row["rmse_mean"])),
        h("td", _share(row, "coverage"), cls="at", data_v=raw(row["coverage_mean"])),
        h("td", _share(row, "rejection"), cls="at", data_v=raw(row["rejection_mean"])),
        h("td", f"{sets:,} × {fits}", cls="num", data_v=sets),
    )  # fmt: skip


def _measure(row: Line, name: str) -> Html:
    value, error = row[name], row[f"{name}_mcse"]
    if missing(value):
        return h("td", BLANK, cls="num", data_v="", title=str(row["note"]))
    mark = "▲ " if value > FLAGGED else ""
    beside = h("span", error_of(value, error), cls="mc")
    return h("td", mark, number(value, error) if value else "0", " ", beside, cls="num",
             data_v=raw(value))  # fmt: skip


def _pair(row: Line, name: str, write: Any) -> Html:
    parts = [(row[f"{name}_{end}"], row[f"{name}_{end}_mcse"]) for end in ("mean", "best")]
    pieces = [join(write(v, e), " ", h("span", error_of(v, e), cls="mc")) for v, e in parts]
    return join(*pieces, between=" → ")


def _share(row: Line, name: str) -> Html | str:
    mean, error, best = (row[f"{name}_{end}"] for end in ("mean", "mean_mcse", "best"))
    if missing(mean):
        return BLANK
    within = limits(row[f"{name}_best_low"], row[f"{name}_best_high"])
    around = "" if missing(error) else f" ({percent(error)})"
    return join(percent(mean), h("span", around, cls="mc"), f" → {percent(best)} ",
                h("span", f"({within})", cls="mc"))  # fmt: skip
