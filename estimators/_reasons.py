"""What a reason for declining says of rows and columns: which ones, so that they can be looked at.

Rows are counted from 0, as in the data frame that an estimator is given.
"""

import numpy as np

from cibench.model import Array

LISTED = 4
"""How many rows or units are named; of more it is said how many there are."""

DEPENDENT = 1e-10


def rows_of(mask: Array) -> str:
    """Return "3 rows (0, 7, 9)" or "row 7", the rows that a mask marks."""
    return _listed(np.flatnonzero(mask), "row")


def units_of(labels: Array) -> str:
    """Return "3 units (12, 15, 40)" or "unit 12"."""
    return _listed(np.unique(labels), "unit")


def _listed(values: Array, what: str) -> str:
    named = [f"{value:g}" if value < 1e6 else f"{value:.0f}" for value in values[:LISTED].tolist()]
    if len(values) == 1:
        return f"{what} {named[0]}"
    more = ", ..." if len(values) > LISTED else ""
    return f"{len(values)} {what}s ({', '.join(named)}{more})"


def columns_of(names: list[str]) -> str:
    """Return "column 'a'" or "columns 'a', 'b' and 3 more"."""
    named = ", ".join(f"'{name}'" for name in names[:LISTED])
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"column{'s' if len(names) > 1 else ''} {named}{more}"


def not_finite(name: str, column: Array) -> str:
    """Return the reason where a column has values that are no numbers, "" where it has none."""
    wrong = ~np.isfinite(column)
    return (
        f"column '{name}' has missing or infinite values in {rows_of(wrong)}" if wrong.any() else ""
    )


def dependent(columns: Array, names: tuple[str, ...]) -> str:
    """Return ": column 'b' follows from those before it" where columns are collinear, else ""."""
    scaled = columns / np.maximum(np.linalg.norm(columns, axis=0), np.finfo(float).tiny)
    ranks = [np.linalg.matrix_rank(scaled[:, : k + 1], tol=DEPENDENT) for k in range(len(names))]
    steps = np.diff(ranks, prepend=0)
    spare = [name for name, step in zip(names, steps, strict=True) if step == 0 and name]
    if not spare:
        return ""
    follow = "follows" if len(spare) == 1 else "follow"
    return f": {columns_of(spare)} {follow} from those before, or from the constant"


def uneven(unit: Array, time: Array) -> str:
    """Return "3 units (4, 9, 14) miss periods" or "... are seen twice"; "" where none does."""
    labels, units = np.unique(unit, return_inverse=True)
    periods, times = np.unique(time, return_inverse=True)
    seen = np.zeros((labels.size, periods.size), dtype=int)
    np.add.at(seen, (units, times), 1)
    twice, missed = (seen > 1).any(axis=1), (seen == 0).any(axis=1)
    if twice.any():
        one = twice.sum() == 1
        return f"{units_of(labels[twice])} {'is' if one else 'are'} seen twice in a period"
    if missed.any():
        return f"{units_of(labels[missed])} {'misses' if missed.sum() == 1 else 'miss'} periods"
    return ""
