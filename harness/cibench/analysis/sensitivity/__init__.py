"""From rows and scores to sensitivity: where a method breaks as one assumption is broken.

A curve is one estimator at every setting of one dial, all else equal. `study` gives two tables:
of each curve its breakdown point and the slope of its bias, and the dose-response with bands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from cibench.analysis.one_pass import from_rows
from cibench.analysis.sensitivity.dose_response import KEYS, Curve, Key, gather, put_aside, sides
from cibench.analysis.sensitivity.resampling import resample
from cibench.analysis.sensitivity.tables import LINE, line, lines
from cibench.model.streams import stream
from cibench.model.types import SUBDIVISIONS
from cibench.storage import CellRows
from cibench.storage.schema import LATER
from cibench.storage.spool import SpooledGroup
from cibench.suite.expectations import SHORTFALL
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = [
    "CURVES", "SENSITIVITY", "Study", "StudyCollector", "curves", "measure_sensitivity", "study",
]  # fmt: skip


_NAMES = (
    "scenario", "dial", "assumption", "parameters", "options", "estimator", "estimand", "horizon",
    "n",
)  # fmt: skip
_REST = SUBDIVISIONS
"""The rest of the target, behind the columns that files had before there was one."""
SENSITIVITY = (*_NAMES, *LINE, *_REST)
CURVES = (
    *_NAMES, "level", "setting", "measure", "value", "mcse", "low", "high", "band_low",
    "band_high", "replicates", "moments", *_REST,
)  # fmt: skip


class Study(NamedTuple):
    """Hold the two tables, of which the resampling is done once.

    See `study`, which returns them.
    """

    sensitivity: pd.DataFrame
    curves: pd.DataFrame


def study(
    rows: pd.DataFrame, scores: pd.DataFrame, catalogue: Mapping[str, Any],
    shortfall: float = SHORTFALL,
) -> Study:  # fmt: skip
    """Return both tables of a run, of `measure_sensitivity` and of `curves`.

    `rows`, `scores` and `catalogue` are those of a run, `shortfall` is a share: the points of
    coverage below the level at which a method counts as broken. Raises BadInput if columns are
    missing or the two tables do not belong together.

    >>> import cibench
    >>> from cibench.analysis import study
    >>> cell = {"scenario": "did/two-group", "n": 30, "dials": {"trend": [0.1, 0.2]}}
    >>> cell["estimators"] = ["did/collapsed"]
    >>> run = cibench.run({"name": "small", "seed": 1, "replicates": 40, "cells": [cell]})
    >>> found = study(run.replicates, run.scores, run.catalogue)
    >>> found.sensitivity[["dial", "bound", "breakdown", "slope"]].round(2)
        dial  bound  breakdown  slope
    0  trend    0.9       0.05    4.0
    >>> doses = found.curves[found.curves["measure"] == "coverage"]
    >>> doses[["setting", "value", "band_low", "band_high"]].round(2)
       setting  value  band_low  band_high
    6      0.0   1.00      0.88       1.00
    7      0.1   0.70      0.51       0.84
    8      0.2   0.25      0.13       0.44
    """
    return from_rows(rows, StudyCollector(lambda: scores, catalogue, shortfall))


@dataclass(eq=False)
class StudyCollector:
    """Put aside the answers along every dial; `scores` gives the score table in the end.

    The replicates of a curve are resampled jointly over its settings, which are cells of their own.
    """

    scores: Callable[[], pd.DataFrame]
    catalogue: Mapping[str, Any]
    shortfall: float = SHORTFALL
    reads: ClassVar[tuple[str, ...]] = ()
    _cells: dict[Key, SpooledGroup] = field(default_factory=dict, init=False)

    def add(self, cell: CellRows) -> None:
        """Put aside what a cell adds to the curves."""
        self._cells.update(put_aside(cell, self.catalogue))

    def table(self) -> Study:
        """Return both tables, with one curve in memory at a time."""
        import pandas as pd

        broken, doses = [], []
        for curve in gather(self._cells, self.scores(), self.catalogue):
            named = {**curve.key, "assumption": curve.assumption}
            resampled = resample(curve, _stream(curve))
            bound = round(float(curve.key["level"]) - self.shortfall, 12)
            broken += [named | line(curve, side, resampled, bound) for side in sides(curve)]
            doses += [named | dose for dose in lines(curve, resampled)]
        return Study(
            pd.DataFrame(broken, columns=list(SENSITIVITY)),
            pd.DataFrame(doses, columns=list(CURVES)),
        )


def measure_sensitivity(
    rows: pd.DataFrame, scores: pd.DataFrame, catalogue: Mapping[str, Any],
    shortfall: float = SHORTFALL,
) -> pd.DataFrame:  # fmt: skip
    """Return one row per curve, two where a dial goes both ways: where and how it breaks.

    The breakdown point is the smallest violation |setting - default| at which coverage, failures
    counted as misses and declined data sets left out, is below the `bound` (the level less
    `shortfall`). It and all that belongs to it is given as a setting, in the dial's unit; `_low` is
    always the end nearer the default. `breakdown` is interpolated between settings, `breakdown_low`
    and `breakdown_high` are 95 % limits from resampling replicates jointly over the settings,
    `bracket_low` the harshest setting confidently above the bound, `bracket_high` the mildest
    confidently below. `slope` is that of bias per unit of violation, `bias_half_se` where the
    absolute bias passes half an empirical standard error. `note` says what a reader must know. The
    modules `resampling` and `breakdown` of `cibench.analysis.sensitivity` have the derivations.
    Raises BadInput if columns are missing or the two tables do not belong together.

    See `study`, which returns this table and that of `curves` for one resampling.
    """
    return study(rows, scores, catalogue, shortfall).sensitivity


def curves(
    rows: pd.DataFrame, scores: pd.DataFrame, catalogue: Mapping[str, Any]
) -> pd.DataFrame:  # fmt: skip
    """Return the dose-response: a row for each curve, setting and measure, with both bands.

    `low` and `high` are pointwise 95 % limits, `band_low` and `band_high` simultaneous ones over
    the settings of the curve, Sidak's of proportions and of a max-|t| bootstrap else (see
    `cibench.analysis.sensitivity.tables`). Raises what `measure_sensitivity` raises.

    See `study`, which returns this table and that of `measure_sensitivity` for one resampling.
    """
    return study(rows, scores, catalogue).curves


def _stream(curve: Curve) -> np.random.Generator:
    """Return the stream of a curve's resampling: all methods', so that equals have equal limits."""
    names = [n for n in KEYS if n not in ("estimator", "options", *LATER)]
    later = [f"{n}={curve.key[n]}" for n in LATER if not missing(curve.key.get(n))]
    return stream("sensitivity", *(_part(curve.key[name]) for name in names), *later)


def _part(value: Any) -> str:
    """Write a part of the address; an estimand or a horizon that is not there is empty."""
    if missing(value):
        return ""
    return f"{value:.12g}" if isinstance(value, int | float) else str(value)
