"""The files that a check leaves: verdict.json, junit.xml, summary.md and verdict.html."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from cibench.gate.comparison import CellResult, Comparison
from cibench.gate.compatibility import notes
from cibench.gate.judge import Judged
from cibench.gate.output import cell_views
from cibench.gate.output.cell_views import Told, changed_most
from cibench.gate.rules import FAILING, MEASURES, ChangeVerdict
from cibench.utils.files import make_folder, write_json, write_text

MOST_LINES = 20
MARKS = {
    ChangeVerdict.WORSE: "❌", ChangeVerdict.STATISTICALLY: "⚠️", ChangeVerdict.NOT_COMPARABLE: "❓",
    ChangeVerdict.BETTER: "✅", ChangeVerdict.NUMERICALLY: "≈", ChangeVerdict.IDENTICAL: "=",
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """Hold a test case: `wrong` is "failure", "error" or "" of one that passed."""

    place: str
    method: str
    wrong: str
    message: str
    text: str = ""
    seconds: float = 0.0


def cases_as_xml(name: str, cases: Sequence[Case]) -> str:
    """Return JUnit XML with one suite of these cases."""
    counts = Counter(case.wrong for case in cases)
    top = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(
        top, "testsuite", name=name, tests=str(len(cases)), failures=str(counts["failure"]),
        errors=str(counts["error"]), skipped="0",
    )  # fmt: skip
    for case in cases:
        made = ElementTree.SubElement(
            suite, "testcase", classname=case.place, name=case.method, time=f"{case.seconds:.3f}"
        )
        if case.wrong:
            ElementTree.SubElement(made, case.wrong, message=case.message).text = case.text
    ElementTree.indent(top)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(top, "unicode") + "\n"


def junit(found: Comparison, told: Sequence[Told]) -> str:
    """Return JUnit XML: a test case for each estimator in each cell, a failure where one fails."""
    name = str(found.provenance.get("baseline", "baseline"))
    return cases_as_xml(f"cibench check against {name}", [_case(one, found) for one in told])


def _case(one: Told, found: Comparison) -> Case:
    seconds = one.cell.seconds[1]
    spent = seconds * one.cell.replicates[1] if math.isfinite(seconds) else 0.0
    verdict = one.cell.verdict
    wrong = "error" if verdict is ChangeVerdict.NOT_COMPARABLE else "failure"
    if wrong == "failure" and verdict not in found.rules.failing:
        return Case(one.place, one.method, "", str(verdict), seconds=spent)
    lines = list(cell_views.reasons(one))
    text = "\n".join([*lines, *_commands(one, found)])
    return Case(one.place, one.method, wrong, f"{verdict}: {lines[0]}", text, spent)


def _commands(one: Told, found: Comparison) -> list[str]:
    run = str(found.provenance.get("run", "RUN"))
    some = changed_most(one.cell, found.rules.tolerance, 3)
    return [cell_views.replay(run, one.cell, r.replicate) for r in some]


def markdown(found: Comparison, told: Sequence[Told]) -> str:
    """Return a summary fit for a pull request."""
    loud = [one for one in told if one.telling or one.cell.verdict is ChangeVerdict.NOT_COMPARABLE]
    lines = [f"### {MARKS[found.verdict]} cibench: {cell_views.headline(found)}", ""]
    if loud:
        lines += ["| | where | estimator | measure | before | after | change (error) | margin |",
                  "|---|---|---|---|--:|--:|--:|--:|"]  # fmt: skip
        lines += [_row(one) for one in loud[:MOST_LINES]]
        lines += [f"\n… and {len(loud) - MOST_LINES} more"] if len(loud) > MOST_LINES else []
        lines.append("")
    lines += _details(found, told, loud)
    return "\n".join(lines) + "\n"


def _row(one: Told) -> str:
    cells = [MARKS[one.cell.verdict], one.place, f"`{one.method}`"]
    if one.cell.verdict is ChangeVerdict.NOT_COMPARABLE:
        return table_row(*cells, one.cell.why, "", "", "", "")
    first, *others = one.telling
    more = f" (and {len(others)} more)" if others else ""
    return table_row(
        *cells, f"{MEASURES[first.name].words} **{first.verdict}**{more}",
        cell_views.value(first, first.before), cell_views.value(first, first.after),
        cell_views.change(first), cell_views.margin(first),
    )  # fmt: skip


def table_row(*cells: str) -> str:
    """Return a row of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _details(found: Comparison, told: Sequence[Told], loud: Sequence[Told]) -> list[str]:
    lines = ["<details><summary>How it was compared</summary>", ""]
    lines.append(f"- {cell_views.level_line(found)}")
    lines += [f"- {line}" for line in (cell_views.open_line(found),) if line]
    lines += [f"- {note}" for note in (notes(found.provenance) if found.provenance else [])]
    numeric = [one for one in told if one.cell.verdict is ChangeVerdict.NUMERICALLY]
    for one in numeric[:MOST_LINES]:
        said = cell_views.numbers(one.cell, found.rules.tolerance)
        lines.append(f"- {one.place}, `{one.method}`: numerically changed: {said}")
    commands = [c for one in loud if one.cell.verdict in FAILING for c in _commands(one, found)[:1]]
    if commands:
        lines += ["", "```sh", *commands[:5], "```"]
    return [*lines, "", "</details>"]


