"""Where each method breaks: one table in words, with the length of the intervals beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf, isinf
from typing import Any

from cibench.analysis.coverage_verdicts import MOST_LEFT_OUT
from cibench.analysis.sensitivity.breakdown import surely_breaks
from cibench.render.html import Html, breakable, folded, h, join, raw, sortable
from cibench.render.numbers import BLANK, count, error_of, number, percent, plain, signed
from cibench.report.score_readings import gave_no_answer
from cibench.report.sections.score_tables import HIDDEN
from cibench.report.views import Line, Score, View
from cibench.utils.missing import missing

HEAD = (
    ("method", ""), ("dial", "and the assumption that it breaks"),
    ("coverage, failures as misses", "interpolated, with 95 % limits from resampling replicates"),
    ("still above at", "the harshest setting whose coverage is confidently above the bound"),
    ("below from", "the mildest setting whose coverage is confidently below the bound"),
    ("length", "mean length of the intervals at the default, then where coverage breaks"),
    ("bias > ½ SE from", "where the absolute bias passes half an empirical standard error"),
    ("bias per unit", "slope of bias per unit of violation"),
)  # fmt: skip


def breakdown_section(views: Sequence[View]) -> Html | None:
    """Write the section with one line for each method and dial; none where no dial was moved."""
    by_scenario: dict[str, list[View]] = {}
    for view in views:
        if view.doses.broken:
            by_scenario.setdefault(view.name, []).append(view)
    if not by_scenario:
        return None
    return h(
        "section", h("h2", "Breakdown points"),
        [_table(name, part) for name, part in by_scenario.items()],
        folded("How to read this", h(
          "p", "The smallest violation at which coverage falls below the bound. The value is "
          "interpolated between the settings that were run: where settings share their noise, in "
          "each replicate’s interval; else in coverage. Its 95 % limits come from resampling "
          "replicates jointly over the settings, and say nothing of how coverage runs between two "
          "of them: that it passes the bound between the two columns after it is what is known. "
          "Where neither they nor any setting show that it breaks, no point is given. The two "
          "columns hold beyond doubt, "
          "corrected for looking at every setting of the curve. Wide intervals always look "
          "robust, so their length stands beside. sensitivity.csv and curves.csv hold all of it.",
          cls="note")), id="breakdown",
    )  # fmt: skip


def _table(scenario: str, views: Sequence[View]) -> Html:
    lines = [(view, line) for view in views for line in view.doses.broken]
    broken = sum(surely_breaks(line) for _, line in lines)
    summary = (
        f"{scenario}: coverage falls below its bound, beyond doubt, on {broken:,} of "
        f"{count(len(lines), 'curve')}"
    )
    return folded(
        summary, sortable(HEAD, [_row(view, line) for view, line in lines], "breaks-at"), whole=True
    )


def in_words(line: Line) -> Html:
    """Say of one curve where its coverage falls below the bound."""
    note, bound, dial = str(line["note"]), f"{percent(line['bound'])} %", str(line["dial"])
    rises = "; coverage is higher at some harsher setting" if "non-monotone" in note else ""
    if "no limits" in note:
        return join("gives no limits, so coverage is undefined")
    if "below at default" in note:
        sure = "perhaps " if "perhaps" in note else ""
        return join(f"is {sure}below {bound} ", h("b", "at the default"), rises)
    if "below at mildest" in note:
        start = "the default was not run"
        return join(f"is below {bound} at the mildest setting; {start}", rises)
    if missing(line["breakdown"]):
        reach = f"{dial} = {plain(line['harshest'])}"
        return join(f"stays above {bound} up to {reach}", _least(line), rises)
    if not surely_breaks(line):
        reach = f"{dial} = {plain(line['harshest'])}"
        return join(f"may fall below {bound} before {reach}, not beyond doubt ", _span(line), rises)
    where = number(line["breakdown"], _error(line))
    return join(f"falls below {bound} at ", h("b", f"{dial} = {where}"), " ", _span(line), rises)


def _least(line: Line) -> Html | None:
    """Give the lower limit where chance may hide a breakdown within the settings that were run."""
    low = line["breakdown_low"]
    if missing(low) or low == line["harshest"]:
        return None
    return join(" ", h("span", f"(limits {_between(_end(low, line), 'beyond')})", cls="mc"))


def _span(line: Line, cls: str = "mc") -> Html | None:
    low, high = line["breakdown_low"], line["breakdown_high"]
    if missing(low):
        return None
    last = "beyond" if isinf(high) else _end(high, line)
    return h("span", f"({_between(_end(low, line), last)})", cls=cls)


def _between(low: str, high: str) -> str:
    """Write limits with a dash, but not where a minus would follow it."""
    return f"{low}{' to ' if '−' in low + high else '–'}{high}"


def _end(value: Any, line: Line) -> str:
    return plain(value) if value == line["default"] else number(value, _error(line))


def _error(line: Line) -> float | None:
    """Return about a standard error of the breakdown point, as its digits go by it."""
    width = abs(line["breakdown_high"] - line["breakdown_low"])
    return width / 4 if 0 < width < inf else None


def _row(view: View, line: Line) -> Html:
    breaks = f"breaks “{line['assumption']}”" if line["assumption"] else ""
    small = ", ".join(part for part in (breaks, view.apart) if part)
    way = f" {line['direction']}wards" if _both_ways(view, line) else ""
    where = join(h("b", str(line["dial"])), way, h("span", small, cls="mc below"))
    place = line["breakdown"] if surely_breaks(line) else inf
    return h(
        "tr", h("th", breakable(str(line["method"])), scope="row"), h("td", where),
        h("td", _words(view, line), data_v=raw(abs(place - line["default"]))),
        *(_setting(line[f"bracket_{end}"]) for end in ("low", "high")),
        _lengths(line), *_bias(line),
    )  # fmt: skip


def _words(view: View, line: Line) -> Html:
    """Say where a method breaks; of one that failed in most fits that there is nothing to say."""
    own = [score for (method, _), score in view.scores.items() if method == line["method"]]
    if all(map(gave_no_answer, own)):
        return join("failed in most fits")
    along = [score for score in own if _is_along(score, line)]
    most = max(float(score["decline_rate"]) for score in along)
    few = f"; it declined up to {percent(most)} % of the data sets" if most > MOST_LEFT_OUT else ""
    return join(in_words(line), few)


def _is_along(score: Score, line: Line) -> bool:
    """Say whether a score is one of a line's curve: at the default, or on its side of the dial."""
    if missing(score["dial"]):
        return True
    up = score["setting"] > line["default"]
    return bool(score["dial"] == line["dial"] and up == (line["direction"] == "up"))


