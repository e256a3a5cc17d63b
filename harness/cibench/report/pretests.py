"""Diagnostics in the report: false alarms, detection, and what is left where they pass."""

from __future__ import annotations

from collections.abc import Sequence

from cibench.report.alarms import Line, alarm_table
from cibench.report.cells import place, raw, sortable
from cibench.report.labels import DEFAULT
from cibench.report.markup import Html, breakable, h
from cibench.report.numbers import (
    BLANK,
    blank,
    count,
    error_of,
    limits,
    number,
    percent,
    signed,
)
from cibench.report.tables import HIDDEN

SHOWN = 300
"""Rows of the second table; a page that holds thousands is read by nobody."""

HEAD = (
    ("diagnostic", ""), ("method", ""), ("scenario", ""), ("setting", ""),
    ("pass %", "share of the data sets on which the diagnostic passes"),
    ("bias", "on all data sets, then on those that pass; below, Monte Carlo standard errors"),
    ("change", "with its paired error"),
    ("coverage %", "on all data sets, then on those that pass; below, 95 % limits"),
    ("change, points", "with its paired error"),
)  # fmt: skip


def pretest_section(rows: Sequence[Line], plots: Sequence[Html]) -> Html | None:
    """Write the section; none where no diagnostic was run."""
    if not rows:
        return None
    return h(
        "section", h("h2", "Diagnostics"),
        h("p", "How often each diagnostic raises the alarm, in % of the data sets, with 95 % "
          "Wilson limits. At the default an alarm is false, unless the design itself breaks what "
          "is tested; along a dial that breaks what is tested an alarm is right, along any other "
          "one it is false.", cls="note"),
        alarm_table(rows),
        h("div", plots, cls="plots") if plots else None,
        _conditional(rows), id="diagnostics",
    )  # fmt: skip


def _conditional(rows: Sequence[Line]) -> Html | None:
    """List methods with and without the diagnostic before them, what changes most first."""
    told = [
        row for row in rows
        if not blank(row["method"]) and (row["alarm"] == "right" or row["at"] == DEFAULT)
        and not blank(row["coverage_change"])
    ]  # fmt: skip
    if not told:
        return None
    told.sort(key=lambda row: -abs(_doubtless(row)))
    more = f" The {SHOWN} that change most are shown of {len(told):,}." if len(told) > SHOWN else ""
    return h(
        "details", h("summary", h("h3", "What is left of the methods where a diagnostic passes")),
        h("p", "An analyst who stops at an alarm reports only the data sets that pass. Their bias "
          "and coverage are not those of all data sets: a test that sees part of the violation "
          "lets those pass in which chance hides it (Roth 2022). Changes are those that pass less "
          "all, with paired Monte Carlo standard errors. Shown are the default and the settings "
          f"that break what the diagnostic tests; diagnostics.csv holds the others.{more}",
          cls="note"),
        sortable(HEAD, [_row(row) for row in told[:SHOWN]]), open=len(told) <= 40,
    )  # fmt: skip


def _doubtless(row: Line) -> float:
    """Return how far a change of coverage is from nothing, in its errors."""
    error = row["coverage_change_mcse"]
    return 0.0 if blank(error) or not error else float(row["coverage_change"] / error)


def _row(row: Line) -> Html:
    judged, alarms = row["judged"], row["alarms"]
    passing = BLANK if blank(alarms) else percent(1 - alarms)
    within = limits(1 - row["alarms_high"], 1 - row["alarms_low"])
    horizon = row["horizon"]
    later = f", horizon {int(horizon)}" if horizon > float("-inf") else ""
    return h(
        "tr", h("th", breakable(str(row["test"])), scope="row"),
        h("td", breakable(str(row["method"])), later),
        place(row),
        h("td", str(row["at"]), cls="at"),
        h("td", passing, h("span", within, cls="mc below"), cls="num", data_v=raw(1 - alarms),
          title=count(int(judged), "data set")),
        *_bias(row), _coverages(row),
        _change(100 * row["coverage_change"], 100 * row["coverage_change_mcse"]),
    )  # fmt: skip


def _bias(row: Line) -> tuple[Html, Html]:
    if not row["moments"]:
        return (h("td", BLANK, title=HIDDEN), h("td", BLANK, cls="num", title=HIDDEN))
    found = [(row[f"bias{end}"], row[f"bias{end}_mcse"]) for end in ("", "_passed")]
    pair = " → ".join(signed(value, error) for value, error in found)
    errors = h("span", " → ".join(error_of(*one) or BLANK for one in found), cls="mc below")
    return (
        h("td", pair, errors, cls="at", data_v=raw(row["bias_passed"])),
        _change(row["bias_change"], row["bias_change_mcse"]),
    )


def _coverages(row: Line) -> Html:
    shares = [row["coverage"], row["coverage_passed"]]
    ends = ([row[f"{name}_{end}"] for end in ("low", "high")] for name in _COVERAGES)
    below = h("span", " → ".join(limits(*end) or BLANK for end in ends), cls="mc below")
    return h("td", " → ".join(map(percent, shares)), below, cls="at", data_v=raw(shares[1]))


_COVERAGES = ("coverage", "coverage_passed")


def _change(value: float, error: float) -> Html:
    if blank(value):
        return h("td", BLANK, cls="num")
    beside = h("span", error_of(value, error), cls="mc")
    return h("td", signed(value, error) if error else number(value), " ", beside, cls="num",
             data_v=raw(value))  # fmt: skip
