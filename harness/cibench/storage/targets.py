"""Targets as rows have them: an estimand, and beside it when, of whom and between what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cibench.model.estimands import named
from cibench.model.types import PARTS, Arm, Target, contrast_text
from cibench.utils.missing import missing

if TYPE_CHECKING:
    import pandas as pd

BETWEEN = " vs "


def row_of(target: Target) -> dict[str, Any]:
    """Return the columns of a row that name its target, and the scale that it is scored on."""
    contrast = None if target.contrast is None else contrast_text(target.contrast)
    return {
        "estimand": str(target.estimand), "horizon": target.horizon, "group": target.group,
        "contrast": contrast, "label": target.label, "scale": target.estimand.scoring,
    }  # fmt: skip


def target_of(row: Mapping[str, Any]) -> Target:
    """Return the target that a row names; a column that it lacks is blank."""
    values = {name: None if missing(row.get(name)) else row[name] for name in PARTS}
    horizon, contrast = values["horizon"], values["contrast"]
    return Target(
        named(str(row["estimand"])), None if horizon is None else int(horizon), values["group"],
        None if contrast is None else _arms(contrast), values["label"],
    )  # fmt: skip


def subdivided(row: Mapping[str, Any]) -> bool:
    """Say whether a row's target is one of several of its estimand: of a horizon, a group, ..."""
    return any(not missing(row.get(name)) for name in PARTS)


def undivided(rows: pd.DataFrame) -> pd.Series[bool]:
    """Mark the rows that answer an estimand itself, of no horizon, group, contrast or label."""
    plain: pd.Series[bool] = rows[list(PARTS)].isna().all(axis=1)
    return plain


def _arms(text: str) -> tuple[Arm, Arm]:
    first, _, other = text.partition(BETWEEN)
    return _arm(first), _arm(other)


def _arm(text: str) -> Arm:
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() else number
