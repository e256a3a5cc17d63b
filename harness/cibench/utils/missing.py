"""Whether a value of a table is missing, in whatever way tables spell that."""

from __future__ import annotations

from typing import Any


def missing(value: Any) -> bool:
    """Say whether there is no value: None, NaN or pandas' NA."""
    return value is None or value != value or str(value) == "<NA>"  # noqa: PLR0124 - NaN
