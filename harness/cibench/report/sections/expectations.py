"""The opening section of the report: surprises, then all that was expected and what was found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from cibench.analysis.expectations import BEARING, FAULTS, MEANING, SURPRISES, ExpectationVerdict
from cibench.render.html import Html, breakable, h, join, place, raw, sortable
from cibench.render.labels import DEFAULT, label, view_titles
from cibench.render.numbers import BLANK, count, digits, limits, percent
from cibench.report.score_readings import faults
from cibench.report.views import KEYS
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd

Line = Mapping[str, Any]
"""One row of the expectations, by column, with `method`, `at` and `title` beside them."""


@dataclass(frozen=True)
class Surprise:
    """Hold what one method did unexpectedly in one scenario: the worst row, and all of them."""

    rows: Sequence[Line]

    @property
    def worst(self) -> Line:
        """Return the row whose coverage is farthest from where it should be, beyond doubt."""
        return max(self.rows, key=_beyond)

    @property
    def method(self) -> str:
        """Return the method's name."""
        return str(self.worst["method"])

    @property
    def sentence(self) -> str:
        """Say what happened, without the method's name and without its scenario's."""
        row = self.worst
        failed = row["verdict"] == ExpectationVerdict.FAILS_UNEXPECTEDLY
        where = "with every dial at its default" if row["at"] == DEFAULT else f"at {row['at']}"
        side = "below" if failed else "above"
        return (
            f"{where} ({row['title']}): coverage {coverage(row)}, {side} the floor of "
            f"{percent(row['floor'])} %, although {row['because']}.{self._elsewhere()}"
        )

    def _elsewhere(self) -> str:
        others = [row for row in self.rows if row is not self.worst]
        named = "; ".join(f"{row['at']} ({row['title']})" for row in others[:3])
        more = f" and {len(others) - 3} more cells" if len(others) > 3 else ""
        return f" Also at {named}{more}." if others else ""


def lines(table: pd.DataFrame, catalogue: Mapping[str, Any]) -> list[Line]:
    """Return the estimators' rows as mappings, with what people call them by."""
    named = label(table[table["kind"] == "estimate"], catalogue).to_dict("records")
    rows = [{str(key): value for key, value in row.items()} for row in named]
    titles = view_titles([{key: row[key] for key in KEYS} for row in rows])
    return [row | {"title": title} for row, title in zip(rows, titles, strict=True)]


def surprises(rows: Iterable[Line]) -> list[Surprise]:
    """Return the surprises: who fails first, the worst before the others."""
    groups: dict[tuple[str, ...], list[Line]] = {}
    for row in rows:
        if row["verdict"] in SURPRISES:
            key = str(row["verdict"]), str(row["scenario"]), str(row["method"])
            groups.setdefault(key, []).append(row)
    gathered = [Surprise(group) for group in groups.values()]
    return sorted(gathered, key=lambda s: (SURPRISES.index(s.worst["verdict"]), -_beyond(s.worst)))


def tally(rows: Iterable[Line]) -> dict[ExpectationVerdict, int]:
    """Count the rows of each verdict; who carries none is left out."""
    counts = dict.fromkeys(ExpectationVerdict, 0)
    for row in rows:
        counts[ExpectationVerdict(row["verdict"])] += 1
    return {
        verdict: n for verdict, n in counts.items() if n and verdict is not ExpectationVerdict.NONE
    }


def expected(rows: Iterable[Line]) -> int:
    """Count the rows that carry an expectation which could be judged."""
    return sum(
        row["expected"] in BEARING and row["low"] == row["low"]
        and row["verdict"] not in FAULTS for row in rows
    )  # fmt: skip


def heading(rows: Sequence[Line]) -> str:
    """Sum up in one line: who is at fault, and the surprises among what was expected."""
    text, faulty = _surprising(rows), faults((r["verdict"], str(r["method"])) for r in rows)
    return f"{faulty}; {text[0].lower()}{text[1:]}" if faulty else text


def _surprising(rows: Sequence[Line]) -> str:
    unexpected = [row for row in rows if row["verdict"] in SURPRISES]
    every = count(expected(rows), "expectation")
    if not expected(rows):
        return "Nothing was expected that could be judged"
    if not unexpected:
        return f"No surprise among {every}"
    methods = {
        verdict: {r["method"] for r in unexpected if r["verdict"] == verdict}
        for verdict in SURPRISES
    }
    parts = [
        f"{count(len(names), 'method')} {str(verdict) if len(names) == 1 else _plural(verdict)}"
        for verdict, names in methods.items()
        if names
    ]
    return f"{count(len(unexpected), 'surprise')} among {every}: {' and '.join(parts)}"


def _plural(verdict: ExpectationVerdict) -> str:
    verb, adverb = verdict.split()
    return f"{verb.removesuffix('s')} {adverb}"


