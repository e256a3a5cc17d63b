"""Merge values that few rows share: neighbours of a number, rare levels of a category."""

from __future__ import annotations

import numpy as np

from cibench.model import Array


def grouped(values: Array, counts: Array, cell: int, *, within: bool = False) -> Array:
    """Return for each value, ascending, the one that stands for it; groups hold `cell` rows.

    A value that so many rows share stands for its group; else the group's mean does, rounded where
    all values are whole (or its most common value, with `within`).
    """
    least, groups = cell - 0.5, list[list[int]]()
    total = least
    for place, count in enumerate(counts):
        if total >= least:
            groups.append([])
            total = 0.0
        groups[-1].append(place)
        total += count
    if len(groups) > 1 and total < least:
        groups[-2:] = [groups[-2] + groups[-1]]
    made, whole = np.asarray(values, dtype=float).copy(), bool(np.all(values == np.rint(values)))
    for group in groups:
        most = group[int(np.argmax(counts[group]))]
        if counts[most] >= least or within:
            made[group] = values[most]
        else:
            mean = float(np.average(values[group], weights=np.maximum(counts[group], 1e-9)))
            made[group] = np.rint(mean) if whole else mean
    return made


def merged_levels(codes: Array, counts: Array, cell: int, levels: int) -> Array:
    """Return for each code of a category the code that stands for it.

    `counts` belong to `codes`. Rare levels become one; where they are few rows even together the
    rarest of the others joins them.
    """
    order = np.argsort(counts, kind="stable")
    held = np.cumsum(counts[order])
    rare = int(np.sum(counts < cell - 0.5))
    while 0 < rare < len(order) and held[rare - 1] < cell - 0.5:
        rare += 1
    merge = np.arange(levels)
    if rare:
        merge[codes[order[:rare]]] = codes[order[rare - 1]]
    seen = np.zeros(levels, dtype=bool)
    seen[codes] = True
    merge[~seen] = codes[order[-1]]
    return merge
