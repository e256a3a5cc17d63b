"""The opening section of the report: surprises, then all that was expected and what was found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from cibench.analysis.coverage_verdicts import MOST_LEFT_OUT
from cibench.analysis.error_verdicts import BIAS, FAR, SE_RATIO
from cibench.analysis.expectations import (
    BEARING,
    FAULTS,
    MEANING,
    SURPRISES,
    ExpectationVerdict,
    count_unjudged,
    selective,
)
from cibench.analysis.judged_scores import Judged
from cibench.render.html import Html, breakable, h, join, place, raw, sortable
from cibench.render.labels import DEFAULT, label, view_titles
from cibench.render.numbers import BLANK, count, number, percent, signed
from cibench.report.judged_words import Line, coverage, fact, in_se, ratio
from cibench.report.score_readings import faults
from cibench.report.views import KEYS
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Surprise:
    """Hold what one method did unexpectedly in one scenario: the worst row, and all of them."""

    rows: Sequence[Line]

    @property
    def worst(self) -> Line:
        """Return the row that is farthest from where it should be, beyond doubt."""
        return max(self.rows, key=_beyond)

    @property
    def method(self) -> str:
        """Return the method's name."""
        return str(self.worst["method"])

    @property
    def badge(self) -> str:
        """Return the figure that catches the eye: of what decides the verdict, the first."""
        row = self.worst
        first = _deciding(row)[0]
        if first is Judged.BIAS:
            return f"{signed(row['bias_in_se'], 1)} SE"
        if first is Judged.SE_RATIO:
            return f"SE ×{number(row['se_ratio'], 0.1)}"
        return f"{percent(row['bands' if first is Judged.BANDS else 'coverage'])} %"

    @property
    def sentence(self) -> str:
        """Say what happened, without the method's name and without its scenario's."""
        row = self.worst
        where = "with every dial at its default" if row["at"] == DEFAULT else f"at {row['at']}"
        facts = "; ".join(fact(row, name) for name in _deciding(row))
        return f"{where} ({row['title']}): {facts}, although {row['because']}.{self._elsewhere()}"

    def _elsewhere(self) -> str:
        others = [row for row in self.rows if row is not self.worst]
        named = "; ".join(f"{row['at']} ({row['title']})" for row in others[:3])
        more = f" and {len(others) - 3} more cells" if len(others) > 3 else ""
        return f" Also at {named}{more}." if others else ""


def _deciding(row: Line) -> list[Judged]:
    """Return which numbers decide a row's verdict."""
    return [Judged(name) for name in str(row["decided_by"]).split(", ") if name]


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
    return sorted(gathered, key=lambda s: (SURPRISES.index(s.worst["verdict"]), _nearest(s.worst)))


def tally(rows: Iterable[Line]) -> dict[ExpectationVerdict, int]:
    """Count the rows of each verdict; who carries none is left out."""
    counts = dict.fromkeys(ExpectationVerdict, 0)
    for row in rows:
        counts[ExpectationVerdict(row["verdict"])] += 1
    return {
        verdict: n for verdict, n in counts.items() if n and verdict is not ExpectationVerdict.NONE
    }


def expected(rows: Iterable[Line]) -> int:
    """Count the rows that carry an expectation on which there is a verdict."""
    none = (ExpectationVerdict.NONE, *FAULTS)
    return sum(row["expected"] in BEARING and row["verdict"] not in none for row in rows)


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
        lacking = in_words(count_unjudged(rows))
        pending = sum(row["verdict"] == ExpectationVerdict.INCONCLUSIVE for row in rows)
        undecided_yet = f", {pending:,} of them undecided" if pending else ""
        if lacking:
            every = f"in what could be judged of {every} (not judged: {lacking})"
        else:
            every = f"among {every}"
        return f"No surprise {every}{undecided_yet}"
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


def in_words(unjudged: Mapping[Judged, int]) -> str:
    """Say of how many rows what could not be judged, "" where everything could."""
    return ", ".join(f"{name} of {n:,}" for name, n in unjudged.items())


