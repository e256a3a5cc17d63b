"""The files that a check leaves: verdict.json, junit.xml, summary.md and verdict.html."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cibench.files import write_atomically, write_json
from cibench.gate import telling
from cibench.gate.compare import CellResult, Comparison
from cibench.gate.judge import Judged
from cibench.gate.rules import MEASURES
from cibench.gate.telling import Told
from cibench.gate.texts import junit, markdown
from cibench.gate.worst import changed_most

FORMAT = 1
VERDICT, JUNIT, SUMMARY, PAGE = "verdict.json", "junit.xml", "summary.md", "verdict.html"


def write_files(folder: Path, found: Comparison, told: Sequence[Told]) -> None:
    """Write all four files into a folder."""
    from cibench.gate.page import page

    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / VERDICT, as_json(found, told))
    texts = {JUNIT: junit(found, told), SUMMARY: markdown(found, told), PAGE: page(found, told)}
    for name, text in texts.items():
        write_atomically(folder / name, partial(_write, text))


def _write(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


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
        "replay": telling.replay(run, cell, one.replicate),
    }


def _plain(x: float) -> float | str | None:
    if math.isnan(x):
        return None
    return float(x) if math.isfinite(x) else ("inf" if x > 0 else "-inf")