def _both_ways(view: View, line: Line) -> bool:
    curve = line["method"], line["dial"]
    same = [x for x in view.doses.broken if (x["method"], x["dial"]) == curve]
    return len(same) > 1


def _setting(value: Any) -> Html:
    text = BLANK if missing(value) else plain(value)
    return h("td", text, cls="num", data_v=raw(value))


def _lengths(line: Line) -> Html:
    start, error = line["ci_length_default"], line["ci_length_default_mcse"]
    lengths = [join(number(start, error), " ", _mc(error_of(start, error)))]
    there, of_there = line["ci_length_breakdown"], line["ci_length_breakdown_mcse"]
    if not missing(there) and surely_breaks(line) and line["breakdown"] != line["default"]:
        lengths += [join(" → ", number(there, of_there), " ", _mc(error_of(there, of_there)))]
    return h("td", join(*lengths, between="<br>"), cls="at", data_v=raw(start))


def _bias(line: Line) -> Iterator[Html]:
    if not line["moments"]:
        yield from (h("td", BLANK, cls="num", title=HIDDEN) for _ in range(2))
        return
    half, low, high = (line[f"bias_half_se{end}"] for end in ("", "_low", "_high"))
    around = {**line, "breakdown": half, "breakdown_low": low, "breakdown_high": high}
    text = BLANK if missing(half) else _end(half, around)
    span = None if missing(half) or low == high else _span(around, "mc below")
    yield h("td", text, " ", span, cls="num", data_v=raw(half))
    slope, error = line["slope"], line["slope_mcse"]
    of_slope = h("span", error_of(slope, error), cls="mc below")
    yield h("td", signed(slope, error), " ", of_slope, cls="num", data_v=raw(slope))


def _mc(text: str) -> Html:
    return h("span", text, cls="mc")
