"""Whether a value of a table is missing, in whatever way tables spell that, and how JSON has it."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any


def missing(value: Any) -> bool:
    """Say whether there is no value: None, NaN or pandas' NA."""
    if value is None or type(value).__name__ == "NAType":  # pandas', which has no truth value
        return True
    return bool(value != value)  # noqa: PLR0124 - NaN


def for_json(value: Any) -> Any:
    """Return a value as JSON can hold it, and what is in it: None where it is missing.

    An infinite number is the text "inf" or "-inf", and numpy's numbers are Python's.
    """
    if isinstance(value, Mapping):
        return {key: for_json(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [for_json(part) for part in value]
    if missing(value):
        return None
    value = value.item() if hasattr(value, "item") else value
    return str(value) if isinstance(value, float) and not isfinite(value) else value
