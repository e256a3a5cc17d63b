"""The columns of a replicate row, their order and their types, declared once.

Every shard is written under `schema()`: without it a column that is all null in the first shard
takes another type than in the second, and the folder can no longer be read as one table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cibench.model.types import SUBDIVISIONS, TARGET

if TYPE_CHECKING:
    import pyarrow as pa

CELL = ("scenario", "dial", "setting", "dials", "n", "parameters")
"""What names a cell: the scenario at one setting, and a number of units."""

IDENTITY = ("scenario", "dials", "n", "parameters")
"""What of that no two cells share."""

SCORED = ("kind", *CELL, "options", "estimator", *TARGET, "scale", "level")
"""What one row of the score table stands for."""

ADDRESS = (*SCORED, "replicate", "refit")
"""What one replicate row stands for; no two rows of a run agree in all of it."""

STATUSES = ("ok", "failed", "nonfinite", "timeout", "memory", "crashed", "declined")

FINE = ("ok", "declined")
"""The statuses that are no failures: who declines has not failed."""

MAY_DIFFER = ("seconds", "warnings")
"""What may differ between two runs of the same addresses with equal versions."""

CHANGED = "ProcessChanged"
"""What the line of a row's warnings begins with that says what its fit changed of its process."""

TYPES = {
    "kind": "string", "scenario": "string", "dial": "string", "setting": "float64",
    "dials": "string", "n": "int64", "parameters": "string", "options": "string",
    "replicate": "int64", "refit": "int32", "estimator": "string", "estimand": "string",
    "horizon": "int32", "group": "string", "contrast": "string", "label": "string",
    "scale": "string", "level": "float64", "truth": "float64", "truth_mcse": "float64",
    "estimate": "float64", "std_error": "float64", "df": "float64", "ci_low": "float64",
    "ci_high": "float64", "outside": "bool_", "band_low": "float64", "band_high": "float64",
    "p_value": "float64", "statistic": "float64", "passed": "bool_", "pit": "float64",
    "crps": "float64", "pehe": "float64", "calibration_intercept": "float64",
    "calibration_slope": "float64", "unit_coverage": "float64", "unit_length": "float64",
    "autoc": "float64", "qini": "float64", "policy_value": "float64", "regret": "float64",
    "drift": "float64", "unit_curves": "string", "status": "string", "reason": "string",
    "warnings": "string", "seconds": "float64", "data_hash": "int64",
}  # fmt: skip


OF_UNITS = (
    "pehe", "calibration_intercept", "calibration_slope", "unit_coverage", "unit_length", "autoc",
    "qini", "policy_value", "regret",
)  # fmt: skip
"""What a row has of effects on single units."""

LATER = (*SUBDIVISIONS, "scale", *OF_UNITS, "drift", "unit_curves")
"""Columns that rows of older runs lack; they are blank there."""


def schema() -> pa.Schema:
    """Return the Arrow schema of the replicate table."""
    import pyarrow as pa

    return pa.schema([(name, getattr(pa, kind)()) for name, kind in TYPES.items()])
