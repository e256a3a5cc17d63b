"""What a check of expectations prints and leaves: verdict.json, junit.xml and summary.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from cibench.analysis.equalities import COLUMNS, UNEQUAL
from cibench.analysis.expectations import EXPECTATIONS, FAULTS, ExpectationVerdict
from cibench.analysis.judged_scores import Judged
from cibench.gate.expectations import FAILING, Expectations
from cibench.gate.output.files import (
    FORMAT,
    JUNIT,
    MARKS,
    SUMMARY,
    VERDICT,
    Case,
    cases_as_xml,
    table_row,
)
from cibench.gate.rules import ChangeVerdict
from cibench.report.judged_words import fact
from cibench.report.sections import equalities
from cibench.report.summary import surprise_lines
from cibench.storage.manifest import SKIPPED, skipped_checks
from cibench.storage.schema import SCORED
from cibench.utils.files import make_folder, write_json, write_text
from cibench.utils.missing import for_json

if TYPE_CHECKING:
    from cibench.results.run_folder import Run

MOST = 30
LEFT_OUT = (*SCORED, "coverage_verdict", "bands_verdict", "bias_verdict", "se_ratio_verdict")
KEPT = tuple(name for name in EXPECTATIONS if name not in LEFT_OUT)


def print_expectations(out: Console, expectations: Expectations) -> None:
    """Print surprises and counts, what is undecided, and where the report lies."""
    for line in surprise_lines(expectations.run.expectations, expectations.run.catalogue):
        out.print(Text(line))
    run = expectations.run
    for line in equalities.summary_lines(run.equalities, run.catalogue, run.place):
        out.print(line, markup=False, soft_wrap=True)
    if skipped_checks(run.manifest):
        out.print(SKIPPED, markup=False, soft_wrap=True)
    style = "bold red" if expectations.exit_code else "bold green"
    out.print(Text(expectations.headline, style=style))
    if (page := expectations.run.folder / "report.html").is_file():
        out.print(f"page: {page.resolve()}", markup=False, soft_wrap=True)


def write_expectations(folder: Path, expectations: Expectations) -> None:
    """Write the files into a folder."""
    make_folder(folder)
    failing, run = [str(v) for v in expectations.failing], expectations.run
    content = {
        "format": FORMAT, "verdict": expectations.headline.partition(":")[0],
        "exit_code": expectations.exit_code, "failing": failing,
        "run": str(expectations.run.folder),
        "replicates": expectations.run.manifest["replicates"],
        "unchecked": skipped_checks(run.manifest),
        "cells": [
            {name: for_json(row[name]) for name in (*SCORED, *KEPT)} for row in expectations.rows
        ],
        "equalities": [
            {name: for_json(row[name]) for name in COLUMNS}
            for row in run.equalities.to_dict("records")
        ],
    }  # fmt: skip
    write_json(folder / VERDICT, content)
    cases = [_case(row, failing) for row in expectations.rows]
    cases += [_equality(row, failing, run) for row in expectations.equalities]
    texts = {JUNIT: cases_as_xml("cibench check --expect", cases), SUMMARY: markdown(expectations)}
    for name, text in texts.items():
        write_text(folder / name, text)


def markdown(expectations: Expectations) -> str:
    """Return a summary fit for a pull request."""
    mark = MARKS[ChangeVerdict.WORSE if expectations.exit_code else ChangeVerdict.BETTER]
    lines = [f"### {mark} cibench: {expectations.headline}", ""]
    loud = [
        r for r in expectations.rows if r["verdict"] in (*FAILING, ExpectationVerdict.INCONCLUSIVE)
    ]
    if loud:
        names = ("verdict", "where", "estimator", "what was found", "why")
        lines += [table_row(*names), "|---|---|---|---|---|"]
        lines += [table_row(*_cells(row)) for row in loud[:MOST]]
    wrong = [row for row in expectations.equalities if row["verdict"] in UNEQUAL]
    lines += [f"- {equalities.sentence(row)}" for row in wrong[:MOST]]
    lines += [f"- {SKIPPED}"] if skipped_checks(expectations.run.manifest) else []
    return "\n".join(lines) + "\n"


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    method = f"`{row['estimator']}`"
    why = row["note"] if row["verdict"] in FAULTS else row["because"]
    return row["verdict"], _place(row), method, _facts(row), why


def in_words(row: Mapping[str, Any]) -> str:
    """Say what was expected of a row and what was found."""
    return (
        f"{_place(row)}: {row['estimator']} {_finding(row)}; expected {row['expected']}: "
        f"{row['because']}"
    )


def _finding(row: Mapping[str, Any]) -> str:
    """Say the verdict and what it rests on: numbers and their bounds, or what is wrong."""
    if row["verdict"] in FAULTS:
        return f"{row['verdict']}: {row['note']}"
    return f"{row['verdict']}: {_facts(row)}"


def _facts(row: Mapping[str, Any]) -> str:
    """Say of each number that decides the verdict what it is and what it is held to."""
    facts = "; ".join(fact(row, Judged(name)) for name in row["decided_by"].split(", ") if name)
    return f"{facts}; {row['tries']:,} tries" if facts else ""


def _case(row: Mapping[str, Any], failing: list[str]) -> Case:
    wrong = row["verdict"] in failing
    return Case(
        _place(row),
        str(row["estimator"]),
        "failure" if wrong else "",
        _finding(row),
        row["because"],
    )


def _equality(row: Mapping[str, Any], failing: list[str], run: Run) -> Case:
    commands = equalities.commands(row, run.place, run.catalogue)
    methods = f"{row['method']} = {row['other_method']} ({row['quantity']})"
    return Case(
        equalities.where(row), methods, "failure" if row["verdict"] in failing else "",
        equalities.finding(row), "\n".join(filter(None, [row["why"], *commands])),
    )  # fmt: skip


def _place(row: Mapping[str, Any]) -> str:
    dial = f", {row['dial']} = {row['setting']:g}" if isinstance(row["dial"], str) else ""
    return f"{row['scenario']}, n = {row['n']}{dial}"
