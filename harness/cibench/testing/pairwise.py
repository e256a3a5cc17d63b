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

    >>> from cibench.testing import pairwise_rows
    >>> rows = pairwise_rows({"a": [0, 1], "b": [0, 1], "c": [0, 1]})
    >>> len(rows), rows[0]
    (4, {'a': 0, 'b': 0, 'c': 0})
    """
    sizes = _sizes(factors)
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


def extended_rows(rows: Sequence[Row], factors: Mapping[str, Sequence[Any]]) -> list[Row]:
    """Return rows that hold every pair of values of any two factors, in which `rows` come first.

    `rows` give values to some of the factors; each of the others takes, row by row, the value that
    closes most of the open pairs, and what is left open gets rows of its own. So estimators with
    options of their own share the rows of what they have in common. Raises ValueError for a factor
    without values. Growth in the order of parameters: Lei and Tai (1998), HASE.
    """
    if len(factors) < 2 or not rows:
        return pairwise_rows(factors)
    at = {name: {_key(v): k for k, v in enumerate(values)} for name, values in factors.items()}
    sizes = _sizes(factors)
    left, grown = _pairs(sizes), list[dict[str, int]]()
    for kept in rows:
        row = _filled({name: at[name][_key(v)] for name, v in kept.items()}, sizes, left)
        grown.append(row)
        left -= _within(row)
    while left:
        grown.append(_next(sizes, left))
        left -= _within(grown[-1])
    return [{name: factors[name][k] for name, k in row.items()} for row in grown]


def _sizes(factors: Mapping[str, Sequence[Any]]) -> dict[str, int]:
    if empty := [name for name, values in factors.items() if not values]:
        raise ValueError(f"{empty[0]} has no values")
    return {name: len(values) for name, values in factors.items()}


def _key(value: Any) -> tuple[str, Any]:
    return type(value).__name__, value  # True is not 1


def _pairs(sizes: Mapping[str, int]) -> set[Pair]:
    return {
        ((first, i), (other, j))
        for first, other in combinations(sizes, 2)
        for i in range(sizes[first])
        for j in range(sizes[other])
    }


def _within(row: Mapping[str, int]) -> set[Pair]:
    return set(combinations(row.items(), 2))


def _next(sizes: Mapping[str, int], left: set[Pair]) -> dict[str, int]:
    """Return the row that starts with the first open pair and closes many others."""
    order = list(sizes)

    def place(pair: Pair) -> tuple[int, int, int, int]:
        (first, i), (second, j) = pair
        return order.index(first), order.index(second), i, j

    return _filled(dict(sorted(left, key=place)[0]), sizes, left)


def _filled(chosen: dict[str, int], sizes: Mapping[str, int], left: set[Pair]) -> dict[str, int]:
    """Return the row with a value for each factor, those that close most of the pairs left."""
    order = list(sizes)
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
