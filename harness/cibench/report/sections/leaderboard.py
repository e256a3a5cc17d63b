"""The leaderboards: confidence sets for ranks, and what leaving out a scenario does to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cibench.analysis.coverage_verdicts import CoverageVerdict
from cibench.analysis.expectations import FAULTS
from cibench.metrics import METRICS
from cibench.render.html import Html, breakable, folded, h, join
from cibench.render.numbers import BLANK, count, error_of, number, percent, plain
from cibench.report.score_readings import MARKS
from cibench.suite.ranking import BROKEN, VALID, Ranking
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd

FAIL, FAULT = MARKS[CoverageVerdict.BROKEN], MARKS[CoverageVerdict.SILENT]
"""What stands in the place of a rank where the level is not held, or a method is at fault."""

NO_TRIES = {
    "declined": "share of data sets that the method declined, which are no tries",
    "unbounded": "share of data sets with an unbounded set, which has no interval score",
}
BOARD = ["design", "estimand", "horizon", "level", "settings", "measure"]

Line = Mapping[Any, Any]


def ranks_section(
    ranks: pd.DataFrame, scores: pd.DataFrame, spec: Mapping[str, Any]
) -> Html | None:
    """Write the leaderboards, each design's own open; `scores` are labelled."""
    if ranks.empty:
        return None
    named = scores[["estimator", "options", "method"]].drop_duplicates()
    methods = {(estimator, options): method for estimator, options, method in named.values}
    boards = [
        [{**row, "method": methods.get((row["estimator"], row["options"]), row["estimator"])}
         for row in part.to_dict("records")]
        for _, part in ranks.groupby(BOARD, sort=False, dropna=False)
    ]  # fmt: skip
    whole = [board for board in boards if any(line["without"] == "" for line in board)]
    first = [board for board in whole if board[0]["settings"] != BROKEN]
    broken = [board for board in whole if board[0]["settings"] == BROKEN]
    measure = METRICS[str(boards[0][0]["measure"])].label
    return h(
        "section", h("h2", "Leaderboard"), _boards(first),
        folded("How to read this", h("p", _about(first, measure, spec), cls="note")),
        h("details", h("summary", "How they degrade: settings in which an assumption is broken"),
          h("p", "The same methods where a dial breaks what one of them assumes. A rank here says "
            "whose intervals are hurt least, not whose can be believed.", cls="note"),
          _boards(broken)) if broken else None, id="leaderboard",
    )  # fmt: skip


def _about(boards: Sequence[Sequence[Line]], measure: str, spec: Mapping[str, Any]) -> str:
    """Say what is ranked, over which cells, and what the ranks are worth."""
    worst = plain(float(spec.get("worst", Ranking().worst)))
    cells = {
        VALID: "the cells with every dial at its default, or with nothing broken that a method "
        "assumes", "default": "the cells with every dial at its default",
    }.get(str(boards[0][0]["settings"]) if boards else "", "all cells")  # fmt: skip
    return (
        f"Methods by the mean log ratio of their {measure} to the reference’s over {cells}. A set "
        "such as 2–5 holds every rank that noise does not rule out; the sets of a board are right "
        "all at once in 95 of 100 runs, by RMSE with heavy tails and 50 replicates in 89 of 100. "
        f"{FAIL} marks who does not hold its level there beyond doubt, {FAULT} who never answers "
        f"or contradicts itself; these have no rank. No loss counts more than {worst} times the "
        f"reference’s mean {measure}, which is what a failure scores; worst % is the share of a "
        "method’s tries that score so, in per cent; declined data sets and "
        "unbounded sets are no tries, and with more than 5 in 100 of them there is no rank: "
        "whether these were the hard ones nobody knows. No limit allows for failures rarer than "
        "the run could show. ranks.csv "
        "holds it all."
    )


def _boards(boards: Sequence[Sequence[Line]]) -> list[Html | None]:
    """Write each design's own board, and those of single scenarios folded away."""
    families = [board for board in boards if "/" not in board[0]["design"]]
    single = [board for board in boards if "/" in board[0]["design"]]
    return [
        h("div", [_leaderboard(board) for board in families], cls="heats") if families else None,
        h("details", h("summary", count(len(single), "scenario by itself", "scenarios one by one")),
          [_leaderboard(board) for board in single]) if single else None,
    ]  # fmt: skip


