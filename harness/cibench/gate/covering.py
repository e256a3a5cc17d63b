"""Cross options pairwise: few rows in which every two values of two factors meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

Row = dict[str, Any]
Place = tuple[str, int]
Pair = tuple[Place, Place]


def pairwise_rows(factors: Mapping[str, Sequence[Any]]) -> list[Row]:
    """Return rows, one value for each factor, that hold every pair of values of any two factors.

    Greedy and the same every time: each row starts with the first pair that is still open, and each
    other factor, in the order given, takes the value that closes most of the pairs left. The first
    row holds every factor's first value, which is its default. Raises ValueError for a factor
    without values. In the manner of Cohen, Dalal, Fredman and Patton (1997), IEEE TSE 23.
    """
    if empty := [name for name, values in factors.items() if not values]:
        raise ValueError(f"{empty[0]} has no values")
    sizes = {name: len(values) for name, values in factors.items()}
    if len(sizes) == 1:
        ((name, values),) = factors.items()
        return [{name: value} for value in values]
    left = _pairs(sizes)
    rows = [dict.fromkeys(sizes, 0)]
    left -= _within(rows[0])
    while left:
        row = _next(sizes, left)
        rows.append(row)
        left -= _within(row)
    return [{name: factors[name][at] for name, at in row.items()} for row in rows]


def _pairs(sizes: Mapping[str, int]) -> set[Pair]:
    return {
        ((one, i), (other, j))
        for one, other in combinations(sizes, 2)
        for i in range(sizes[one])
        for j in range(sizes[other])
    }


def _within(row: Mapping[str, int]) -> set[Pair]:
    return set(combinations(row.items(), 2))


def _next(sizes: Mapping[str, int], left: set[Pair]) -> dict[str, int]:
    """Return the row that starts with the first open pair and closes many others."""
    order = list(sizes)

    def place(pair: Pair) -> tuple[int, int, int, int]:
        (one, i), (other, j) = pair
        return order.index(one), order.index(other), i, j

    chosen = dict(sorted(left, key=place)[0])
    for name in order:
        if name not in chosen:
            chosen[name] = max(
                range(sizes[name]), key=lambda at: (_closed(chosen, name, at, order, left), -at)
            )
    return {name: chosen[name] for name in order}


def _closed(
    chosen: Mapping[str, int], name: str, at: int, order: Sequence[str], left: set[Pair]
) -> int:
    row = {**chosen, name: at}
    ordered = {key: row[key] for key in order if key in row}
    return sum(pair in left for pair in _within(ordered) if (name, at) in pair)
