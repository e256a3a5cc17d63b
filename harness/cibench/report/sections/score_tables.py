"""The score tables: every measure beside its error, and why a method under-covers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from cibench.analysis.coverage_verdicts import CoverageVerdict
from cibench.metrics import Metric
from cibench.metrics.registry import listed
from cibench.render.html import Html, breakable, h, header, join, raw
from cibench.render.labels import DEFAULT, setting_label
from cibench.render.numbers import BLANK, digits, error_of, limits, number, percent
from cibench.report.score_readings import verdict_of
from cibench.report.views import Score, View
from cibench.utils.missing import missing

FINEST = 0.1
"""The smallest error, in points, that decides how many digits are written."""


def sentence(score: Score) -> str:
    """Attribute a row's shortfall of coverage in words and points, "" where nothing is short.

    Like "coverage 71 %: bias explains 20.1 points (0.9), the standard error is 0.90 of the truth
    and explains 3.1 (0.4), the shape 0.8 (0.3)"; in brackets Monte Carlo standard errors.
    """
    if missing(score["shortfall"]) or not score["shortfall"] > 0:
        return ""
    parts = [] if missing(score["shortfall_bias"]) else [_explained(score)]
    lost = score["shortfall_failures"]
    if not missing(lost) and lost > 0:
        parts.append(f"failures cost another {_points(score, 'failures')}")
    return f"coverage {percent(score['coverage'])} %: {'; '.join(parts)}" if parts else ""


def shortfalls(view: View) -> Html | None:
    """List for each broken cell of a view what its shortfall comes from, where that is known."""
    lines = [
        h("li", h("b", method), f", {at}: {text}.")
        for (method, at), score in view.scores.items()
        if verdict_of(score) is CoverageVerdict.BROKEN and (text := sentence(score))
    ]
    if not lines:
        return None
    return h(
        "details", h("summary", "What the missing coverage comes from"), h("ul", lines),
        h("p", "Points of coverage that come back when estimates are re-centred, standard errors "
          "are set right on average, and errors follow the normal law that intervals assume, "
          "averaged over the six orders of these repairs (Shapley values); together they are all "
          "that lacks. A negative share makes up for another. In brackets, Monte Carlo standard "
          "errors.", cls="note"), cls="shortfalls",
    )  # fmt: skip


def _explained(score: Score) -> str:
    ratio = number(score["se_ratio"], score["se_ratio_mcse"])
    return (
        f"bias explains {_points(score, 'bias', unit=' points')}, the standard error is {ratio} of "
        f"the truth and explains {_points(score, 'se')}, the shape {_points(score, 'shape')}"
    )


def _points(score: Score, part: str, unit: str = "") -> str:
    value, error = 100 * score[f"shortfall_{part}"], 100 * score[f"shortfall_{part}_mcse"]
    digits = max(error, FINEST)
    return f"{number(value, digits)}{unit} ({number(error, digits)})"


ORDER = (
    "coverage", "coverage_with_failures", "bias", "relative_bias", "rmse", "empirical_se",
    "median_bias", "mad", "model_se", "se_ratio", "bias_eliminated_coverage", "ci_length",
    "interval_score", "rejection", "failure_rate",
)  # fmt: skip
"""The columns that the table begins with."""

FIRST = (
    "coverage", "coverage_with_failures", "bias", "relative_bias", "rmse", "empirical_se",
    "median_bias", "mad", "mdape", "mae",
)  # fmt: skip
TITLES = ("Coverage and errors", "Standard errors, intervals, tests, failures", "Single units")
"""How the tables are called, each as wide as a page, the third where there is anything in it."""

HIDDEN = "hidden: averages over replicates cannot be relied on"


def measures_of(scores: Iterable[Score]) -> list[Metric]:
    """Return what the tables have columns for: optional measures where any score has them."""
    scores = list(scores)
    return [
        m for m in listed("report", ORDER)
        if not m.optional or any(not missing(score[m.name]) for score in scores)
    ]  # fmt: skip


def score_table(view: View) -> Html:
    """Write every score of a view, one row per setting and method."""
    scores = [
        (s.label, m, view.scores[m, s.label])
        for s in view.settings for m in view.methods if (m, s.label) in view.scores
    ]  # fmt: skip
    failing = any(score["failures"] for _, _, score in scores)
    columns = [
        m for m in measures_of(score for *_, score in scores)
        if failing or m.name != "coverage_with_failures"
    ]  # fmt: skip
    moving = len({score["truth"] for _, _, score in scores if not missing(score["truth"])}) > 1
    rejection = _rejection_name([score["truth"] for _, _, score in scores])
    named = {"rejection": rejection}
    parts = (
        [m for m in columns if m.name in FIRST],
        [m for m in columns if m.name not in FIRST and not m.optional],
        [m for m in columns if m.optional],
    )
    tables = []
    for place, (title, part) in enumerate(zip(TITLES, parts, strict=True)):
        if not part:
            continue
        head = [header("method"), header("setting")]
        head += [header("answered", "answered of all fits")] if place == 0 else []
        if place == 0 and moving:
            head.append(header("truth", "the true value, mean over replicates"))
        head += [header(named.get(m.name) or view.heading(m), m.meaning) for m in part]
        head += [header("seconds", "mean time of a fit")] if place == 1 else []
        body = [_row(view, i, s, part, place, moving) for i, (_, _, s) in enumerate(scores)]
        table = h("table", h("thead", h("tr", head)), h("tbody", body), cls="sortable scores")
        tables.append(join(h("h4", title), h("div", table, cls="scroll tall")))
    return join(
        h("p", "Below numbers Monte Carlo standard errors, below proportions 95 % Wilson limits. "
          "A click on a heading sorts.", cls="note"),
        *tables, hidden_note(view),
    )  # fmt: skip


def hidden_note(view: View) -> Html | None:
    """Say for which methods moment measures are hidden, and why."""
    without: dict[str, str] = {}
    for (method, at), score in view.scores.items():
        if not score["moments"]:
            why = str(score["moments_note"])
            seen = "declared" if why == "declared" else f"{at}: {why}"
            without.setdefault(method, f"{method} ({seen})")
    if not without:
        return None
    *hidden, last = (m.label for m in measures_of(view.scores.values()) if m.moments != "any")
    return h(
        "p", h("b", "Moment measures are hidden"), f" for {', '.join(without.values())}: "
        f"{', '.join(hidden)} and {last} rest on averages, and these estimates have no finite "
        "moments, so that an average over replicates settles on nothing. Medians, coverage, "
        "lengths and interval scores speak instead; scores.csv keeps the hidden numbers, "
        "flagged.", cls="note",
    )  # fmt: skip


def _row(
    view: View, order: int, score: Score, columns: Sequence[Metric], place: int, moving: bool
) -> Html:
    """Write a row of one of the tables, by its place; where truths are `moving` the first has them.

    `order` is the row's, by which settings are sorted.
    """
    at = setting_label(score["at"], view.about)
    answered = f"{score['answered']:,}"
    if score["answered"] != score["replicates"]:
        answered += f" of {score['replicates']:,}"
    return h(
        "tr",
        h("th", breakable(str(score["method"])), scope="row"),
        h("td", at, data_v=order, cls="at"),
        h("td", answered, cls="num", data_v=int(score["answered"])) if place == 0 else None,
        _measure(score, "truth") if place == 0 and moving else None,
        [_column(score, metric) for metric in columns],
        h("td", number(score["seconds"]), cls="num", data_v=raw(score["seconds"]))
        if place == 1 else None,
        cls="at-default" if score["at"] == DEFAULT else None,
    )  # fmt: skip


def _column(score: Score, metric: Metric) -> Html:
    if metric.moments != "any" and not score["moments"]:
        return h("td", BLANK, cls="num", title=HIDDEN)
    return _proportion(score, metric.name) if metric.share else _measure(score, metric.name)


def _measure(score: Score, key: str) -> Html:
    value, error = score[key], score[f"{key}_mcse"]
    below = h("span", error_of(value, error), cls="mc below")
    return h("td", number(value, error), " ", below, cls="num", data_v=raw(value))


def _proportion(score: Score, key: str) -> Html:
    value, low, high = (score[f"{key}{end}"] for end in ("", "_low", "_high"))
    error = score[f"{key}_mcse"]
    title = None if missing(error) else f"Monte Carlo standard error {percent(error, 2)} points"
    below = h("span", limits(low, high), cls="mc below")
    share = percent(value, max(1, digits(low, high)))
    return h("td", share, " ", below, cls="num", data_v=raw(value), title=title)


def _rejection_name(truths: Sequence[Any]) -> str:
    """Name the rejection of zero by what it is: size where the truth is zero, power elsewhere."""
    zero = {truth == 0 for truth in truths if not missing(truth)}
    return {(True,): "size %", (False,): "power %"}.get(tuple(zero), "rejects 0 %")
