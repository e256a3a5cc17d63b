"""Diagnostics in the report: false alarms, detection, and what is left where they pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cibench.render.html import Html, breakable, folded, h, join, place, raw, sortable
from cibench.render.labels import DEFAULT, label, view_titles
from cibench.render.numbers import (
    BLANK,
    count,
    digits,
    error_of,
    limits,
    number,
    percent,
    plain,
    signed,
)
from cibench.report.sections.score_tables import HIDDEN
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd

Line = Mapping[str, Any]
"""One row of the diagnostics table, by column, with labels beside them."""

PLACE = ["scenario", "n", "parameters"]


@dataclass(frozen=True)
class Dose:
    """Hold one diagnostic along one dial of one scenario: rows without an estimator.

    The default cell, where it was run, comes first.
    """

    dial: str
    rows: Sequence[Line]

    @property
    def first(self) -> Line:
        """Return a row off the default."""
        return self.rows[-1]

    @property
    def right(self) -> bool:
        """Say whether the diagnostic tests what the dial breaks."""
        return bool(self.first["alarm"] == "right")


def lines(table: pd.DataFrame, catalogue: Mapping[str, Any]) -> list[Line]:
    """Return the rows as mappings with `at`, `test` (the diagnostic), `method` and `title`."""
    tests = table.assign(estimator=table["diagnostic"], options=table["diagnostic_options"])
    named = label(tests, catalogue).rename(columns={"method": "test"})
    both = table["estimator"].notna().to_numpy()
    method = label(table[both], catalogue)["method"] if both.any() else None
    named = named.assign(method=method)
    rows = [{str(k): v for k, v in row.items()} for row in named.to_dict("records")]
    keys = [{**row, "estimand": "", "horizon": float("-inf"), "level": 0} for row in rows]
    return [row | {"title": t} for row, t in zip(rows, view_titles(keys), strict=True)]


def doses(rows: Iterable[Line]) -> list[Dose]:
    """Return every diagnostic along every dial that was moved alone, in their order."""
    alarms = [row for row in rows if missing(row["method"])]
    groups: dict[tuple[Any, ...], list[Line]] = {}
    starts: dict[tuple[Any, ...], Line] = {}
    for row in alarms:
        place = (*(row[key] for key in PLACE), row["test"])
        if row["at"] == DEFAULT:
            starts[place] = row
        elif not missing(row["dial"]):
            groups.setdefault((*place, row["dial"]), []).append(row)
    curves = []
    for key, group in groups.items():
        start = [starts[key[:-1]]] if key[:-1] in starts else []
        group.sort(key=lambda row: float(row["setting"]))
        curves.append(Dose(str(key[-1]), [*start, *group]))
    return curves


def alarm_table(rows: Sequence[Line]) -> Html:
    """Write how often each diagnostic raised the alarm, one row for each dial."""
    curves = doses(rows)
    seen = {id(row) for dose in curves for row in dose.rows}
    alone = [Dose("", [r]) for r in rows if missing(r["method"]) and id(r) not in seen]
    body = [_alarm_row(dose) for dose in (*curves, *alone)]
    names = ("diagnostic", "scenario", "dial", "tests it", "at the default", "along the dial")
    return sortable([(name, "") for name in names], body)


def _alarm_row(dose: Dose) -> Html:
    start = dose.rows[0] if dose.rows[0]["at"] == DEFAULT else None
    moved = [row for row in dose.rows if row is not start]
    along = [
        join(h("span", f"{_at(row)}: ", cls="mc"), h("b", percent(row["alarms"])),
             h("span", f" ({limits(row['alarms_low'], row['alarms_high'])})", cls="mc"))
        for row in moved
    ]  # fmt: skip
    first = dose.first
    breaks = f"breaks “{first['breaks']}”" if dose.dial and first["breaks"] else ""
    return h(
        "tr", h("th", breakable(str(first["test"])), scope="row"),
        place(first),
        h("td", dose.dial or BLANK, h("span", breaks, cls="mc below")),
        h("td", "yes" if dose.right else "no"),
        _alarms(start), h("td", join(*along, between=" · "), cls="along"),
    )  # fmt: skip


def _at(row: Line) -> str:
    return plain(float(row["setting"])) if not missing(row["dial"]) else str(row["at"])


def _alarms(row: Line | None) -> Html:
    if row is None or missing(row["alarms"]):
        return h("td", BLANK, cls="num", data_v="")
    low, high = row["alarms_low"], row["alarms_high"]
    share = percent(row["alarms"], max(1, digits(low, high)))
    right = h("span", "the design breaks it", cls="mc below") if row["alarm"] == "right" else None
    return h("td", share, " ", h("span", limits(low, high), cls="mc"), right, cls="num",
             data_v=repr(float(row["alarms"])))  # fmt: skip


MOST_ROWS = 300
"""Rows of the second table; a page that holds thousands is read by nobody."""

HEAD = (
    ("diagnostic", ""), ("method", ""), ("scenario", ""), ("setting", ""),
    ("pass %", "share of the data sets on which the diagnostic passes"),
    ("bias", "on all data sets, then on those that pass; below, Monte Carlo standard errors"),
    ("change", "with its paired error"),
    ("coverage %", "on all data sets, then on those that pass; below, 95 % limits"),
    ("change, points", "with its paired error"),
)  # fmt: skip


def diagnostic_section(rows: Sequence[Line], plots: Sequence[Html]) -> Html | None:
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
        folded("Along each dial, and the methods beside", h("div", plots, cls="plots"), whole=True)
        if plots else None,
        _conditional(rows), id="diagnostics",
    )  # fmt: skip


def _conditional(rows: Sequence[Line]) -> Html | None:
    """List methods with and without the diagnostic before them, what changes most first."""
    reported = [
        row for row in rows
        if not missing(row["method"]) and (row["alarm"] == "right" or row["at"] == DEFAULT)
        and not missing(row["coverage_change"])
    ]  # fmt: skip
    if not reported:
        return None
    reported.sort(key=lambda row: -abs(_doubtless(row)))
    more = (
        f" The {MOST_ROWS} that change most are shown of {len(reported):,}."
        if len(reported) > MOST_ROWS
        else ""
    )
    return h(
        "details", h("summary", h("h3", "What is left of the methods where a diagnostic passes")),
        h("p", "An analyst who stops at an alarm reports only the data sets that pass. Their bias "
          "and coverage are not those of all data sets: a test that sees part of the violation "
          "lets those pass in which chance hides it (Roth 2022). Changes are those that pass less "
          "all, with paired Monte Carlo standard errors. Shown are the default and the settings "
          f"that break what the diagnostic tests; diagnostics.csv holds the others.{more}",
          cls="note"),
        sortable(HEAD, [_row(row) for row in reported[:MOST_ROWS]])
    )  # fmt: skip


def _doubtless(row: Line) -> float:
    """Return how far a change of coverage is from nothing, in its errors."""
    error = row["coverage_change_mcse"]
    return 0.0 if missing(error) or not error else float(row["coverage_change"] / error)


def _row(row: Line) -> Html:
    judged, alarms = row["judged"], row["alarms"]
    passing = BLANK if missing(alarms) else percent(1 - alarms)
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
    biases = [(row[f"bias{end}"], row[f"bias{end}_mcse"]) for end in ("", "_passed")]
    pair = " → ".join(signed(value, error) for value, error in biases)
    errors = h("span", " → ".join(error_of(*one) or BLANK for one in biases), cls="mc below")
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
    if missing(value):
        return h("td", BLANK, cls="num")
    beside = h("span", error_of(value, error), cls="mc")
    return h("td", signed(value, error) if error else number(value), " ", beside, cls="num",
             data_v=raw(value))  # fmt: skip
