"""What a page says in words and tables: the verdict, what the run bears out, the numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cibench.lessons.lesson import Claim, Lesson
from cibench.lessons.translations import Interface
from cibench.metrics import METRICS
from cibench.metrics.registry import Loss
from cibench.render.html import Html, h, join
from cibench.render.numbers import number, plain

ERRORS = 5
"""How many Monte Carlo errors a stated failure is away from none."""


def series_of(frames: Mapping[str, Any], lesson: Lesson, claim: Claim) -> Mapping[str, Any]:
    """Return what the frames hold of a claim's series at its setting."""
    frame = frames["frames"][lesson.slider.settings.index(claim.at)]
    series: Mapping[str, Any] = frame["series"][lesson.series.index(claim.series)]
    return series


def errors_from_none(frames: Mapping[str, Any], lesson: Lesson, claim: Claim) -> float:
    """Return how many Monte Carlo errors the claimed failure is away from none.

    None is a bias of zero, or nominal coverage. A coverage near 0 or 1 has hardly an error of its
    own, so the larger counts of that and the error that nominal coverage has.
    """
    series = series_of(frames, lesson, claim)
    value, error = (
        float(x if x is not None else math.nan) for x in series["scores"][claim.measure][:2]
    )
    if METRICS[claim.measure].loss is not Loss.SHORTFALL:
        return abs(value) / error if error > 0 else math.nan
    level = float(frames["level"])
    nominal = math.sqrt(level * (1 - level) / max(series["answered"], 1))
    return (level - value) / max(error, nominal)


def holds(frames: Mapping[str, Any], lesson: Lesson) -> tuple[bool, bool]:
    """Say whether the failure is far enough from none, and the remedy's coverage above its floor.

    The lower Wilson limit of the remedy's coverage, failures counted as misses, is above the floor.
    """
    low = series_of(frames, lesson, lesson.remedy)["scores"]["coverage_with_failures"][2]
    cured = low is not None and float(low) > lesson.remedy.floor
    return errors_from_none(frames, lesson, lesson.failure) >= ERRORS, cured


def doubts(frames: Mapping[str, Any], lesson: Lesson) -> list[str]:
    """Return what the run does not bear out of what the lesson states, in words."""
    fails, cures = holds(frames, lesson)
    sentences, more = [], "more replicates may settle it, or the lesson is not true of this design"
    if not fails:
        far = errors_from_none(frames, lesson, lesson.failure)
        sentences.append(f"the stated failure is {far:.1f} errors from none, not {ERRORS}; {more}")
    if not cures:
        low = series_of(frames, lesson, lesson.remedy)["scores"]["coverage_with_failures"][2]
        sentences.append(f"the remedy's coverage may be as low as {low}, below its floor; {more}")
    return sentences


Frames = Mapping[str, Any]


def verdict(lesson: Lesson, frames: Frames, ui: Interface, at: int) -> str:
    """Say of one setting what the failing method's answers are worth, and what the test says."""
    frame = frames["frames"][at]
    place = lesson.series.index(lesson.failure.series)
    series = frame["series"][place]
    label, level = ui.label(lesson, lesson.series[place]), f"{100 * frames['level']:g}"
    coverage = ui.share(series["scores"]["coverage"])
    measure = "bias" if series["moments"] else "median_bias"
    key = {"bias": "verdict", "median_bias": "verdict_median"}[measure]
    if series["scores"][measure][0] is None:
        key = "verdict_limits"
    bias = ui.measured(series["scores"][measure])
    sentence = ui.say(key, method=label, bias=bias, coverage=coverage, level=level)
    alarms = frame["diagnostic"]
    if not alarms:
        return sentence
    test = lesson.words_in(ui.language).test
    return f"{sentence} {ui.say('verdict_alarm', diagnostic=test, alarms=ui.share(alarms))}"


def claim_lines(lesson: Lesson, frames: Frames, ui: Interface) -> Html:
    """Write the stated failure and the stated remedy with what this run says of them."""
    failure, remedy = lesson.failure, lesson.remedy
    distance = number(errors_from_none(frames, lesson, failure), 10)
    scores = series_of(frames, lesson, failure)["scores"]
    value = (
        ui.share(scores[failure.measure]) if METRICS[failure.measure].share
        else ui.measured(scores[failure.measure])
    )  # fmt: skip
    failed = ui.say(
        "failure", method=ui.label(lesson, failure.series), at=ui.local(plain(failure.at)),
        figure=ui.say(f"figure_{failure.measure}", value=value), errors=ui.local(distance),
    )  # fmt: skip
    cured = ui.say(
        "remedy", method=ui.label(lesson, remedy.series), at=ui.local(plain(remedy.at)),
        coverage=ui.share(series_of(frames, lesson, remedy)["scores"]["coverage"]),
        floor=ui.local(f"{100 * remedy.floor:g}"),
    )  # fmt: skip
    mark = ["✓" if held else "?" for held in holds(frames, lesson)]
    return h("ul", h("li", f"{mark[0]} {failed}"), h("li", f"{mark[1]} {cured}"), cls="claims")


def numbers_table(lesson: Lesson, frames: Frames, ui: Interface) -> Html:
    """Write the scores of every setting and series, each beside its error."""
    moments = all(s["moments"] for f in frames["frames"] for s in f["series"])
    columns = _columns(moments)
    names = (*columns.values(), "coverage_column", "unanswered")
    head = [ui.say("setting"), ui.say("method"), *map(ui.say, names)]
    tested = frames["frames"][0]["diagnostic"] is not None
    if tested:
        head.append(ui.say("alarms_column"))
    rows = [
        _row(lesson, frame, i, ui, list(columns), tested)
        for frame in frames["frames"] for i in range(len(lesson.series))
    ]  # fmt: skip
    count = ui.local(f"{frames['replicates']:,}")
    table = h("table", h("thead", h("tr", [h("th", x, scope="col") for x in head])),
              h("tbody", rows), id="numbers")  # fmt: skip
    return join(h("p", ui.say("numbers_note", count=count), cls="note"),
                h("div", table, cls="scroll", tabindex=0, role="group",
                  aria_label=ui.say("numbers")))  # fmt: skip


def _columns(moments: bool) -> dict[str, str]:
    """Return the metrics of the table with the keys of their headings."""
    bias = "bias" if moments else "median_bias"
    columns = {bias: bias, "empirical_se": "spread", "se_ratio": "se_ratio", "ci_length": "length"}
    return {m: key for m, key in columns.items() if moments or METRICS[m].moments == "any"}


def _row(
    lesson: Lesson, frame: Mapping[str, Any], i: int, ui: Interface, measures: Sequence[str],
    tested: bool,
) -> Html:  # fmt: skip
    series, scores = frame["series"][i], frame["series"][i]["scores"]
    cells = [ui.measured(scores[name]) for name in measures]
    cells += [
        ui.share(scores["coverage"], sign=False),
        str(series["replicates"] - series["answered"]),
    ]
    cells += [ui.share(frame["diagnostic"], sign=False) if i == 0 else ""] if tested else []
    at = ui.local(plain(frame["setting"]))
    return h(
        "tr", h("td", at, cls="num"), h("th", ui.label(lesson, lesson.series[i]), scope="row"),
        [h("td", cell, cls="num") for cell in cells], data_setting=plain(frame["setting"]),
    )  # fmt: skip
