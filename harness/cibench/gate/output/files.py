"""The files that a check leaves: verdict.json, junit.xml, summary.md and verdict.html."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from cibench.gate.comparison import CellResult, Comparison
from cibench.gate.compatibility import provenance_lines
from cibench.gate.judge import MeasureVerdict
from cibench.gate.output import cell_views
from cibench.gate.output.cell_views import CellView, changed_most
from cibench.gate.rules import FAILING, MEASURES, ChangeVerdict
from cibench.utils.errors import spelt_out
from cibench.utils.files import make_folder, write_json, write_text
from cibench.utils.missing import for_json

MOST_LINES = 20
MARKS = {
    ChangeVerdict.WORSE: "❌", ChangeVerdict.STATISTICALLY: "⚠️", ChangeVerdict.NOT_COMPARABLE: "❓",
    ChangeVerdict.MOVED: "⚠️", ChangeVerdict.BETTER: "✅", ChangeVerdict.NUMERICALLY: "≈",
    ChangeVerdict.IDENTICAL: "=",
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


def cases_as_xml(
    name: str, cases: Sequence[Case], properties: Mapping[str, str] | None = None
) -> str:
    """Return JUnit XML with one suite of these cases, and what is said of all of them."""
    counts = Counter(case.wrong for case in cases)
    top = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(
        top, "testsuite", name=name, tests=str(len(cases)), failures=str(counts["failure"]),
        errors=str(counts["error"]), skipped="0",
    )  # fmt: skip
    if properties:
        group = ElementTree.SubElement(suite, "properties")
        for key, value in properties.items():
            ElementTree.SubElement(group, "property", name=key, value=value)
    for case in cases:
        element = ElementTree.SubElement(
            suite, "testcase", classname=case.place, name=case.method, time=f"{case.seconds:.3f}"
        )
        if case.wrong:
            ElementTree.SubElement(element, case.wrong, message=case.message).text = case.text
    ElementTree.indent(top)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(top, "unicode") + "\n"


def junit(comparison: Comparison, views: Sequence[CellView]) -> str:
    """Return JUnit XML: a test case for each estimator in each cell, a failure where one fails."""
    name = str(comparison.provenance.get("baseline", "baseline"))
    cases = [_case(one, comparison) for one in views]
    between = dict(enumerate(provenance_lines(comparison.provenance), 1))
    properties = {f"provenance {place}": line for place, line in between.items()}
    return cases_as_xml(f"cibench check against {name}", cases, properties)


def _case(view: CellView, comparison: Comparison) -> Case:
    seconds = view.cell.seconds[1]
    spent = seconds * view.cell.replicates[1] if math.isfinite(seconds) else 0.0
    verdict = view.cell.verdict
    wrong = "error" if verdict is ChangeVerdict.NOT_COMPARABLE else "failure"
    if wrong == "failure" and verdict not in comparison.rules.failing:
        return Case(view.place, view.method, "", str(verdict), seconds=spent)
    lines = list(cell_views.reasons(view))
    text = "\n".join(
        [*lines, *provenance_lines(comparison.provenance), *_commands(view, comparison)]
    )
    why = cell_views.failure_line(view.cell)
    became = cell_views.what_became(view, comparison.rules.tolerance)
    message = "; ".join(words for words in (became, why) if words)
    return Case(view.place, view.method, wrong, message, text, spent)


def _commands(view: CellView, comparison: Comparison) -> list[str]:
    some = changed_most(view.cell, comparison.rules.tolerance, 3)
    return [f"# {r.words}\n{cell_views.replay(comparison, view.cell, r.replicate)}" for r in some]


def markdown(comparison: Comparison, views: Sequence[CellView]) -> str:
    """Return a summary fit for a pull request."""
    loud = [
        view for view in views if view.telling or view.cell.verdict is ChangeVerdict.NOT_COMPARABLE
    ]
    lines = [f"### {MARKS[comparison.verdict]} cibench: {cell_views.headline(comparison)}", ""]
    if loud:
        lines += ["| | where | estimator | measure | before | after | change (error) | margin |",
                  "|---|---|---|---|--:|--:|--:|--:|"]  # fmt: skip
        lines += [_row(view) for view in loud[:MOST_LINES]]
        lines += [f"\n… and {len(loud) - MOST_LINES} more"] if len(loud) > MOST_LINES else []
        lines.append("")
    lines += _details(comparison, views, loud)
    return "\n".join(lines) + "\n"


def _row(view: CellView) -> str:
    cells = [MARKS[view.cell.verdict], view.place, f"`{view.method}`"]
    if view.cell.verdict is ChangeVerdict.NOT_COMPARABLE:
        return table_row(*cells, view.cell.why, "", "", "", "")
    first = view.telling[0]
    return table_row(
        *cells, f"**{cell_views.directions(view)}**",
        cell_views.value(first, first.before), cell_views.value(first, first.after),
        cell_views.change(first), cell_views.margin(first),
    )  # fmt: skip


def table_row(*cells: str) -> str:
    """Return a row of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _details(
    comparison: Comparison, views: Sequence[CellView], loud: Sequence[CellView]
) -> list[str]:
    lines = ["<details><summary>How it was compared</summary>", ""]
    lines.append(f"- {cell_views.level_line(comparison)}")
    others = cell_views.open_line(comparison), cell_views.unchecked_line(comparison)
    lines += [f"- {line}" for line in others if line]
    lines += [f"- {line}" for line in provenance_lines(comparison.provenance)]
    numeric = [view for view in views if view.cell.verdict is ChangeVerdict.NUMERICALLY]
    for view in numeric[:MOST_LINES]:
        words = cell_views.numbers(view.cell, comparison.rules.tolerance)
        lines.append(f"- {view.place}, `{view.method}`: {words}")
    silent = [view for view in views if view.cell.failures]
    for view in silent[:MOST_LINES]:
        lines.append(f"- {view.place}, `{view.method}`: {cell_views.failure_line(view.cell)}")
    commands = [
        c for view in loud if view.cell.verdict in FAILING for c in _commands(view, comparison)[:1]
    ]
    if commands:
        lines += ["", "```sh", *commands[:5], "```"]
    return [*lines, "", "</details>"]


