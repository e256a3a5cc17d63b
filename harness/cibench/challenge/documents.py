"""What a vendor is handed: the question in plain words, and drawn rows as CSV text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from textwrap import fill
from typing import Any

import numpy as np

from cibench.model.estimands import Estimand
from cibench.model.types import Array
from cibench.twins.columns import derive
from cibench.twins.cross_section import Rows, rule
from cibench.twins.panel import COHORT
from cibench.twins.sample import observed_columns
from cibench.twins.scenario import estimands_of
from cibench.twins.twin import Twin
from cibench.utils.files import csv_text

DISCLOSURE = "reduced disclosure risk, no formal guarantee"
DECISIONS = ("roll out", "do not")

ESTIMAND_WORDS = {
    Estimand.ATE_AT_CUTOFF: "the mean effect of `{d}` on `{y}` among units whose `{x}` lies at the "
    "cutoff {c}: the limit there, not an average over all units",
    Estimand.LATE_AT_CUTOFF: "the mean effect of `{d}` on `{y}` among units whose `{x}` lies at "
    "the cutoff {c} and who take it because they are on that side of it",
    Estimand.ATT: "the mean effect of `{d}` on `{y}` over all unit-periods in which `{d}` is 1 and "
    "somebody is still untreated",
    Estimand.ATE: "the mean effect of `{d}` on `{y}` over all units: everybody treated, compared "
    "with nobody treated",
    Estimand.LATE: "the mean effect of `{d}` on `{y}` among units whose `{d}` the instrument `{z}` "
    "decides",
    Estimand.COEFFICIENT: "the change of `{y}` that one more unit of `{d}` causes",
}
DESIGNS = {
    "sharp": "A unit is treated where `{x}` is {side} {c}, and nowhere else.",
    "fuzzy": "A unit whose `{x}` is {side} {c} is offered the treatment; not all take it, and some "
    "take it without. The offer drives nobody off.",
    "did": "A panel of units over periods; once `{d}` is 1 it stays 1. Untreated, adopters and "
    "others would have moved in parallel.",
    "observables": "Who is treated depends on the covariates below and on nothing else that moves "
    "the outcome.",
    "iv": "`{z}` is an instrument given the covariates below; `{d}` may depend on what also moves "
    "the outcome.",
}


@dataclass(frozen=True)
class Question:
    """Hold the estimand and the design in words, and what is known of each column."""

    estimand: str
    words: str
    design: str
    columns: tuple[Mapping[str, Any], ...]


def question_of(twin: Twin, table: Mapping[str, Array]) -> Question:
    """Return what a vendor is told of a twin that may leave, whose rows have these columns."""
    design, estimand = twin.design, estimands_of(twin)[0]
    parts = {
        "y": design.outcome, "d": twin.treatment, "x": design.running, "z": design.instrument,
        "c": f"{design.cutoff:.10g}" if design.cutoff is not None else "",
        "side": "at or above" if design.side == "above" else "below",
    }  # fmt: skip
    kind = design.kind if design.kind != "rd" else "fuzzy" if design.fuzzy else "sharp"
    columns = tuple(_column(twin, name) for name in table)
    words, design_words = ESTIMAND_WORDS[estimand].format(**parts), DESIGNS[kind].format(**parts)
    return Question(str(estimand), words, design_words, columns)


def _column(twin: Twin, name: str) -> dict[str, Any]:
    known = next((c for c in twin.known if c.name == name), None)
    kinds = {"continuous": "number", "integer": "whole number", "category": "category"}
    entry: dict[str, Any] = {"name": name, "role": role_of(twin, name)}
    entry["type"] = kinds[known.kind] if known else "whole number"
    if known and known.levels:
        entry["levels"] = sorted(set(known.levels))
    formula = next((d.formula for d in twin.derived if d.name == name), "")
    if formula:
        entry["identity"] = formula
    entry["missing"] = bool(known and known.indicator)
    return entry


def role_of(twin: Twin, name: str) -> str:
    """Return a column's part in the design, in words."""
    design = twin.design
    roles = {
        design.outcome: "outcome", twin.treatment: "treatment", design.running: "running variable",
        design.instrument: "instrument", design.unit: "unit", design.time: "period",
        design.cohort or COHORT: "first treated period, 0 for never",
    }  # fmt: skip
    return roles.get(name, "covariate")


