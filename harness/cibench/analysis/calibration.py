"""Simulation-based calibration: ask whether a posterior is what it says it is.

Where every parameter is drawn in each data set from the estimator's own prior, the posterior's
distribution function at the drawn estimand is uniform (Talts, Betancourt, Simpson, Vehtari and
Gelman 2018, arXiv:1804.06788). At a fixed truth it is not, so that only scenarios which name such
an estimator in `prior_of`, and only that estimator with its default options, enter this table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cibench.analysis.one_pass import from_rows
from cibench.metrics.core import blank
from cibench.metrics.groups import Group
from cibench.metrics.posterior import pit_dispersion, pit_mean
from cibench.model.catalogue import at_default
from cibench.model.types import Array
from cibench.storage import CellRows
from cibench.storage.schema import SCORED
from cibench.storage.spool import SpooledGroup

if TYPE_CHECKING:
    import pandas as pd

ALPHA = 0.05
"""How often a table of calibrated posteriors has one that is said not to be."""

CALIBRATION = (
    *SCORED, "replicates", "answered", *pit_mean.columns, *pit_dispersion.columns, "distance",
    "limit", "p_value", "calibrated", "note",
)  # fmt: skip
"""The columns of the table."""


def judge_calibration(rows: pd.DataFrame, catalogue: Mapping[str, Any]) -> pd.DataFrame:
    """Return a row for each cell that draws its parameters from an estimator's own prior.

    `rows` and `catalogue` are those of a run. `distance` is Kolmogorov's: the most by which the
    empirical distribution of the transforms differs from the uniform one; `p_value` is its exact
    probability under calibration, `limit` what it stays below with probability 1 - 0.05 / m, m the
    rows of the table: all stay below theirs together in at least 95 of 100 calibrated tables
    (Bonferroni). Replicates are independent; a fit without an answer is left out and told in
    `note`, since failures that hang on the data can make any posterior look wrong. A transform from
    L draws has steps of 1 / L. Source: Talts, Betancourt, Simpson, Vehtari and Gelman (2018),
    arXiv:1804.06788. Raises BadInput if columns are missing or a replicate is there twice.

    >>> import cibench
    >>> from cibench.analysis import judge_calibration
    >>> cell = {"scenario": "bayes/experiment", "n": 50, "estimators": "bayes/experiment"}
    >>> run = cibench.run({"name": "small", "seed": 1, "replicates": 40, "cells": [cell]})
    >>> table = judge_calibration(run.replicates, run.catalogue)
    >>> table[["answered", "distance", "limit", "calibrated"]].round(2)
       answered  distance  limit  calibrated
    0        40      0.14   0.21        True
    """
    return from_rows(rows, CalibrationCollector(catalogue))


@dataclass(eq=False)
class CalibrationCollector:
    """Collect the posteriors that `judge_calibration` judges, all of one table at once."""

    catalogue: Mapping[str, Any]
    reads: ClassVar[tuple[str, ...]] = ()
    _drawn: list[tuple[dict[str, Any], SpooledGroup]] = field(default_factory=list, init=False)

    def add(self, cell: CellRows) -> None:
        """Put the transforms of a cell aside where they come from their own prior."""
        for place, names in enumerate(cell.part.names):
            if names["kind"] == "estimate" and _of_its_prior(names, self.catalogue):
                self._drawn.append((names, cell.put_aside(place, ("ok", "pit"))))

    def table(self) -> pd.DataFrame:
        """Return the table of calibration."""
        import pandas as pd

        size = len(self._drawn)
        lines = [names | _line(group.read(), size) for names, group in self._drawn]
        return pd.DataFrame(lines, columns=list(CALIBRATION))


def _of_its_prior(names: Mapping[str, Any], catalogue: Mapping[str, Any]) -> bool:
    scenario = (catalogue.get("scenarios") or {}).get(names["scenario"]) or {}
    method = (catalogue.get("estimators") or {}).get(names["estimator"]) or {}
    own = scenario.get("prior_of") == names["estimator"]
    return (
        own
        and at_default(names["dials"], scenario.get("dials") or {})
        and _same(names["options"], method.get("options") or {})
    )


def _same(options: Any, defaults: Mapping[str, Any]) -> bool:
    chosen = json.loads(options) if isinstance(options, str) else {}
    return all(defaults.get(name) == value for name, value in chosen.items())


def _line(group: Group, family: int) -> dict[str, Any]:
    values = group["pit"]
    pit = values[group["ok"] & ~np.isnan(values)]
    lost = values.size - pit.size
    line = {"replicates": values.size, "answered": pit.size, "note": ""}
    if lost:
        line["note"] = f"{lost} of {values.size} fits without a posterior are left out"
    if pit.size < 2:
        line["note"] = "fewer than two posteriors"
    for metric in (pit_mean, pit_dispersion):
        score = metric(pit) if pit.size > 1 else blank(str(line["note"]))
        line |= metric.kind.columns(metric.name, score)
    return line | (uniformity(pit, ALPHA / family) if pit.size > 1 else {})


def uniformity(pit: Array, alpha: float) -> dict[str, Any]:
    """Compare transforms with the uniform law: distance, its limit at `alpha`, exact p-value."""
    from scipy.stats import kstest, kstwo

    tested = kstest(pit, "uniform", method="exact")
    return {
        "distance": float(tested.statistic), "limit": float(kstwo.isf(alpha, pit.size)),
        "p_value": float(tested.pvalue), "calibrated": bool(tested.pvalue >= alpha),
    }  # fmt: skip
