"""The opening section of the report: surprises, then all that was expected and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from cibench.expectations.verdicts import MEANING, SURPRISES, Verdict
from cibench.report.cells import place, raw, sortable
from cibench.report.markup import Html, breakable, h, join
from cibench.report.numbers import BLANK, blank, percent
from cibench.report.surprises import (
    Line,
    Surprise,
    about,
    coverage,
    heading,
    surprises,
    tally,
    undecided,
)

HEAD = (
    ("method", ""), ("verdict", ""), ("scenario", ""), ("setting", ""),
    ("coverage", "failures as misses, with exact limits adjusted for all verdicts"),
    ("floor %", "the coverage that a valid method exceeds and a failing one does not reach"),
    ("expected", "and because of what"),
    ("to decide", "replicates that would most likely decide"),
)  # fmt: skip


def expected_section(rows: Sequence[Line]) -> Html | None:
    """Write the section; none where there is nothing that was or could have been expected."""
    if not any(row["expected"] for row in rows):
        return None
    return h(
        "section", h("h2", heading(rows)), _listed(surprises(rows)), _counted(rows),
        h("details", h("summary", "What was expected of every method, and what was found"),
          _table(rows)),
        h("details", h("summary", "How expectations and verdicts come about"), _rule()),
        id="surprises",
    )  # fmt: skip


def _listed(found: Sequence[Surprise]) -> Html | None:
    lines = [
        h("li", h("span", f"{percent(s.worst['coverage'])} %", cls="badge"),
          h("span", h("b", s.method, cls="method"), f" {s.worst['verdict']} in ",
            h("b", str(s.worst["scenario"])), f" {s.said}", cls="said"),
          cls="broken" if s.worst["verdict"] == Verdict.FAILS_UNEXPECTEDLY else "wide")
        for s in found
    ]  # fmt: skip
    return h("ol", lines, cls="findings") if lines else None


def _counted(rows: Sequence[Line]) -> Html:
    """Say how many rows have each verdict, and what would decide the inconclusive ones."""
    counts = tally(rows)
    shown = [
        join(h("b", f"{n:,}"), " ", h("span", str(verdict), title=MEANING[verdict]))
        for verdict, n in counts.items() if verdict is not Verdict.INCONCLUSIVE
    ]  # fmt: skip
    silent = sum(row["verdict"] == Verdict.NONE for row in rows)
    if silent:
        shown.append(join(h("b", f"{silent:,}"), " without a verdict"))
    if later := undecided(rows):
        shown.append(join(later))
    return h("p", join(*shown, between="; "), ".", cls="tally")


def _table(rows: Sequence[Line]) -> Html:
    order = list(Verdict)
    ranked = sorted(rows, key=lambda row: _rank(row, order))
    return sortable(HEAD, [_row(row) for row in ranked])


def _rank(row: Line, order: Sequence[Verdict]) -> tuple[bool, int]:
    return row["verdict"] not in SURPRISES, order.index(Verdict(row["verdict"]))


def _row(row: Line) -> Html:
    judged = not blank(row["low"])
    needed = row["needed"]
    decide = BLANK if blank(needed) else about(needed) if needed < inf else "beyond reach"
    said = row["verdict"] or BLANK
    because = str(row["because"] if judged or not row["note"] else row["note"])
    reason = f"{because}; {row['note']}" if judged and row["note"] else because
    return h(
        "tr", h("th", breakable(str(row["method"])), scope="row"),
        h("td", h("b", said) if row["verdict"] in SURPRISES else said),
        place(row),
        h("td", str(row["at"]), cls="at"),
        h("td", coverage(row) if judged else BLANK, cls="num", data_v=raw(row["coverage"])),
        h("td", percent(row["floor"]), cls="num", data_v=raw(row["floor"])),
        h("td", str(row["expected"] or BLANK), h("span", reason, cls="mc because"), cls="words"),
        h("td", decide, cls="num", data_v=raw(needed)),
    )  # fmt: skip


def _rule() -> Html:
    meanings = [h("li", h("b", str(verdict)), f": {said}") for verdict, said in MEANING.items()]
    return join(
        h("p", "A method is expected to be valid where nothing that it assumes is broken, neither "
          "by the design nor by a dial, and to fail from the setting on that the suite states; in "
          "between no verdict is given. Coverage counts failures as misses. Its limits are exact "
          "(Clopper and Pearson) and so wide that in 95 of 100 runs all of them hold the true "
          "coverage at once: a run with any false verdict is one in twenty at most. Inconclusive "
          "is what these limits leave on both sides of the floor; the number of replicates that "
          "would decide assumes that coverage is as estimated, and does so nine times in ten.",
          cls="note"),
        h("ul", meanings, cls="marks"),
    )  # fmt: skip
