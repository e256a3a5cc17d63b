"""Equalities in the report: which of those that the suite states do not hold, and where to look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cibench.analysis.equalities import UNEQUAL, EqualityVerdict
from cibench.render.html import Html, breakable, h, place, raw, sortable
from cibench.render.labels import label, view_titles
from cibench.render.numbers import BLANK, count, number, percent
from cibench.render.replay_command import command
from cibench.report.views import KEYS
from cibench.suite.equalities import INSIDE
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd

Line = Mapping[str, Any]

WORDS = {
    "estimate": "estimates", "std_error": "standard errors", "limits": "limits",
    "bands": "bands", "p_value": "p-values", "statistic": "statistics",
    INSIDE: "estimates and the other’s limits",
}  # fmt: skip

HEAD = (
    ("methods", "the two that are stated to be equal"), ("scenario", ""), ("setting", ""),
    ("compared", "the number that is compared"), ("verdict", ""),
    ("greatest", "the largest distance, in the smaller of the two standard errors"),
    ("within", "the distance that still counts as none"),
    ("data sets", "how many both answered, and how many one only"), ("why", ""),
)  # fmt: skip

MOST = 20
"""Equalities that do not hold which stand open; the table has the others."""


def lines(table: pd.DataFrame, catalogue: Mapping[str, Any]) -> list[Line]:
    """Return the table's lines, labelled, those first that do not hold."""
    import pandas as pd

    if table.empty:
        return []
    swapped = table.assign(estimator=table["other"], options=table["other_options"])
    both = label(pd.concat([table, swapped], ignore_index=True), catalogue)
    others = both["method"].iloc[len(table) :].to_numpy()
    labelled = both.iloc[: len(table)].assign(other_method=others)
    rows = [{str(k): v for k, v in row.items()} for row in labelled.to_dict("records")]
    titles = view_titles([{key: row[key] for key in KEYS} for row in rows])
    rows = [row | {"title": title} for row, title in zip(rows, titles, strict=True)]
    order = {str(verdict): place for place, verdict in enumerate(WORST_FIRST)}
    return sorted(rows, key=lambda row: order[row["verdict"]])


WORST_FIRST = (*UNEQUAL, EqualityVerdict.UNCOMPARED, EqualityVerdict.EQUAL)


def heading(rows: Sequence[Line]) -> str:
    """Sum up in one line how many of the equalities hold."""
    wrong = sum(row["verdict"] in UNEQUAL for row in rows)
    blank = sum(row["verdict"] == EqualityVerdict.UNCOMPARED for row in rows)
    stated = count(len(rows), "stated equality", "stated equalities")
    thin = sum(_is_thin(row) for row in rows)
    parts = {"could not be compared": blank, "compared on less than half of the data sets": thin}
    open_ends = "".join(f", {number_of:,} {what}" for what, number_of in parts.items() if number_of)
    if wrong:
        return f"{wrong:,} of {stated} {'does' if wrong == 1 else 'do'} not hold{open_ends}"
    holding = len(rows) - blank
    verb = "holds" if len(rows) == 1 else "hold"
    return f"{f'{holding:,} of ' if blank else ''}{stated} {verb}{open_ends}"


def _is_thin(row: Line) -> bool:
    """Say whether an equality was seen on few of the data sets: who declines has not been tried."""
    return bool(0 < row["compared"] < row["replicates"] / 2)


def unequal(table: pd.DataFrame) -> str:
    """Return the clause for the headline of a report; "" where nothing stated is wrong."""
    records = table[["verdict", "compared", "replicates"]].to_dict("records")
    rows = [{str(name): value for name, value in record.items()} for record in records]
    return heading(rows) if any(row["verdict"] in UNEQUAL for row in rows) else ""


def finding(row: Line) -> str:
    """Say what was seen of an equality: in how many data sets it fails, and by how much."""
    what, differing, compared = WORDS[row["quantity"]], int(row["differing"]), int(row["compared"])
    single = int(row["answered_by_one"])
    parts = []
    if differing:
        says = "are apart" if row["quantity"] == INSIDE else "differ"
        parts.append(f"{what} {says} in {differing:,} of {compared:,}, by up to {_distance(row)}")
    if single:
        parts.append(f"answered by one only in {single:,} of {int(row['replicates']):,}")
    if not parts:
        parts = [f"{what} equal in {_out_of(row)}" if compared else "nothing to compare"]
    parts += [f"{int(row[name]):,} {reason}" for name, reason in LEFT.items() if row[name]]
    return "; ".join(parts)


