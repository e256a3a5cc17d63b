"""The score table as people read it on a terminal or in a notebook: few columns, errors beside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cibench.analysis.coverage_verdicts import CoverageVerdict
from cibench.analysis.expectations import FAULTS, ExpectationVerdict
from cibench.metrics.registry import listed
from cibench.render.labels import label, view_titles
from cibench.render.numbers import BLANK, count
from cibench.report.score_readings import limits_notes, verdict_of
from cibench.report.sections import expectations as surprises
from cibench.report.views import KEYS, Score, median_notes, scale_notes, written

if TYPE_CHECKING:
    import pandas as pd

HEADINGS = {"coverage_with_failures": "coverage %"}
"""Failures are misses here, as in the mark beside it; a column says how many there were."""

CONFIRMED = (ExpectationVerdict.VALID, ExpectationVerdict.FAILS, ExpectationVerdict.CONSERVATIVE)


def summary(
    scores: pd.DataFrame, expectations: pd.DataFrame, catalogue: Mapping[str, Any]
) -> pd.DataFrame:
    """Return a line of text columns for each score, with `broken` saying that it under-covers.

    Moments stand beside their Monte Carlo standard error, shares beside their Wilson limits;
    coverage counts failures as misses. Moments of estimators without any are medians with a mark
    or dashes (`summary_notes` says so), and blanks are dashes.
    """
    import pandas as pd

    verdicts = expectations["coverage_verdict"].to_numpy()
    named = label(scores.assign(coverage_verdict=verdicts), catalogue)
    keys = [{str(k): v for k, v in row.items()} for row in named[KEYS].to_dict("records")]
    lines = zip(view_titles(keys), named.to_dict("records"), strict=True)
    return pd.DataFrame([_line(title, row) for title, row in lines])


def summary_notes(scores: pd.DataFrame, catalogue: Mapping[str, Any]) -> list[str]:
    """Return the footnotes of the table: whose averages are medians, or shown all the same."""
    lines = label(scores, catalogue).to_dict("records")
    return [*median_notes(lines, listed("summary")), *limits_notes(lines), *scale_notes(lines)]


def surprise_lines(expectations: pd.DataFrame, catalogue: Mapping[str, Any]) -> list[str]:
    """Return lines that say what was a surprise, and how much is not decided yet."""
    rows = surprises.lines(expectations, catalogue)
    faulty = [row for row in rows if row["verdict"] in FAULTS]
    if not surprises.expected(rows) and not faulty:
        return []
    counts = surprises.tally(rows)
    kept = [f"{n:,} {verdict}" for verdict, n in counts.items() if verdict in CONFIRMED]
    head = "; ".join(filter(None, (surprises.heading(rows), ", ".join(kept))))
    lines = [
        f"  {s.method} {s.worst['verdict']} in {s.worst['scenario']} {s.sentence}"
        for s in surprises.surprises(rows)
    ]
    later = surprises.selected(rows), surprises.undecided(rows)
    return [head, *_fault_lines(faulty), *lines, *filter(None, later)]


def _fault_lines(faulty: Iterable[Mapping[str, Any]]) -> list[str]:
    """Write a line for each method, scenario and fault: the first row, and how many more."""
    rows: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in faulty:
        rows.setdefault((row["method"], row["scenario"], row["verdict"]), []).append(row)
    lines = []
    for (method, scenario, verdict), (first, *others) in rows.items():
        text = f"  {method} {first['note']} in {scenario}, {first['title']}, {first['at']}"
        more = f"; {verdict} in {count(len(others), 'more row')} of expectations.csv"
        lines.append(text + more if others else text)
    return lines


def _line(title: str, row: Score) -> dict[str, Any]:
    line: dict[str, Any] = {
        "scenario": f"{row['scenario']}, {title}",
        "setting": row["at"],
        "estimator": row["method"],
    }
    for metric in listed("summary"):
        silent = verdict_of(row) is CoverageVerdict.SILENT
        line[HEADINGS.get(metric.name, metric.heading)] = BLANK if silent else written(row, metric)
    lost = row["failures"] + row["declined"]
    line["no answer"] = f"{lost} of {row['replicates']}" if lost else "0"
    line["broken"] = row["kind"] == "estimate" and verdict_of(row) is CoverageVerdict.BROKEN
    return line
