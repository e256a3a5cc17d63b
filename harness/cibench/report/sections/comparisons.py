"""Differences between the methods of a view on the same data sets; ties look like ties."""

from __future__ import annotations

from collections.abc import Sequence

from cibench.metrics import METRICS, Metric
from cibench.metrics.registry import Loss, listed
from cibench.render.html import Html, breakable, h, join
from cibench.render.numbers import BLANK, number, signed
from cibench.report.sections.score_tables import HIDDEN
from cibench.report.views import Line, Score, View
from cibench.utils.missing import missing

BY = ("interval_score", "rmse", "mad")
"""What methods are sorted by: the first that two of them have."""

ORDER = (*BY, "absolute_bias", "coverage", "ci_length")
"""The columns that the table begins with."""

TIE, SMALLER, LARGER = "≈", "▼", "▲"


def comparison(view: View) -> Html | None:
    """Write the differences in a view's default cell: to the best method, then all of them."""
    by = next((m for m in BY if len(_values(view, m)) > 1), None)
    if by is None:
        return None
    values = _values(view, by)
    ordered = sorted(values, key=values.__getitem__)
    ordered += [m for m in view.methods if m not in values and _compared(view, m)]
    best = _reference(view, by, ordered)
    smallest = best == next((m for m in ordered if not _is_oracle(view, m)), ordered[0])
    why = f", which has the smallest {METRICS[by].label} of all but oracles" if smallest else ""
    metrics = listed("differences", ORDER)
    moments = all(view.pairs[m.name, x, best]["moments"] for m in metrics for x in ordered
                  if m.moments != "any" and (m.name, x, best) in view.pairs)  # fmt: skip
    other = "mad" if moments else "rmse"
    metrics = [m for m in metrics if m.name != other
             and any((m.name, x, best) in view.pairs for x in ordered)]  # fmt: skip
    head = h("thead", h("tr", h("th", "method", scope="col"),
                        [h("th", _heading(m), scope="col") for m in metrics]))  # fmt: skip
    body = [
        h("tr", h("th", breakable(method), scope="row"), [_cell(view, m, method, best)
          for m in metrics], cls="at-default" if method == best else None)
        for method in ordered
    ]  # fmt: skip
    more = [m.label for m in listed("differences") if m.loss is Loss.SHORTFALL]
    neither = [m.label for m in listed("differences") if m.loss in (Loss.NONE, Loss.SIZE)]
    open_ones = f", and of {' and '.join(neither)} neither" if neither else ""
    return h(
        "details", h("summary", "Differences on the same data sets, every dial at its default"),
        h("p", f"Each method less {best}{why}, on the replicates that both answered; in brackets "
          "95 % limits that hold for all pairs of methods at once. "
          f"{TIE} marks a tie: noise alone can produce the difference. {LARGER} larger, {SMALLER} "
          f"smaller beyond doubt; smaller is better, but of {' and '.join(more)}{open_ones}. An "
          "error of the truth that both share has cancelled where it can. pairs.parquet holds "
          "every pair, measure and setting.", cls="note"),
        h("div", h("table", head, h("tbody", body), cls="pairs"), cls="scroll"),
        _matrix(view, by, ordered), cls="compared",
    )  # fmt: skip


def _values(view: View, measure: str) -> dict[str, float]:
    """Return the methods' values of a measure in the default cell."""
    values = {}
    for method in view.methods:
        score: Score = view.at_default(method) or {}
        if not missing(score.get(measure)) and score[measure] < float("inf"):
            values[method] = float(score[measure])
    return {m: v for m, v in values.items() if _compared(view, m)}


def _compared(view: View, method: str) -> bool:
    return any(own == method for _, own, _ in view.pairs)


def _reference(view: View, by: str, ordered: Sequence[str]) -> str:
    """Return whom most methods were compared with; where all were, the best but for oracles."""

    def rank(method: str) -> tuple[int, bool]:
        compared = sum((by, other, method) in view.pairs for other in ordered)
        return compared, not _is_oracle(view, method)

    return max(ordered, key=rank)


def _is_oracle(view: View, method: str) -> bool:
    return any(line["oracle"] for (_, _, other), line in view.pairs.items() if other == method)


def _heading(metric: Metric) -> str:
    return f"{metric.label}, points" if metric.share else metric.label


def _cell(view: View, metric: Metric, method: str, best: str) -> Html:
    line = view.pairs.get((metric.name, method, best))
    if line is None:
        return h("td", "reference" if method == best else BLANK, cls="mc")
    if metric.moments != "any" and not line["moments"]:
        return h("td", BLANK, title=HIDDEN)
    if missing(line["low"]):
        return h("td", BLANK, title=str(line["note"]))
    scale, error = (100, 100 * line["mcse"]) if metric.share else (1, line["mcse"])
    error = max(error, 0.1) if metric.share else error
    low, high = (signed(scale * line[end], error) for end in ("low", "high"))
    difference = join(_mark(line), " ", signed(scale * line["difference"], error))
    return h(
        "td", h("b", difference) if not line["tie"] else difference,
        h("span", f"({low} to {high})", cls="mc below"), cls="tie" if line["tie"] else None,
        title=f"{int(line['replicates']):,} replicates; Monte Carlo error {number(error, error)}",
    )  # fmt: skip


def _mark(line: Line) -> str:
    if line["tie"]:
        return TIE
    return LARGER if line["difference"] > 0 else SMALLER


def _matrix(view: View, by: str, ordered: Sequence[str]) -> Html | None:
    """Show all pairs by one measure: who is smaller, larger, or tied with whom."""
    if len(ordered) < 3 or sum(key[0] == by for key in view.pairs) < len(ordered) ** 2 / 2:
        return None
    head = h("thead", h("tr", h("th", METRICS[by].label), [
        h("th", str(i), title=m, scope="col") for i, m in enumerate(ordered, 1)
    ]))  # fmt: skip
    body = [
        h("tr", h("th", f"{i}. ", breakable(own), scope="row"),
          [_relation(view, by, own, other) for other in ordered])
        for i, own in enumerate(ordered, 1)
    ]  # fmt: skip
    return join(
        h("p", f"All pairs by {METRICS[by].label}: the method of the row is {SMALLER} smaller "
          f"(better) or {LARGER} larger (worse) than that of the column, or tied with it ({TIE}).",
          cls="note"),
        h("div", h("table", head, h("tbody", body), cls="matrix"), cls="scroll"),
    )  # fmt: skip


def _relation(view: View, by: str, own: str, other: str) -> Html:
    line = view.pairs.get((by, own, other))
    if own == other or line is None or missing(line["tie"]):
        return h("td", "·" if own == other else BLANK, cls="mc")
    title = f"{own} less {other}: {signed(line['difference'], line['mcse'])}"
    return h("td", _mark(line), title=title, cls="tie" if line["tie"] else None)
