"""What a page says in words and tables: the verdict, the claims, the numbers of all settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cibench.lessons.claims import errors_from_none, holds, told
from cibench.lessons.interface import Interface
from cibench.lessons.lesson import Lesson
from cibench.report.markup import Html, h, join
from cibench.report.numbers import number, plain

Frames = Mapping[str, Any]


def verdict(lesson: Lesson, frames: Frames, ui: Interface, at: int) -> str:
    """Say of one setting what the failing method's answers are worth, and what the test says."""
    frame = frames["frames"][at]
    place = lesson.series.index(lesson.failure.series)
    told = frame["series"][place]
    label, level = ui.label(lesson, lesson.series[place]), f"{100 * frames['level']:g}"
    coverage = ui.share(told["scores"]["coverage"])
    measure = "bias" if told["moments"] else "median_bias"
    key = {"bias": "verdict", "median_bias": "verdict_median"}[measure]
    if told["scores"][measure][0] is None:
        key = "verdict_limits"
    bias = ui.measured(told["scores"][measure])
    said = ui.say(key, method=label, bias=bias, coverage=coverage, level=level)
    alarms = frame["diagnostic"]
    if not alarms:
        return said
    test = lesson.said(ui.language).test
    return f"{said} {ui.say('verdict_alarm', diagnostic=test, alarms=ui.share(alarms))}"


def claim_lines(lesson: Lesson, frames: Frames, ui: Interface) -> Html:
    """Write the stated failure and the stated remedy with what this run says of them."""
    failure, remedy = lesson.failure, lesson.remedy
    distance = number(errors_from_none(frames, lesson, failure), 10)
    scores = told(frames, lesson, failure)["scores"]
    value = (
        ui.share(scores["coverage"]) if failure.measure == "coverage"
        else ui.measured(scores[failure.measure])
    )  # fmt: skip
    failed = ui.say(
        "failure", method=ui.label(lesson, failure.series), at=ui.local(plain(failure.at)),
        figure=ui.say(f"figure_{failure.measure}", value=value), errors=ui.local(distance),
    )  # fmt: skip
    cured = ui.say(
        "remedy", method=ui.label(lesson, remedy.series), at=ui.local(plain(remedy.at)),
        coverage=ui.share(told(frames, lesson, remedy)["scores"]["coverage"]),
        floor=ui.local(f"{100 * remedy.floor:g}"),
    )  # fmt: skip
    mark = ["✓" if held else "?" for held in holds(frames, lesson)]
    return h("ul", h("li", f"{mark[0]} {failed}"), h("li", f"{mark[1]} {cured}"), cls="claims")


def numbers_table(lesson: Lesson, frames: Frames, ui: Interface) -> Html:
    """Write the scores of every setting and series, each beside its error."""
    moments = all(s["moments"] for f in frames["frames"] for s in f["series"])
    bias = "bias" if moments else "median_bias"
    names = (bias, "spread", "se_ratio", "length", "coverage_column", "unanswered")
    head = [ui.say("setting"), ui.say("method"), *map(ui.say, names)]
    if not moments:
        del head[3:5]
    tested = frames["frames"][0]["diagnostic"] is not None
    if tested:
        head.append(ui.say("alarms_column"))
    rows = [
        _row(lesson, frame, i, ui, bias, tested)
        for frame in frames["frames"] for i in range(len(lesson.series))
    ]  # fmt: skip
    count = ui.local(f"{frames['replicates']:,}")
    table = h("table", h("thead", h("tr", [h("th", x, scope="col") for x in head])),
              h("tbody", rows), id="numbers")  # fmt: skip
    return join(h("p", ui.say("numbers_note", count=count), cls="note"),
                h("div", table, cls="scroll", tabindex=0, role="group",
                  aria_label=ui.say("numbers")))  # fmt: skip


def _row(
    lesson: Lesson, frame: Mapping[str, Any], i: int, ui: Interface, bias: str, tested: bool
) -> Html:
    one, scores = frame["series"][i], frame["series"][i]["scores"]
    measures: Sequence[str] = (bias, "empirical_se", "se_ratio", "ci_length")
    if bias == "median_bias":
        measures = (bias, "ci_length")
    cells = [ui.measured(scores[name]) for name in measures]
    cells += [ui.share(scores["coverage"], sign=False), str(one["replicates"] - one["answered"])]
    cells += [ui.share(frame["diagnostic"], sign=False) if i == 0 else ""] if tested else []
    at = ui.local(plain(frame["setting"]))
    return h(
        "tr", h("td", at, cls="num"), h("th", ui.label(lesson, lesson.series[i]), scope="row"),
        [h("td", cell, cls="num") for cell in cells], data_setting=plain(frame["setting"]),
    )  # fmt: skip