def selected(rows: Sequence[Line]) -> str:
    """Say how many verdicts rest on what a method did not decline, "" where none does."""
    some = sum(map(selective, rows))
    most = f"{percent(MOST_LEFT_OUT)} %"
    if not some:
        return ""
    return f"{some:,} judged on a part of the data sets: more than {most} of them were declined"


def _plural(verdict: ExpectationVerdict) -> str:
    verb, adverb = verdict.split()
    return f"{verb.removesuffix('s')} {adverb}"


MOST_ROWS = 1000
"""Rows of the table on a page; the file has all."""

FEWEST = 30
"""Replicates from which their numbers say how many would decide."""


def undecided(rows: Sequence[Line]) -> str:
    """Say how many replicates would decide what is inconclusive, "" where nothing is."""
    open_rows = [row for row in rows if row["verdict"] == ExpectationVerdict.INCONCLUSIVE]
    if not open_rows:
        return ""
    many = [row for row in open_rows if not 0 < row["tries"] < FEWEST]
    needed, few = sorted(row["needed"] for row in many), len(open_rows) - len(many)
    text = f"{len(open_rows)} {'is' if len(open_rows) == 1 else 'are'} inconclusive"
    if few:
        text += f", {few} of fewer than {FEWEST} replicates, too few to say how many would decide"
    if not needed:
        return text
    within = [n for n in needed if n < inf]
    if not within:
        return f"{text}: so near a bound that no number of replicates would do"
    half = within[(len(within) - 1) // 2]
    text += f": if its numbers are as measured, {about(half)} replicates decide "
    if len(open_rows) == 1:
        return f"{text}it nine times in ten"
    text = text.replace("its numbers", "their numbers")
    first = sum(n <= half for n in needed)
    last = f", {about(within[-1])} {_all(len(within), len(needed))}" if within[-1] > half else ""
    return f"{text}each of {first} nine times in ten{last}"


def _all(within: int, every: int) -> str:
    return f"each of {within}" if within == every else f"{within}; the others are too near a bound"


def about(replicates: float) -> str:
    """Write a number of replicates to two digits, rounded up."""
    if replicates == inf:
        return "more than 10 million"
    scale = 10 ** max(0, len(str(int(replicates))) - 2)
    return f"{-(-int(replicates) // scale) * scale:,}"


def _beyond(row: Line) -> tuple[float, float]:
    """Return how far beyond doubt a row is on the wrong side: of its floor, else of its bounds."""
    sides = [
        row["floor"] - row["high"],
        row["low"] - row["floor"],
        row["floor"] - row["bands_high"],
    ]
    errors = [
        abs(row["bias_in_se"]) / row["bias_most"], row["se_ratio_least"] / row["se_ratio_high"],
    ]  # fmt: skip
    return (
        max((float(side) for side in sides if side > 0), default=0.0),
        max((float(error) for error in errors if error > 1), default=0.0),
    )


def _nearest(row: Line) -> tuple[float, float]:
    """Return what puts the worst first."""
    floor, bounds = _beyond(row)
    return -floor, -bounds


HEAD = (
    ("method", ""), ("verdict", ""), ("scenario", ""), ("setting", ""),
    ("coverage", "failures as misses, with exact limits adjusted for all verdicts"),
    ("floor %", "the coverage that a valid method exceeds"),
    ("bias / SE", "bias over empirical SE, with limits adjusted for all verdicts"),
    ("SE ratio", "model SE over empirical SE, with limits adjusted for all verdicts"),
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
        h("li", h("span", s.badge, cls="badge"),
          h("span", h("b", s.method, cls="method"), f" {s.worst['verdict']} in ",
            h("b", str(s.worst["scenario_label"])), f" {s.sentence}", cls="said"),
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
    if clause := selected(rows):
        parts.append(join(clause))
    if later := undecided(rows):
        parts.append(join(later))
    return h("p", join(*parts, between="; "), ".", cls="tally")


def _table(rows: Sequence[Line]) -> Html:
    order = list(ExpectationVerdict)
    ranked = sorted(rows, key=lambda row: _rank(row, order))
    table = sortable(HEAD, [_row(row) for row in ranked[:MOST_ROWS]])
    if len(ranked) <= MOST_ROWS:
        return table
    more = f"The first {MOST_ROWS:,} of {len(ranked):,} rows, surprises before the others; "
    return join(h("p", f"{more}expectations.csv has all.", cls="note"), table)


def _rank(row: Line, order: Sequence[ExpectationVerdict]) -> tuple[bool, int]:
    return row["verdict"] not in SURPRISES, order.index(ExpectationVerdict(row["verdict"]))


def _row(row: Line) -> Html:
    judged, needed = not missing(row["low"]), row["needed"]
    biased, errs = not missing(row["bias_in_se"]), not missing(row["se_ratio"])
    decide = BLANK if missing(needed) else about(needed) if needed < inf else "beyond reach"
    decide = "too few to say" if 0 < row["tries"] < FEWEST and not missing(needed) else decide
    verdict = row["verdict"] or BLANK
    reason = "; ".join(filter(None, (str(row["because"]), str(row["note"] or ""))))
    if row["unjudged"]:
        reason += f"; not judged: {row['unjudged']}"
    return h(
        "tr", h("th", breakable(str(row["method"])), scope="row"),
        h("td", h("b", verdict) if row["verdict"] in SURPRISES else verdict),
        place(row),
        h("td", str(row["at"]), cls="at"),
        _figure(coverage(row) if judged else BLANK, row["coverage"]),
        h("td", percent(row["floor"]), cls="num", data_v=raw(row["floor"])),
        _figure(in_se(row) if biased else BLANK, row["bias_in_se"]),
        _figure(ratio(row) if errs else BLANK, row["se_ratio"]),
        h("td", str(row["expected"] or BLANK), h("span", reason, cls="mc because"), cls="words"),
        h("td", decide, cls="num", data_v=raw(needed)),
    )  # fmt: skip


def _figure(text: str, value: Any) -> Html:
    """Put a number into a cell, its limits below."""
    number_of, bracket, ends = text.partition(" (")
    below = h("span", f"({ends}", cls="mc") if bracket else None
    return h("td", number_of, h("br") if below else None, below, cls="num", data_v=raw(value))


def _rule() -> Html:
    meanings = [h("li", h("b", str(verdict)), f": {said}") for verdict, said in MEANING.items()]
    return join(
        h("p", "A method is expected to be valid where nothing that it assumes is broken, neither "
          "by the design nor by a dial, and to fail from the setting on that the suite states; in "
          "between no verdict is given. Valid is: coverage above the floor, failures counted as "
          "misses; that of simultaneous bands, of all targets at once, likewise; a bias of at "
          f"most {BIAS:g} empirical SE; an SE ratio between {SE_RATIO[0]:g} and {SE_RATIO[1]:g}, "
          "where the suite states no other bounds. Which of these decided, and what could not be "
          "judged and why, is in expectations.csv.", cls="note"),
        h("p", "Limits allow for all verdicts of the run together. Those of coverages are exact "
          "(Clopper and Pearson). Those of bias and SE ratio allow for the tails and the skewness "
          "that replicates show; and that a bias or standard errors are too large is said only "
          f"beyond a bound that is wider by the factor √(1 + {FAR**2:g} log(1/α) / n), which "
          "allows for estimates ten times as far out that n replicates have not shown. In trials "
          "with normal, t(3), lognormal and contaminated errors and 50, 200 and 1,000 replicates, "
          "every method exactly at its bounds, at most 5 of 100 runs held a false surprise "
          "(results/reference/verdicts). Inconclusive is what limits leave on both sides of a "
          "bound; the number of replicates that would decide takes the numbers to be as estimated, "
          "and does so nine times in ten.", cls="note"),
        h("ul", meanings, cls="marks"),
    )  # fmt: skip