LEFT = {"answered_by_none": "answered by neither", "declined": "declined"}
"""What keeps a data set from being compared, besides an answer of one only."""


def _out_of(row: Line) -> str:
    compared, replicates = int(row["compared"]), int(row["replicates"])
    return f"{compared:,}" if compared == replicates else f"{compared:,} of {replicates:,}"


def _distance(row: Line) -> str:
    away = float(row["greatest"])
    if row["quantity"] == "statistic":
        return f"{percent(away, 2)} % of their size"
    return number(away) + ("" if row["quantity"] == "p_value" else " SE")


def sentence(row: Line) -> str:
    """Say which methods, where, and what was seen of them."""
    return f"{row['method']} and {row['other_method']} in {where(row)}: {finding(row)}"


def where(row: Line) -> str:
    """Name the cell and the target of a line."""
    parts = (row["scenario_label"], row["title"], row["at"])
    return ", ".join(str(part) for part in parts if part)


def commands(row: Line, run: Path | str, catalogue: Mapping[str, Any]) -> list[str]:
    """Return the commands that make both fits of the first data set again that differs."""
    if missing(row["first"]):
        return []
    first = {**row, "replicate": int(row["first"])}
    second = {**first, "estimator": row["other"], "options": row["other_options"]}
    return [command(run, fit, catalogue) for fit in (first, second)]


def summary_lines(
    table: pd.DataFrame, catalogue: Mapping[str, Any], run: str, most: int = 5
) -> list[str]:
    """Return lines that say how many equalities hold, and of some that do not where to look."""
    rows = lines(table, catalogue)
    if not rows:
        return []
    wrong = [row for row in rows if row["verdict"] in UNEQUAL]
    text = [heading(rows)]
    for row in wrong[:most]:
        text += [f"  {sentence(row)}", *(f"    {c}" for c in commands(row, run, catalogue))]
    more = len(wrong) - most
    return [*text, f"  and {more:,} more, all in the report"] if more > 0 else text


def equality_section(
    table: pd.DataFrame, catalogue: Mapping[str, Any], folder: Path
) -> Html | None:
    """Write the section; none where the suite states nothing to be equal."""
    rows = lines(table, catalogue)
    if not rows:
        return None
    wrong = [row for row in rows if row["verdict"] in UNEQUAL]
    listed = [
        h("li", sentence(row), h("span", str(row["why"]), cls="mc below") if row["why"] else None,
          [h("code", words, cls="below") for words in commands(row, folder, catalogue)])
        for row in wrong[:MOST]
    ]  # fmt: skip
    return h(
        "section", h("h2", heading(rows)),
        h("p", "The suite states that these methods agree, by theory or by name. They were "
          "compared on every data set that both answered; distances count in the smaller of the "
          "two standard errors, rounding is none. Where one alone answered they do not agree "
          "either; who declined did not try. The commands make the fits of the first data set "
          "again that differs.", cls="note"),
        h("ul", listed) if listed else None,
        h("details", h("summary", "All that is stated to be equal"),
          sortable(HEAD, [_row(row) for row in rows])),
        id="equalities",
    )  # fmt: skip


def _row(row: Line) -> Html:
    mark = "▼ " if row["verdict"] in UNEQUAL else ""
    away = BLANK if missing(row["greatest"]) else number(row["greatest"])
    methods = (breakable(str(row[name])) for name in ("method", "other_method"))
    first, second = methods
    return h(
        "tr", h("th", first, h("br"), second, scope="row"), place(row),
        h("td", str(row["at"]), cls="at"), h("td", WORDS[row["quantity"]]),
        h("td", f"{mark}{row['verdict']}"),
        h("td", away, cls="num", data_v=raw(row["greatest"])),
        h("td", f"{row['within']:g}", cls="num", data_v=raw(row["within"])),
        h("td", f"{int(row['compared']):,} + {int(row['answered_by_one']):,} of "
          f"{int(row['replicates']):,}", cls="num", data_v=int(row["compared"])),
        h("td", str(row["why"])),
    )  # fmt: skip
