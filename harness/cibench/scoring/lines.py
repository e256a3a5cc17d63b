"""The measures of a part of the replicate table, line by line, with what is blank and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isinf, isnan, nan
from typing import Any

import numpy as np

from cibench.measures import BLANK, Score, failure_rate, heavy, largest_share, mean
from cibench.measures.answers import Group, answers, explained, present
from cibench.measures.families import (
    aligned,
    coverage_common,
    precision_gains,
    simultaneous_coverage,
)
from cibench.measures.groups import measure_diagnostic, measure_estimator
from cibench.rows import CELL
from cibench.scoring.cutting import Part

COUNTS = ("replicates", "answered", "failures", "declined")
DIAGNOSTIC = "a diagnostic has alarms and failures only"
FEW = "too few replicates for a Monte Carlo error"
TARGET = (*CELL, "estimand", "level")


@dataclass(frozen=True)
class Line:
    """Hold one row of the score table in the making, without its keys."""

    counts: tuple[int, ...]
    means: Mapping[str, float]
    scores: dict[str, Score]
    moments: bool
    moments_note: str
    reference: str = ""


def lines(part: Part, catalogue: Mapping[str, Any]) -> list[Line]:
    """Measure every group of a part, alone and beside the others of its cell."""
    found = [_line(*pair, catalogue) for pair in zip(part.names, part.groups, strict=True)]
    for members in families(part, (*TARGET, "horizon")):
        _compare(members, part, found, catalogue)
    for members in families(part, (*TARGET, "estimator", "options")):
        groups = aligned([part.groups[i] for i in members])
        banded = simultaneous_coverage(groups, [found[i].means["truth_mcse"] for i in members])
        for i in members:
            _add(found[i], part.groups[i], "simultaneous_coverage", banded)
    return found


def note(scores: Mapping[str, Score], measures: Iterable[str]) -> str:
    """Say of every measure that is blank or has no error why that is so."""
    reasons: dict[str, list[str]] = {}
    for name in measures:
        score = scores.get(name, BLANK)
        if isnan(score.value):
            reasons.setdefault(score.why or DIAGNOSTIC, []).append(name)
        elif isnan(score.mcse):
            why = "infinite" if isinf(score.value) else FEW
            reasons.setdefault(why, []).append(name)
    return "; ".join(f"{why}: {', '.join(names)}" for why, names in reasons.items())


def _line(names: Mapping[str, Any], group: Group, catalogue: Mapping[str, Any]) -> Line:
    replicates, failures = group["ok"].size, int(group["failed"].sum())
    counts = (replicates, int(group["ok"].sum()), failures, int(group["declined"].sum()))
    means = {name: mean(*present(group, name)) for name in ("truth", "truth_mcse", "seconds")}
    reason = without_moments(names, group, catalogue)
    if names["kind"] == "diagnostic":
        scores = measure_diagnostic(group)
    else:
        error = float(np.nan_to_num(means["truth_mcse"]))
        level = nan if names["level"] is None else float(names["level"])
        scores = measure_estimator(group, error, level, moments=not reason)
    scores["failure_rate"] = failure_rate(failures, replicates)
    return Line(counts, means, scores, not reason, reason)


def without_moments(names: Mapping[str, Any], group: Group, catalogue: Mapping[str, Any]) -> str:
    """Say why the averages of a group cannot be believed, "" where they can."""
    for part, key in (("estimators", "estimator"), ("scenarios", "scenario")):
        said = (catalogue.get(part) or {}).get(names[key]) or {}
        if not said.get("moments", True):
            return "declared"
    t, theta = present(answers(group), "estimate", "truth")
    share = largest_share(t, theta)
    if names["kind"] == "diagnostic" or not heavy(share, t.size):
        return ""
    return f"one replicate makes {100 * share:.0f} % of the sum of squares"


def families(part: Part, keys: Sequence[str]) -> list[list[int]]:
    """Return the groups of estimators, not of diagnostics, that agree in all of the keys."""
    families: dict[tuple[Any, ...], list[int]] = {}
    for i, names in enumerate(part.names):
        if names["kind"] != "diagnostic":
            families.setdefault(tuple(names[key] for key in keys), []).append(i)
    return list(families.values())


def in_order(members: list[int], part: Part, catalogue: Mapping[str, Any]) -> list[int]:
    """Sort groups as the catalogue has their estimators, which is the suite's order, not the rows'.

    In this order a reference is looked for.
    """
    order = {name: place for place, name in enumerate(catalogue.get("estimators") or {})}

    def rank(i: int) -> tuple[float, str, str]:
        names = part.names[i]
        name = str(names["estimator"])
        return order.get(name, inf), name, str(names["options"])

    return sorted(members, key=rank)


def _compare(
    members: list[int], part: Part, found: list[Line], catalogue: Mapping[str, Any]
) -> None:
    """Add what compares the estimators of one cell and target."""
    members = in_order(members, part, catalogue)
    groups = aligned([part.groups[i] for i in members])
    common = coverage_common(groups, float(np.nan_to_num(found[members[0]].means["truth_mcse"])))
    gains, first = precision_gains(groups)
    for i, held, gain in zip(members, common, gains, strict=True):
        _add(found[i], part.groups[i], "coverage_common", held)
        _add(found[i], part.groups[i], "precision_gain", gain)
        if first is not None:
            reference = str(part.names[members[first]]["estimator"])
            found[i] = replace(found[i], reference=reference)


def _add(line: Line, group: Group, name: str, score: Score) -> None:
    line.scores[name] = explained(name, score, group)