def _leaderboard(board: Sequence[Mapping[Any, Any]]) -> Html:
    full = [line for line in board if line["without"] == ""]
    left_out = list(dict.fromkeys(line["without"] for line in board if line["without"] != ""))
    sets = {(line["without"], line["method"]): str(line["rank"]) for line in board}
    most = max((int(x["rank_high"]) for x in full if not missing(x["rank_high"])), default=1)
    extra = [(name, why) for name, why in NO_TRIES.items() if any(x[name] > 0 for x in full)]
    numbers = [
        h("th", "ratio", title=f"to {full[0]['reference']}; simultaneous 95 % limits"),
        h("th", "log ratio", title="Monte Carlo standard error in brackets"),
        h("th", "worst %", title="share of tries with the worst score: failures, and what it cuts"),
        *(h("th", f"{name} %", title=meaning) for name, meaning in extra),
        *(h("th", "rank without", h("span", name, cls="below")) for name in left_out),
    ]
    head = h("thead", h(
        "tr", h("th", "rank", title="95 % confidence set", cls="rank"), h("th"), h("th", "method"),
        numbers,
    ))  # fmt: skip
    body = [
        _row(line, most, [name for name, _ in extra],
             [sets.get((w, line["method"]), "") for w in left_out]) for line in full
    ]  # fmt: skip
    table = h("table", head, h("tbody", body), cls="ranks")
    return h(
        "div", h("h3", _title(full[0])), h("div", table, cls="scroll"), _notes(full), cls="board"
    )


def _title(line: Line) -> Html:
    horizon = ", all its targets" if line["horizon"] == "each" else ""
    over = f"{count(int(line['cells']), 'cell')} of {count(int(line['scenarios']), 'scenario')}"
    by = METRICS[str(line["measure"])].label
    small = f" {line['estimand']}{horizon}; by {by}; {over}; reference {line['reference']}"
    return join(str(line["design"]), h("span", small, cls="mc"))


def _row(line: Line, most: int, no_tries: Sequence[str], others: Sequence[str]) -> Html:
    role = h("span", str(line["role"]), cls="tag") if line["role"] else None
    fault = FAULT if line["holds_level"] in FAULTS else BLANK
    rank = FAIL if line["holds_level"] == "no" else str(line["rank"]) or fault
    ratio = [
        h("td", BLANK, title=str(line["note"]), cls="num"), h("td", BLANK, cls="num"),
    ]  # fmt: skip
    if not missing(line["ratio"]):
        error = line["mcse"]
        of_ratio = None if missing(error) else error * line["ratio"]
        ratio = [
            h("td", number(line["ratio"], of_ratio), " ",
              h("span", _limits(line, of_ratio), cls="mc"), cls="num"),
            h("td", number(line["log_ratio"], error), " ",
              h("span", error_of(line["log_ratio"], error), cls="mc"), cls="num"),
        ]  # fmt: skip
    return h(
        "tr", h("td", h("b", rank), cls="rank"), h("td", _bar(line, most)),
        h("th", breakable(str(line["method"])), " ", role, scope="row"), ratio,
        h("td", percent(line["worst"], 1), cls="num"),
        [h("td", percent(line[name], 1), cls="num") for name in no_tries],
        [h("td", other or BLANK, cls="num") for other in others],
    )  # fmt: skip


def _limits(line: Line, error: float | None) -> str:
    low, high = line["ratio_low"], line["ratio_high"]
    if missing(low) or low == high:
        return ""
    return f"({number(low, error)}–{number(high, error)})"


def _bar(line: Line, most: int) -> Html | None:
    """Draw the set on a scale of all ranks."""
    if missing(line["rank_low"]):
        return None
    low, high = int(line["rank_low"]), int(line["rank_high"])
    left, width = 100 * (low - 1) / most, 100 * (high - low + 1) / most
    return h("span", h("span", style=f"left:{left:.4g}%;width:{width:.4g}%"), cls="bar",
             role="img", aria_label=f"ranks {line['rank']} of {most}")  # fmt: skip


def _notes(full: Sequence[Line]) -> list[Html]:
    """Write each clause of the notes once, with whom it is about where that is not everybody."""
    about: dict[str, dict[str, None]] = {}
    for line in full:
        for clause in filter(None, str(line["note"] or "").split("; ")):
            about.setdefault(clause, {})[str(line["method"])] = None
    everybody = {str(line["method"]) for line in full}
    return [
        h("p", f"{clause[0].upper()}{clause[1:]}.", cls="note") if about[clause].keys() == everybody
        else h("p", h("b", ", ".join(about[clause])), f": {clause}.", cls="note")
        for clause in about
    ]  # fmt: skip