FORMAT = 1
VERDICT, JUNIT, SUMMARY, PAGE = "verdict.json", "junit.xml", "summary.md", "verdict.html"


def write_files(folder: Path, comparison: Comparison, views: Sequence[CellView]) -> None:
    """Write all four files into a folder."""
    from cibench.gate.output.page import page

    make_folder(folder)
    write_json(folder / VERDICT, as_json(comparison, views))
    texts = {
        JUNIT: junit(comparison, views),
        SUMMARY: markdown(comparison, views),
        PAGE: page(comparison, views),
    }
    for name, text in texts.items():
        write_text(folder / name, spelt_out(text))


def as_json(comparison: Comparison, views: Sequence[CellView]) -> dict[str, Any]:
    """Return the comparison as plain data: numbers that are not finite become null or words."""
    rules = comparison.rules
    return {
        "format": FORMAT,
        "verdict": str(comparison.verdict),
        "exit_code": comparison.exit_code,
        "paired": comparison.paired,
        "alpha": rules.alpha,
        "intervals": comparison.intervals,
        "tolerance": rules.tolerance,
        "margins": dict(rules.margins),
        "failing": [str(verdict) for verdict in rules.failing],
        "provenance": dict(comparison.provenance),
        "cells": [_cell(one, comparison) for one in views],
    }


def _cell(view: CellView, comparison: Comparison) -> dict[str, Any]:
    cell = view.cell
    moved = cell.changes
    some = changed_most(cell, comparison.rules.tolerance)
    return {
        "verdict": str(cell.verdict),
        **{name: cell.names[name] for name in cell.names},
        "replicates": list(cell.replicates),
        "why": cell.why or None,
        "notes": list(cell.notes),
        "words": cell_views.what_became(view, comparison.rules.tolerance),
        "failures": cell_views.failure_line(cell) or None,
        "changed_share": None if moved is None else moved.share(comparison.rules.tolerance),
        "largest_change": None if moved is None else for_json(float(moved.largest.max(initial=0))),
        "seconds": [for_json(s) for s in cell.seconds],
        "measures": [_measure(m) for m in cell.measures],
        "changed_most": [_replicate(r, cell, comparison) for r in some],
    }


def _measure(measure: MeasureVerdict) -> dict[str, Any]:
    return {
        "measure": measure.name,
        "verdict": str(measure.verdict),
        "unit": str(MEASURES[measure.name].scale),
        **{
            name: for_json(getattr(measure, name))
            for name in ("before", "after", "difference", "error", "low", "high", "margin", "z")
        },
        "settled": measure.settled,
        "loss": None if measure.loss is None else [for_json(end) for end in measure.loss],
    }


def _replicate(replicate: Any, cell: CellResult, comparison: Comparison) -> dict[str, Any]:
    return {
        "replicate": replicate.replicate,
        "change": for_json(replicate.change),
        "estimate": [for_json(x) for x in replicate.estimate],
        "std_error": [for_json(x) for x in replicate.std_error],
        "limits": [for_json(x) for x in replicate.limits],
        "status": list(replicate.status),
        "reason": replicate.reason or None,
        "replay": cell_views.replay(comparison, cell, replicate.replicate),
    }
