"""How often each diagnostic raises the alarm: at the default, and along each dial."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cibench.report.cells import place, sortable
from cibench.report.labels import DEFAULT, label, view_titles
from cibench.report.markup import Html, breakable, h, join
from cibench.report.numbers import BLANK, blank, digits, limits, percent, plain

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
    named = named.assign(method=method, horizon=label(table, catalogue)["horizon"])
    rows = [{str(k): v for k, v in row.items()} for row in named.to_dict("records")]
    keys = [{**row, "estimand": "", "horizon": float("-inf"), "level": 0} for row in rows]
    return [row | {"title": t} for row, t in zip(rows, view_titles(keys), strict=True)]


def doses(rows: Iterable[Line]) -> list[Dose]:
    """Return every diagnostic along every dial that was moved alone, in their order."""
    alarms = [row for row in rows if blank(row["method"])]
    found: dict[tuple[Any, ...], list[Line]] = {}
    starts: dict[tuple[Any, ...], Line] = {}
    for row in alarms:
        place = (*(row[key] for key in PLACE), row["test"])
        if row["at"] == DEFAULT:
            starts[place] = row
        elif not blank(row["dial"]):
            found.setdefault((*place, row["dial"]), []).append(row)
    made = []
    for key, group in found.items():
        start = [starts[key[:-1]]] if key[:-1] in starts else []
        group.sort(key=lambda row: float(row["setting"]))
        made.append(Dose(str(key[-1]), [*start, *group]))
    return made


def alarm_table(rows: Sequence[Line]) -> Html:
    """Write how often each diagnostic raised the alarm, one row for each dial."""
    found = doses(rows)
    seen = {id(row) for dose in found for row in dose.rows}
    alone = [Dose("", [r]) for r in rows if blank(r["method"]) and id(r) not in seen]
    body = [_alarm_row(dose) for dose in (*found, *alone)]
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
    return plain(float(row["setting"])) if not blank(row["dial"]) else str(row["at"])


def _alarms(row: Line | None) -> Html:
    if row is None or blank(row["alarms"]):
        return h("td", BLANK, cls="num", data_v="")
    low, high = row["alarms_low"], row["alarms_high"]
    share = percent(row["alarms"], max(1, digits(low, high)))
    right = h("span", "the design breaks it", cls="mc below") if row["alarm"] == "right" else None
    return h("td", share, " ", h("span", limits(low, high), cls="mc"), right, cls="num",
             data_v=repr(float(row["alarms"])))  # fmt: skip
