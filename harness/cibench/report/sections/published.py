"""Our scores beside published figures: both errors, and how many combined errors lie between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cibench.render.html import Html, h
from cibench.render.numbers import BLANK, count, error_of, number, plain, signed
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd

WHERE = ("scenario", "n", "dial", "setting", "estimator", "horizon", "parameters", "options")


def published_section(comparison: pd.DataFrame) -> Html | None:
    """Write the section with one line for each published figure; none without any."""
    if comparison.empty:
        return None
    lines = [{str(k): v for k, v in line.items()} for line in comparison.to_dict("records")]
    where = [name for name in WHERE if name in comparison and comparison[name].notna().any()]
    agree = sum(bool(line["agrees"]) for line in lines)
    head = [*where, "measure", "published", "ours", "difference", "errors apart"]
    body = [_row(line, where) for line in lines]
    table = h("table", h("thead", h("tr", [h("th", name) for name in head])), h("tbody", body))
    sources = dict.fromkeys(str(line["source"]) for line in lines)
    notes = dict.fromkeys(str(line["note"]) for line in lines if line["note"] and _off(line))
    return h(
        "section", h("h2", "Published figures"),
        h("p", f"{agree} of {count(len(lines), 'figure')} agree within three combined errors: ours "
          "and theirs, the latter from the replicates behind it and its rounding where it was "
          "given without an error. Errors stand in brackets.", cls="note"),
        h("div", table, cls="scroll tall"),
        [h("p", h("b", "Where they differ: "), note, cls="note") for note in notes],
        [h("p", source, cls="note") for source in sources], id="published",
    )  # fmt: skip


def _off(line: dict[str, Any]) -> bool:
    return not line["agrees"]


def _row(line: dict[str, Any], where: list[str]) -> Html:
    theirs, ours = line["published_error"], line["ours_mcse"]
    apart = BLANK if missing(line["errors_away"]) else signed(line["errors_away"], 0.1)
    cells = [
        _number(line["published"], theirs, plain(line["published"])),
        _number(line["ours"], ours),
        h("td", signed(line["difference"], ours), cls="num"),
        h("td", apart if not _off(line) else h("b", f"▼ {apart}"), cls="num"),
    ]  # fmt: skip
    named = [h("td", BLANK if missing(line[name]) else str(line[name])) for name in where]
    return h("tr", named, h("td", str(line["measure"]).replace("_", " ")), cells)


def _number(value: Any, error: Any, text: str = "") -> Html:
    """Write a number beside its error, as `text` where it was given as such."""
    beside = h("span", error_of(value, error), cls="mc")
    return h("td", text or number(value, error), " ", beside, cls="num")
