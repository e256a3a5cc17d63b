"""Say why a method under-covers: bias, standard errors, shape, and failures apart."""

from __future__ import annotations

from cibench.report.markup import Html, h
from cibench.report.numbers import blank, number, percent
from cibench.report.verdicts import Verdict, judge
from cibench.report.views import Score, View

FINEST = 0.1
"""The smallest error, in points, that decides how many digits are written."""


def sentence(score: Score) -> str:
    """Attribute a row's shortfall of coverage in words and points, "" where nothing is short.

    Like "coverage 71 %: bias explains 20.1 points (0.9), the standard error is 0.90 of the truth
    and explains 3.1 (0.4), the shape 0.8 (0.3)"; in brackets Monte Carlo standard errors.
    """
    if blank(score["shortfall"]) or not score["shortfall"] > 0:
        return ""
    said = [] if blank(score["shortfall_bias"]) else [_explained(score)]
    lost = score["shortfall_failures"]
    if not blank(lost) and lost > 0:
        said.append(f"failures cost another {_points(score, 'failures')}")
    return f"coverage {percent(score['coverage'])} %: {'; '.join(said)}" if said else ""


def shortfalls(view: View) -> Html | None:
    """List for each broken cell of a view what its shortfall comes from, where that is known."""
    lines = [
        h("li", h("b", method), f", {at}: {said}.")
        for (method, at), score in view.scores.items()
        if judge(score) is Verdict.BROKEN and (said := sentence(score))
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
