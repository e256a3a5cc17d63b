"""Gather the dose-response curves of a run, the replicates aligned over the settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.errors import BadInput
from cibench.measures import covers
from cibench.measures.answers import Group
from cibench.model import Array
from cibench.rows import SCORED
from cibench.scoring.cutting import arrow, check, cut
from cibench.sensitivity.curve import KEYS, Curve, Line

if TYPE_CHECKING:
    import pandas as pd

_NUMBERS = ("estimate", "truth", "ci_low", "ci_high")
_SCORES = (
    *SCORED, "moments", "truth_mcse", "bias", "bias_mcse", "mse", "mse_mcse", "rmse", "rmse_mcse",
    "coverage", "coverage_mcse", "coverage_with_failures", "coverage_with_failures_mcse",
    "rejection", "rejection_mcse", "ci_length", "ci_length_mcse",
)  # fmt: skip

Key = tuple[Any, ...]


def gather(rows: pd.DataFrame, scores: pd.DataFrame, catalogue: Mapping[str, Any]) -> list[Curve]:
    """Return every curve of a run, in the order of the score table.

    A curve holds the settings of one dial that was moved alone, and the default cell where it was
    run. Diagnostics and fits repeated on one data set are left out. Raises BadInput if columns
    are missing or the two tables do not belong together.
    """
    if missing := [column for column in _SCORES if column not in scores.columns]:
        raise BadInput(f"the score table lacks columns: {', '.join(missing)}")
    cells = _cells(rows)
    starts: dict[Key, Line] = {}
    moved: dict[Key, list[Line]] = {}
    known = catalogue.get("scenarios") or {}
    for line in scores[scores["kind"] == "estimate"].to_dict("records"):
        named: Line = {str(k): v for k, v in line.items()}
        if not _blank(named["dial"]):
            moved.setdefault(_key(named, KEYS), []).append(named)
        elif at_default(named["dials"], dials_of(known, named["scenario"])):
            starts[_key({**named, "dial": None}, KEYS)] = named
    return [
        _curve(lines, starts.get(_key({**lines[0], "dial": None}, KEYS)), cells,
               dials_of(known, lines[0]["scenario"]).get(lines[0]["dial"]) or {})
        for lines in moved.values()
    ]  # fmt: skip


def _cells(rows: pd.DataFrame) -> dict[Key, Group]:
    """Cut the rows of estimators into cells, each as columns in replicate order."""
    check(rows.columns)
    part = cut(arrow(rows), (*_NUMBERS, "outside"))
    pairs = zip(part.names, part.groups, strict=True)
    return {_key(names, SCORED): group for names, group in pairs if names["kind"] == "estimate"}


def _curve(
    lines: list[Line], start: Line | None, cells: Mapping[Key, Group], about: Mapping[str, Any]
) -> Curve:
    """Align the answers at all settings by their replicate."""
    default = float(about.get("default", 0.0))
    first = lines[0]
    places = [(float(line["setting"]), line) for line in lines]
    places += [] if start is None else [(default, start)]
    places.sort(key=lambda place: place[0])
    lines = [line for _, line in places]
    found = [_found(cells, line) for line in lines]
    replicates = np.unique(np.concatenate([cell["replicate"] for cell in found]))
    parts = [_aligned(cell, replicates) for cell in found]
    return Curve(
        {name: first[name] for name in KEYS}, str(about.get("breaks") or ""), default,
        about.get("paired", True) is not False, about.get("truth") == "moves",
        np.array([setting for setting, _ in places]), lines,
        **{name: np.array([part[name] for part in parts]) for name in parts[0]},
    )  # fmt: skip


def _found(cells: Mapping[Key, Group], line: Line) -> Group:
    cell = cells.get(_key(line, SCORED))
    if cell is None:
        where = f"{line['scenario']} {line['dials']} n={line['n']} {line['estimator']}"
        raise BadInput(f"the score table holds {where}, the replicate table has no row of it")
    return cell


def _aligned(cell: Group, replicates: Array) -> dict[str, Array]:
    """Spread a cell's columns over all replicates of its curve."""
    place = np.searchsorted(replicates, cell["replicate"])
    t, truth, low, high = (np.where(cell["ok"], cell[name], nan) for name in _NUMBERS)
    rays = cell["outside"] == 1
    with np.errstate(invalid="ignore"):
        ordinary = np.isfinite(low) & np.isfinite(high) & (low <= high) & ~rays & ~np.isnan(truth)
        columns = {
            "there": np.ones(place.size, dtype=bool), "ok": cell["ok"],
            "covered": covers(low, high, truth, rays) & ~np.isnan(truth), "ordinary": ordinary,
            "error": t - truth, "low": low - truth, "high": high - truth,
        }  # fmt: skip
    spread = {}
    for name, column in columns.items():
        spread[name] = np.full(replicates.size, nan if column.dtype == float else False)
        spread[name][place] = column
    return spread


def dials_of(known: Mapping[str, Any], scenario: Any) -> Mapping[str, Any]:
    """Return what the catalogue's scenarios say of one's dials."""
    found: Mapping[str, Any] = (known.get(scenario) or {}).get("dials") or {}
    return found


def at_default(dials: Any, about: Mapping[str, Any]) -> bool:
    """Say whether a row's dials are all where the catalogue's dials of its scenario start."""
    given = {} if _blank(dials) else json.loads(dials)
    return all(v == (about.get(name) or {}).get("default", 0) for name, v in given.items())


def _key(line: Mapping[Any, Any], names: Sequence[str]) -> Key:
    return tuple(None if _blank(line[name]) else line[name] for name in names)


def _blank(value: Any) -> bool:
    return value is None or value != value or str(value) == "<NA>"  # noqa: PLR0124 - NaN
