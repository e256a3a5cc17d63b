"""Dose-response curves: one answer at every setting of one dial, aligned by replicate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench.metrics.groups import Group
from cibench.metrics.intervals import covers
from cibench.model.catalogue import at_default, dials_of
from cibench.model.types import TARGET, Array
from cibench.storage import CellRows
from cibench.storage.schema import SCORED
from cibench.storage.spool import SpooledGroup
from cibench.utils.errors import BadInput
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd

KEYS = (
    "scenario", "dial", "parameters", "options", "estimator", *TARGET, "n", "level",
)  # fmt: skip
"""What names a curve."""

Line = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Curve:
    """Hold what one estimator answered at every setting of one dial.

    `settings` ascend and `scores` are the score table's lines at them. Each matrix has a line for
    a setting and a column for a replicate. `there` marks the tries, replicates that were run and
    not declined, `covered` those whose set holds the truth: a failure, or an answer without limits,
    holds nothing. `error` and the limits `low` and `high` are relative to the truth, NaN where
    there is none; `rays` marks sets that are all outside their limits, `ordinary` those that are
    intervals of finite length.
    """

    key: Line
    assumption: str
    default: float
    paired: bool
    truth_moves: bool
    settings: Array
    scores: Sequence[Line]
    there: Array
    ok: Array
    covered: Array
    rays: Array
    ordinary: Array
    error: Array
    low: Array
    high: Array

    @property
    def answered(self) -> Array:
        """Mark the replicates that have an estimate and a truth."""
        return ~np.isnan(self.error)

    @property
    def has_limits(self) -> bool:
        """Say whether coverage means something: limits somewhere, or no answer at all."""
        return bool((self.ok & ~np.isnan(self.low)).any() or not self.ok.any())

    def score(self, name: str) -> Array:
        """Return one column of the score table, a number for each setting."""
        return np.array([line[name] for line in self.scores], dtype=float)


@dataclass(frozen=True, eq=False)
class Side:
    """Hold one way a dial goes: the places `at` of its settings, the mildest first.

    `sign` is 1 above the default and -1 below; `from_default` says whether the first of them is
    the default itself.
    """

    sign: int
    at: Array
    from_default: bool


def sides(curve: Curve) -> list[Side]:
    """Return the ways in which the dial was moved, upwards first."""
    start = np.flatnonzero(curve.settings == curve.default)
    directions = []
    for sign in (1, -1):
        at = np.flatnonzero(sign * (curve.settings - curve.default) > 0)[::sign]
        if at.size:
            directions.append(Side(sign, np.concatenate([start, at]), bool(start.size)))
    return directions


_NUMBERS = ("estimate", "truth", "ci_low", "ci_high")
_ROWS = ("replicate", "ok", "declined", *_NUMBERS, "outside")
_SCORES = (
    *SCORED, "replicates", "declined", "moments", "truth_mcse", "bias", "bias_mcse", "mse",
    "mse_mcse", "rmse", "rmse_mcse", "coverage", "coverage_mcse", "coverage_with_failures",
    "coverage_with_failures_mcse", "rejection", "rejection_mcse", "ci_length", "ci_length_mcse",
)  # fmt: skip

Key = tuple[Any, ...]


Cells = Mapping[Key, SpooledGroup]
"""The answers of one estimator in one cell, by their `SCORED` keys."""


def put_aside(cell: CellRows, catalogue: Mapping[str, Any]) -> Iterator[tuple[Key, SpooledGroup]]:
    """Put aside the answers in a cell that is on a curve: where one dial was moved, or none."""
    known = catalogue.get("scenarios") or {}
    for place, names in enumerate(cell.part.names):
        if names["kind"] == "estimate" and (
            names["dial"] is not None
            or at_default(names["dials"], dials_of(known, names["scenario"]))
        ):
            yield _key(names, SCORED), cell.put_aside(place, _ROWS)


def gather(cells: Cells, scores: pd.DataFrame, catalogue: Mapping[str, Any]) -> Iterator[Curve]:
    """Yield every curve of a run, in the order of the score table.

    A curve holds the settings of one dial that was moved alone, and the default cell where it was
    run, as far as anything was tried there: a setting at which every data set was declined has
    none. Diagnostics and fits repeated on one data set are left out. Raises BadInput if columns
    are missing or the two tables do not belong together.
    """
    if lacking := [column for column in _SCORES if column not in scores.columns]:
        raise BadInput(f"the score table lacks columns: {', '.join(lacking)}")
    starts: dict[Key, Line] = {}
    moved: dict[Key, list[Line]] = {}
    known = catalogue.get("scenarios") or {}
    for line in scores[scores["kind"] == "estimate"].to_dict("records"):
        named: Line = {str(k): v for k, v in line.items()}
        if named["declined"] == named["replicates"]:
            continue
        if not missing(named["dial"]):
            moved.setdefault(_key(named, KEYS), []).append(named)
        elif at_default(named["dials"], dials_of(known, named["scenario"])):
            starts[_key({**named, "dial": None}, KEYS)] = named
    for lines in moved.values():
        start = starts.get(_key({**lines[0], "dial": None}, KEYS))
        about = dials_of(known, lines[0]["scenario"]).get(lines[0]["dial"]) or {}
        yield _curve(lines, start, cells, about)


def _curve(lines: list[Line], start: Line | None, cells: Cells, about: Mapping[str, Any]) -> Curve:
    """Align the answers at all settings by their replicate."""
    default = float(about.get("default", 0.0))
    first = lines[0]
    places = [(float(line["setting"]), line) for line in lines]
    places += [] if start is None else [(default, start)]
    places.sort(key=lambda place: place[0])
    lines = [line for _, line in places]
    groups = [_group(cells, line) for line in lines]
    replicates = np.unique(np.concatenate([cell["replicate"] for cell in groups]))
    parts = [_aligned(cell, replicates) for cell in groups]
    return Curve(
        {name: first[name] for name in KEYS}, str(about.get("breaks") or ""), default,
        about.get("paired", True) is not False, about.get("truth") == "moves",
        np.array([setting for setting, _ in places]), lines,
        **{name: np.array([part[name] for part in parts]) for name in parts[0]},
    )  # fmt: skip


def _group(cells: Cells, line: Line) -> Group:
    cell = cells.get(_key(line, SCORED))
    if cell is None:
        where = f"{line['scenario']} {line['dials']} n={line['n']} {line['estimator']}"
        raise BadInput(f"the score table holds {where}, the replicate table has no row of it")
    return cell.read()


def _aligned(cell: Group, replicates: Array) -> dict[str, Array]:
    """Spread a cell's columns over all replicates of its curve."""
    place = np.searchsorted(replicates, cell["replicate"])
    t, truth, low, high = (np.where(cell["ok"], cell[name], nan) for name in _NUMBERS)
    rays = cell["outside"] == 1
    with np.errstate(invalid="ignore"):
        ordinary = np.isfinite(low) & np.isfinite(high) & (low <= high) & ~rays & ~np.isnan(truth)
        columns = {
            "there": ~cell["declined"], "ok": cell["ok"],
            "covered": covers(low, high, truth, rays), "rays": rays, "ordinary": ordinary,
            "error": t - truth, "low": low - truth, "high": high - truth,
        }  # fmt: skip
    spread = {}
    for name, column in columns.items():
        spread[name] = np.full(replicates.size, nan if column.dtype == float else False)
        spread[name][place] = column
    return spread


def _key(line: Mapping[Any, Any], names: Sequence[str]) -> Key:
    return tuple(None if missing(line[name]) else line[name] for name in names)
