"""Merge values that few rows share: neighbours of a number, rare levels of a category."""

from __future__ import annotations

import numpy as np

from cibench.model import Array


def merged_values(values: Array, counts: Array, cell: int) -> Array:
    """Return for each value, ascending, the one that stands for it.

    That is the nearest value which `cell` rows share; where there is none, the means of groups of
    so many rows, rounded where all values are whole.
    """
    values = np.asarray(values, dtype=float)
    common = counts >= cell - 0.5
    if common.any():
        kept = values[common]
        return np.asarray(kept[np.argmin(np.abs(values[:, None] - kept), axis=1)])
    group = np.minimum((np.cumsum(counts) - counts) // cell, max(counts.sum() // cell - 1, 0))
    weight = np.maximum(counts, 1e-9)
    means = [np.average(values[group == g], weights=weight[group == g]) for g in group]
    return np.rint(means) if np.all(values == np.rint(values)) else np.array(means)


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
