"""Fits without an answer: how many, where, and the reasons they gave."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cibench.render.figures import Plot, canvas
from cibench.render.html import Html, h, join
from cibench.render.labels import setting, slug
from cibench.render.numbers import count, percent, plain

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

COLOURS = {
    "failed": ("#D55E00", ""), "nonfinite": ("#E69F00", "//"), "timeout": ("#CC79A7", "xx"),
    "memory": ("#0072B2", "\\\\"), "crashed": ("#000000", ""), "declined": ("#56B4E9", ".."),
}  # fmt: skip
FIT = ["scenario", "n", "parameters", "dials", "estimator", "options"]
BARS = 30
REASONS = 60


def labelled(
    lost: pd.DataFrame, scores: pd.DataFrame, catalogue: Mapping[str, Any]
) -> pd.DataFrame:
    """Return fits without an answer with `at` and `method` beside them, as labelled scores have."""
    known, names = catalogue.get("scenarios") or {}, scores[["estimator", "options", "method"]]
    methods = {(estimator, options): method for estimator, options, method in names.values}
    lines = lost.to_dict("records")
    at = [
        setting(x["dial"], x["setting"], x["dials"], known.get(x["scenario"]) or {}).label
        for x in lines
    ]
    return lost.assign(at=at, method=[methods[x["estimator"], x["options"]] for x in lines])


def failure_plot(scenario: str, lost: pd.DataFrame, scores: pd.DataFrame) -> Plot | None:
    """Draw the statuses of a scenario's cells with fits that gave no answer, None without any.

    `lost` counts estimators' rows without an answer, `scores` are those of all; both are labelled.
    """
    lost = lost[lost["scenario"] == scenario]
    if lost.empty:
        return None
    scores = scores[(scores["kind"] == "estimate") & (scores["scenario"] == scenario)]
    several = scores["n"].nunique() > 1
    shares = _shares(lost, scores, ["method", "at", *(["n"] if several else [])])
    more = f" The {BARS} worst of {len(shares)} are shown." if len(shares) > BARS else ""
    worst = shares.loc[shares.sum(axis=1).sort_values(ascending=False, kind="stable").index[:BARS]]
    summary = "; ".join(
        f"{_name(key)}: {percent(share)} %" for key, share in worst.sum(axis=1).items()
    )
    return Plot(
        slug(f"{scenario} failures"),
        f"{scenario}: fits without an answer",
        "By status; cells in which every fit answered are left out. Who declines has not "
        f"failed.{more}",
        f"{scenario}. Without an answer: {summary}",
        lambda: _paint(worst),
    )


def _shares(lost: pd.DataFrame, scores: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return the share of each status but ok in the cells where there is any."""
    every = scores.groupby(keys, sort=False)["replicates"].sum()
    counts = lost.groupby([*keys, "status"])["rows"].sum().unstack(fill_value=0)
    shares = counts.reindex(every.index[every.index.isin(counts.index)])
    shares = shares.div(every.loc[shares.index], axis=0)
    return shares[[status for status in COLOURS if status in shares]]


def _paint(shares: pd.DataFrame) -> Figure:
    figure, [[axes]] = canvas(0.95 + 0.24 * len(shares), left=3.3, top=0.4, right=0.25)
    start = shares.iloc[:, 0].to_numpy() * 0.0
    for status in shares:
        width = 100 * shares[status].to_numpy()
        colour, hatch = COLOURS[str(status)]
        if width.any():
            axes.barh(range(len(shares)), width, left=start, color=colour, hatch=hatch,
                      edgecolor="white", lw=0.5, height=0.72, label=str(status))  # fmt: skip
        start = start + width
    axes.set_yticks(range(len(shares)), [_name(key) for key in shares.index], fontsize=8)
    axes.set_ylim(len(shares) - 0.4, -0.6)
    axes.set_xlim(0, max(5.0, 1.05 * float(start.max())))
    axes.set_xlabel("% of the cell's fits")
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="upper right", ncols=5, fontsize=8.5, borderaxespad=0.2)
    return figure


def fits(scores: pd.DataFrame) -> int:
    """Count the fits behind a score table; one fit may answer for several targets."""
    return int(scores.drop_duplicates([*FIT, "kind"])["replicates"].sum())


def reasons(failures: pd.DataFrame, command: Callable[[Mapping[Any, Any]], str]) -> Html:
    """Tally why fits gave no answer, the most frequent first, with a `command` to replay one.

    `failures` are labelled; they stand cell by cell and are put together over the cells of a size.
    """
    keys = ["scenario", "n", "method", "status", "reason"]
    cell = failures.groupby(["scenario", "dials", "n", "parameters"], sort=False).ngroup()
    lost = failures.assign(cell=cell).sort_values(["cell", "first"], kind="stable")
    grouped = lost.groupby(keys, sort=False).agg(fits=("fits", "sum"), at=("at", "unique"))
    tally = grouped.sort_values("fits", ascending=False, kind="stable")
    first = lost.drop_duplicates(keys).set_index(keys, drop=False)
    first = first.assign(replicate=first["first"]).loc[tally.index[:REASONS]]
    body = [
        h("tr", *(h("td", str(k)) for k in (key[2], key[0], key[1])), h("td", key[3]),
          h("td", f"{size:,}", cls="num"), h("td", _few(list(places))),
          h("td", key[4], cls="reason"), h("td", h("code", command(row))))
        for (key, size, places), row in zip(
            tally.head(REASONS).itertuples(), first.to_dict("records"), strict=True
        )
    ]  # fmt: skip
    names = ("method", "scenario", "n", "status", "fits", "where", "reason", "replay one")
    head = h("thead", h("tr", *(h("th", name, scope="col") for name in names)))
    more = len(tally) - REASONS
    return join(
        h("div", h("table", head, h("tbody", body), cls="sortable"), cls="scroll"),
        h("p", f"{count(more, 'rarer reason')} left out.", cls="note") if more > 0 else None,
    )


def _name(key: Any) -> str:
    method, at, *n = key
    return ", ".join([method, at, *(f"n = {plain(int(size))}" for size in n)])


def _few(places: Sequence[str]) -> str:
    return ", ".join(places[:3]) + (f" and {len(places) - 3} more" if len(places) > 3 else "")