def undecided(rows: Sequence[Line]) -> str:
    """Say how many replicates would decide what is inconclusive, "" where nothing is."""
    needed = sorted(
        row["needed"] for row in rows if row["verdict"] == ExpectationVerdict.INCONCLUSIVE
    )
    if not needed:
        return ""
    text = f"{len(needed)} {'is' if len(needed) == 1 else 'are'} inconclusive"
    within = [n for n in needed if n < inf]
    if not within:
        return f"{text}: coverage is so near the floor that no number of replicates would do"
    half = within[(len(within) - 1) // 2]
    text += f": {about(half)} replicates would most likely decide "
    if len(needed) == 1:
        return f"{text}it"
    few = sum(n <= half for n in needed)
    last = f", {about(within[-1])} {_all(len(within), len(needed))}" if within[-1] > half else ""
    return f"{text}{few} of them{last}"


def _all(within: int, every: int) -> str:
    return "all" if within == every else f"{within}; the others are too near their floors"


def about(replicates: float) -> str:
    """Write a number of replicates to two digits, rounded up."""
    if replicates == inf:
        return "more than 10 million"
    scale = 10 ** max(0, len(str(int(replicates))) - 2)
    return f"{-(-int(replicates) // scale) * scale:,}"


def coverage(row: Line) -> str:
    """Write a coverage beside its limits, which are adjusted for all verdicts of the run."""
    low, high = row["low"], row["high"]
    return f"{percent(row['coverage'], digits(low, high))} % ({limits(low, high)})"


def _beyond(row: Line) -> float:
    """Return how far beyond doubt a coverage is on the wrong side of its floor."""
    below, above = row["floor"] - row["high"], row["low"] - row["floor"]
    return float(max(below, above))


HEAD = (
    ("method", ""), ("verdict", ""), ("scenario", ""), ("setting", ""),
    ("coverage", "failures as misses, with exact limits adjusted for all verdicts"),
    ("floor %", "the coverage that a valid method exceeds and a failing one does not reach"),
    ("expected", "and because of what"),
    ("to decide", "replicates that would most likely decide"),
)  # fmt: skip


def expected_section(rows: Sequence[Line]) -> Html | None:
    """Write the section; none where there is nothing that was or could have been expected."""
    if not any(row["expected"] for row in rows):
        return None
    return h(
        "section", h("h2", heading(rows)), _listed(surprises(rows)), _counted(rows),
        h("details", h("summary", "What was expected of every method, and what was found"),
          _table(rows)),
        h("details", h("summary", "How expectations and verdicts come about"), _rule()),
        id="surprises",
    )  # fmt: skip


def _listed(listed: Sequence[Surprise]) -> Html | None:
    lines = [
        h("li", h("span", f"{percent(s.worst['coverage'])} %", cls="badge"),
          h("span", h("b", s.method, cls="method"), f" {s.worst['verdict']} in ",
            h("b", str(s.worst["scenario"])), f" {s.sentence}", cls="said"),
          cls="broken" if s.worst["verdict"] == ExpectationVerdict.FAILS_UNEXPECTEDLY else "wide")
        for s in listed
    ]  # fmt: skip
    return h("ol", lines, cls="findings") if lines else None


def _counted(rows: Sequence[Line]) -> Html:
    """Say how many rows have each verdict, and what would decide the inconclusive ones."""
    counts = tally(rows)
    parts = [
        join(h("b", f"{n:,}"), " ", h("span", str(verdict), title=MEANING[verdict]))
        for verdict, n in counts.items() if verdict is not ExpectationVerdict.INCONCLUSIVE
    ]  # fmt: skip
    silent = sum(row["verdict"] == ExpectationVerdict.NONE for row in rows)
    if silent:
        parts.append(join(h("b", f"{silent:,}"), " without a verdict"))
    if later := undecided(rows):
        parts.append(join(later))
    return h("p", join(*parts, between="; "), ".", cls="tally")


def _table(rows: Sequence[Line]) -> Html:
    order = list(ExpectationVerdict)
    ranked = sorted(rows, key=lambda row: _rank(row, order))
    return sortable(HEAD, [_row(row) for row in ranked])


def _rank(row: Line, order: Sequence[ExpectationVerdict]) -> tuple[bool, int]:
    return row["verdict"] not in SURPRISES, order.index(ExpectationVerdict(row["verdict"]))


def _row(row: Line) -> Html:
    judged = not missing(row["low"])
    needed = row["needed"]
    decide = BLANK if missing(needed) else about(needed) if needed < inf else "beyond reach"
    verdict = row["verdict"] or BLANK
    because = str(row["because"] if judged or not row["note"] else row["note"])
    reason = f"{because}; {row['note']}" if judged and row["note"] else because
    return h(
        "tr", h("th", breakable(str(row["method"])), scope="row"),
        h("td", h("b", verdict) if row["verdict"] in SURPRISES else verdict),
        place(row),
        h("td", str(row["at"]), cls="at"),
        h("td", coverage(row) if judged else BLANK, cls="num", data_v=raw(row["coverage"])),
        h("td", percent(row["floor"]), cls="num", data_v=raw(row["floor"])),
        h("td", str(row["expected"] or BLANK), h("span", reason, cls="mc because"), cls="words"),
        h("td", decide, cls="num", data_v=raw(needed)),
    )  # fmt: skip


def _rule() -> Html:
    meanings = [h("li", h("b", str(verdict)), f": {said}") for verdict, said in MEANING.items()]
    return join(
        h("p", "A method is expected to be valid where nothing that it assumes is broken, neither "
          "by the design nor by a dial, and to fail from the setting on that the suite states; in "
          "between no verdict is given. Coverage counts failures as misses. Its limits are exact "
          "(Clopper and Pearson) and so wide that in 95 of 100 runs all of them hold the true "
          "coverage at once: a run with any false verdict is one in twenty at most. Inconclusive "
          "is what these limits leave on both sides of the floor; the number of replicates that "
          "would decide assumes that coverage is as estimated, and does so nine times in ten.",
          cls="note"),
        h("ul", meanings, cls="marks"),
    )  # fmt: skip
