"""A check as a pull request and a build server read it: Markdown and JUnit XML."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from cibench.gate import quantities, telling
from cibench.gate.compare import Comparison
from cibench.gate.provenance import notes
from cibench.gate.rules import FAILING, MEASURES, Verdict
from cibench.gate.telling import Told
from cibench.gate.worst import changed_most

MOST_LINES = 20
MARKS = {
    Verdict.WORSE: "❌", Verdict.STATISTICALLY: "⚠️", Verdict.NOT_COMPARABLE: "❓",
    Verdict.BETTER: "✅", Verdict.NUMERICALLY: "≈", Verdict.IDENTICAL: "=",
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
    wrong = "error" if verdict is Verdict.NOT_COMPARABLE else "failure"
    if wrong == "failure" and verdict not in found.rules.failing:
        return Case(one.place, one.method, "", str(verdict), seconds=spent)
    lines = list(telling.reasons(one))
    text = "\n".join([*lines, *_commands(one, found)])
    return Case(one.place, one.method, wrong, f"{verdict}: {lines[0]}", text, spent)


def _commands(one: Told, found: Comparison) -> list[str]:
    run = str(found.provenance.get("run", "RUN"))
    some = changed_most(one.cell, found.rules.tolerance, 3)
    return [telling.replay(run, one.cell, r.replicate) for r in some]


def markdown(found: Comparison, told: Sequence[Told]) -> str:
    """Return a summary fit for a pull request."""
    loud = [one for one in told if one.telling or one.cell.verdict is Verdict.NOT_COMPARABLE]
    lines = [f"### {MARKS[found.verdict]} cibench: {telling.headline(found)}", ""]
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
    if one.cell.verdict is Verdict.NOT_COMPARABLE:
        return table_row(*cells, one.cell.why, "", "", "", "")
    first, *others = one.telling
    more = f" (and {len(others)} more)" if others else ""
    return table_row(
        *cells, f"{MEASURES[first.name].words} **{first.verdict}**{more}",
        quantities.value(first, first.before), quantities.value(first, first.after),
        quantities.change(first), quantities.margin(first),
    )  # fmt: skip


def table_row(*cells: str) -> str:
    """Return a row of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _details(found: Comparison, told: Sequence[Told], loud: Sequence[Told]) -> list[str]:
    lines = ["<details><summary>How it was compared</summary>", ""]
    lines.append(f"- {telling.level_line(found)}")
    lines += [f"- {line}" for line in (telling.open_line(found),) if line]
    lines += [f"- {note}" for note in (notes(found.provenance) if found.provenance else [])]
    numeric = [one for one in told if one.cell.verdict is Verdict.NUMERICALLY]
    for one in numeric[:MOST_LINES]:
        said = telling.numbers(one.cell, found.rules.tolerance)
        lines.append(f"- {one.place}, `{one.method}`: numerically changed: {said}")
    commands = [c for one in loud if one.cell.verdict in FAILING for c in _commands(one, found)[:1]]
    if commands:
        lines += ["", "```sh", *commands[:5], "```"]
    return [*lines, "", "</details>"]
