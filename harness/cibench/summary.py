"""The score table as people read it: few columns, each number beside its Monte Carlo error."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

FLOOR = 0.05
"""How far below nominal coverage may lie before a cell is marked, as in the expectations."""


def summary(scores: pd.DataFrame) -> pd.DataFrame:
    """Return scenario, n, setting, estimator and the leading measures as text.

    Moment measures of estimators without moments are dashes; blanks are dashes too.
    """
    import pandas as pd

    return pd.DataFrame([_line(row) for row in records(scores)])


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table's rows as dictionaries by column name."""
    return [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]


def _line(row: dict[str, Any]) -> dict[str, str]:
    target = row["estimand"] if isinstance(row["estimand"], str) else row["kind"]
    horizon = row["horizon"]
    at = "" if horizon is None or math.isnan(horizon) else f"[{int(horizon)}]"
    moments = bool(row["moments"])
    return {
        "scenario": str(row["scenario"]),
        "n": str(row["n"]),
        "setting": setting(row),
        "estimator": str(row["estimator"]),
        "estimand": f"{target}{at}",
        "bias": with_error(row, "bias") if moments else "–",
        "empirical SE": with_error(row, "empirical_se") if moments else "–",
        "SE ratio": with_error(row, "se_ratio") if moments else "–",
        "coverage %": with_error(row, "coverage", 100),
        "rejects 0 %": with_error(row, "rejection", 100),
        "failures": f"{row['failures'] + row['declined']} of {row['replicates']}",
    }


def setting(row: dict[str, Any]) -> str:
    """Return the moved dial and its setting, "default", or all dials where several moved."""
    if isinstance(row["dial"], str):
        return f"{row['dial']} = {row['setting']:g}"
    return "default" if _at_defaults(row) else str(row["dials"])


def _at_defaults(row: dict[str, Any]) -> bool:
    return not row.get("several_moved", False)


def with_error(row: dict[str, Any], measure: str, scale: float = 1) -> str:
    """Return "value ± error", with the decimals that the error warrants; a dash for a blank."""
    value, error = row[measure] * scale, row[f"{measure}_mcse"] * scale
    if math.isnan(value):
        return "–"
    if math.isnan(error) or math.isinf(value):
        return f"{value:.3g}"
    places = 1 - math.floor(math.log10(error)) if error > 0 else 3
    places = min(max(places, 0), 6)
    return f"{value:.{places}f} ± {error:.{places}f}"


def under_covers(row: dict[str, Any]) -> bool:
    """Say whether coverage is below nominal by more than the floor, beyond Monte Carlo doubt."""
    return bool(row["coverage_high"] < row["level"] - FLOOR)
