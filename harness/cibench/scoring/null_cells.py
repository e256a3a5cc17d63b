"""Find of each cell the one in which the truth is zero and nothing but parameters differs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cibench.rows import SCORED

if TYPE_CHECKING:
    import pandas as pd

SAME = [name for name in SCORED if name != "parameters"]


def null_rows(table: pd.DataFrame) -> dict[int, int]:
    """Return the row of the null cell for each row of a score table that has one.

    Among several it is the one that differs in the fewest parameters, then the first by name.
    """
    estimates = table[(table["kind"] == "estimate") & table["truth"].notna()]
    keys = estimates[SAME].astype(object)
    keys = keys.where(keys.notna(), None)
    families: dict[tuple[Any, ...], list[int]] = {}
    for row, key in zip(estimates.index, keys.itertuples(index=False, name=None), strict=True):
        families.setdefault(key, []).append(int(row))
    truth, parameters = table["truth"].to_numpy(), table["parameters"].tolist()
    found = {}
    for rows in families.values():
        nulls = sorted((i for i in rows if truth[i] == 0), key=lambda i: str(parameters[i]))
        for i in rows:
            if nulls and truth[i] != 0:
                found[i] = min(nulls, key=lambda j: _apart(parameters[i], parameters[j]))
    return found


def _apart(one: Any, other: Any) -> int:
    """Count the parameters in which two cells differ."""
    a, b = _parsed(one), _parsed(other)
    return sum(a.get(name) != b.get(name) for name in a.keys() | b.keys())


def _parsed(parameters: Any) -> dict[str, Any]:
    try:
        parsed = json.loads(parameters)
    except (TypeError, ValueError):
        parsed = None
    return parsed if isinstance(parsed, dict) else {"": parameters}