FORMAT = 1
VERDICT, JUNIT, SUMMARY, PAGE = "verdict.json", "junit.xml", "summary.md", "verdict.html"


def write_files(folder: Path, found: Comparison, told: Sequence[Told]) -> None:
    """Write all four files into a folder."""
    from cibench.gate.output.page import page

    make_folder(folder)
    write_json(folder / VERDICT, as_json(found, told))
    texts = {JUNIT: junit(found, told), SUMMARY: markdown(found, told), PAGE: page(found, told)}
    for name, text in texts.items():
        write_text(folder / name, text)


def as_json(found: Comparison, told: Sequence[Told]) -> dict[str, Any]:
    """Return the comparison as plain data: numbers that are not finite become null or words."""
    rules = found.rules
    return {
        "format": FORMAT,
        "verdict": str(found.verdict),
        "exit_code": found.exit_code,
        "paired": found.paired,
        "alpha": rules.alpha,
        "intervals": found.intervals,
        "tolerance": rules.tolerance,
        "margins": dict(rules.margins),
        "failing": [str(verdict) for verdict in rules.failing],
        "provenance": dict(found.provenance),
        "cells": [_cell(one, found) for one in told],
    }


def _cell(one: Told, found: Comparison) -> dict[str, Any]:
    cell = one.cell
    moved = cell.changes
    some = changed_most(cell, found.rules.tolerance)
    return {
        "verdict": str(cell.verdict),
        **{name: cell.names[name] for name in cell.names},
        "replicates": list(cell.replicates),
        "why": cell.why or None,
        "notes": list(cell.notes),
        "changed_share": None if moved is None else moved.share(found.rules.tolerance),
        "largest_change": None if moved is None else _plain(float(moved.largest.max(initial=0))),
        "seconds": [_plain(s) for s in cell.seconds],
        "measures": [_measure(m) for m in cell.measures],
        "changed_most": [_replicate(r, cell, found) for r in some],
    }


def _measure(one: Judged) -> dict[str, Any]:
    return {
        "measure": one.name,
        "verdict": str(one.verdict),
        "unit": str(MEASURES[one.name].scale),
        **{
            name: _plain(getattr(one, name))
            for name in ("before", "after", "difference", "error", "low", "high", "margin", "z")
        },
        "settled": one.settled,
        "loss": None if one.loss is None else [_plain(end) for end in one.loss],
    }


def _replicate(one: Any, cell: CellResult, found: Comparison) -> dict[str, Any]:
    run = str(found.provenance.get("run", "RUN"))
    return {
        "replicate": one.replicate,
        "change": _plain(one.change),
        "estimate": [_plain(x) for x in one.estimate],
        "std_error": [_plain(x) for x in one.std_error],
        "status": list(one.status),
        "replay": cell_views.replay(run, cell, one.replicate),
    }


def _plain(x: float) -> float | str | None:
    if math.isnan(x):
        return None
    return float(x) if math.isfinite(x) else ("inf" if x > 0 else "-inf")