README = """# Data sets for an estimate: what is asked

`data/` holds {count} data sets of {rows} rows, drawn independently of each other from a model of
real data. An effect was planted in each; some effects are the same, some are zero. The rows are
synthetic ({disclosure}).

**Estimate, in each data set by itself, {words}.** ({estimand})

{design}

## Columns

{columns}

## Answers

Fill in `submission.csv`: a line for each data set with `estimate`, the limits `low` and `high` of a
95 % confidence interval, and `decision`, which is {decisions}; left empty, it follows from the
estimate. {loss} The answers are scored by their bias, the coverage of the intervals, wrong signs
and what wrong decisions cost.

## The truths are sealed

`commitments.csv` holds a SHA-256 for each data set. It is that of one line of text, which names the
data set, the SHA-256 of its file, the truth and 256 secret random bits. When the answers are in you
get those lines (`reveal.jsonl`), and

    cibench twin verify THIS_FOLDER reveal.jsonl

says whether they are what was sealed. Without cibench, hash each line, without its line end:

    while IFS= read -r line; do printf %s "$line" | sha256sum; done < reveal.jsonl

compare with `commitments.csv` in its order, and `sha256sum data/*.csv` with `data_sha256`.
"""


FAILED = """**Failed.** The model that these data sets are drawn from failed its own audit: they are
no fit test of a method, and scores on them say nothing."""


def readme(
    question: Question, count: int, rows: int, cost: float, better: str, *, failed: bool = False
) -> str:
    """Return the page that goes with the data sets."""
    sign = "rises" if better == "higher" else "falls"
    loss = (
        f"Rolling out costs {cost:g} a unit, in the outcome's units, and pays where the outcome "
        f"{sign} by more than that."
    )
    text = README.format(
        count=count, rows=rows, words=question.words, estimand=question.estimand,
        design=question.design, columns="\n".join(map(_line, question.columns)), loss=loss,
        decisions=" or ".join(f"`{d}`" for d in DECISIONS), disclosure=DISCLOSURE,
    )  # fmt: skip
    parts = text.rstrip("\n").split("\n\n")
    if failed:
        parts.insert(1, FAILED)
    return "\n\n".join(map(_wrapped, parts)) + "\n"


def _wrapped(part: str) -> str:
    """Break a paragraph into lines; lists, headings and code stay as they are."""
    if part.startswith(("#", "-", "    ")):
        return part
    return fill(part, 88, break_long_words=False, break_on_hyphens=False)


def _line(column: Mapping[str, Any]) -> str:
    more = [column["type"]]
    if "levels" in column:
        more[0] += f" ({', '.join(f'`{v}`' for v in column['levels'])})"
    more += [f"always {column['identity']}"] if "identity" in column else []
    more += ["may be missing"] if column["missing"] else []
    return f"- `{column['name']}`: {column['role']}; {'; '.join(more)}"


DIGITS = 4
"""Numbers keep so many digits of their column's s.d."""


def decimals_of(twin: Twin, pilot: Rows) -> dict[str, int]:
    """Return how many decimals each column of continuous numbers keeps, from rows without effect.

    All data sets use the same, so that the number of digits says nothing of the effect.
    """
    whole = {c.name for c in twin.known if c.kind != "continuous"}
    return {
        name: max(0, DIGITS - 1 - int(np.floor(np.log10(sd))))
        for name, column in pilot.columns.items()
        if name not in whole and (sd := float(column.std())) > 0
    }


def rounded(twin: Twin, drawn: Rows, decimals: Mapping[str, int]) -> Rows:
    """Return rows with rounded columns: nobody crosses the cutoff, sums and products still hold."""
    columns = {
        n: np.round(c, decimals[n]) if n in decimals else c for n, c in drawn.columns.items()
    }
    if any(c.name == twin.design.outcome and c.kind == "integer" for c in twin.known):
        columns[twin.design.outcome] = np.rint(columns[twin.design.outcome])
    name = twin.design.running
    if name in decimals and name in columns:
        columns[name] = _kept_apart(twin, drawn.columns[name], columns[name], decimals[name])
    derived_columns = derive(columns, twin.derived, len(columns[twin.design.outcome]))
    for derived in twin.derived:
        derived_columns[derived.name] = np.round(derived_columns[derived.name], 12)
    return replace(drawn, columns=derived_columns)


def _kept_apart(twin: Twin, before: Array, after: Array, decimals: int) -> Array:
    """Move rows that rounding took across the cutoff back to their own side of it."""
    cutoff, step = float(twin.design.cutoff or 0.0), 10.0**-decimals
    crossed = rule(twin, before) != rule(twin, after)
    here = before >= cutoff
    back = np.where(here, np.ceil(cutoff / step) * step, (np.ceil(cutoff / step) - 1) * step)
    moved = np.where(crossed, np.round(back, decimals), after)
    return np.where(rule(twin, before) == rule(twin, moved), moved, before)


def data_text(twin: Twin, drawn: Rows) -> str:
    """Return rows as the text of a data set's CSV file."""
    import pandas as pd

    known, table = {c.name for c in twin.known}, observed_columns(twin, drawn)
    for name in set(table) - known:  # units, sides of the cutoff and cohorts count
        table[name] = table[name].astype(np.int64)
    frame = pd.DataFrame(table)
    gaps = [c.name for c in twin.known if c.kind == "integer" and c.indicator and c.name in frame]
    frame = frame.astype(dict.fromkeys(gaps, "Int64"))  # or a gap makes 73 a 73.0
    return csv_text(frame)
