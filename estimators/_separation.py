"""Separation: covariates that tell of some rows for certain whether they are treated.

A logit's coefficients are then infinite (Albert and Anderson 1984, Biometrika 71), although all
other rows may overlap. One column does it where its values beyond some point are all of one arm,
such as a category of which nobody is treated. Several do it together where a linear programme finds
a combination of them that no row contradicts (Konis 2007, thesis, Oxford, section 4.2).
"""

from typing import NamedTuple

import numpy as np

from cibench.model import Array

from ._reasons import columns_of, rows_of

CLEAR = 1e-6
"""How far a row lies on its side of the combination, in units of the columns' largest values."""


class Separation(NamedTuple):
    """Hold the columns that separate, the rows that they tell for certain, and the words for it."""

    columns: list[int]
    rows: Array
    words: str


def separation(d: Array, x: Array, names: tuple[str, ...]) -> Separation | None:
    """Return what separates the arms, None where nothing does; column 0 is the constant."""
    alone = [found for k in range(1, x.shape[1]) if (found := _alone(d, x[:, k], k, names[k]))]
    if alone:
        rows = np.any([found.rows for found in alone], axis=0)
        words = "; ".join(found.words for found in alone[:2])
        more = f"; {len(alone) - 2} more columns likewise" if len(alone) > 2 else ""
        return Separation([k for found in alone for k in found.columns], rows, words + more)
    return _together(d, x, names)


def _alone(d: Array, column: Array, at: int, name: str) -> Separation | None:
    """Look at one column: beyond the other arm's last value there is one arm only."""
    told, words = np.zeros(d.size, dtype=bool), []
    for arm, who in ((0, "untreated"), (1, "treated")):
        other, own = column[d != arm], column[d == arm]
        for beyond, way in ((column > other.max(), "above"), (column < other.min(), "below")):
            edge = other.max() if way == "above" else other.min()
            clear = own.min() >= edge if way == "above" else own.max() <= edge
            if beyond.any() and clear:
                told |= beyond
                words.append(f"{_where(column, beyond, edge, way)}, all of them {who}")
    if not words:
        return None
    return Separation([at], told, f"column '{name}' is " + " and ".join(words))


def _where(column: Array, beyond: Array, edge: float, way: str) -> str:
    values = np.unique(column[beyond])
    value = f"{values[0]:g}" if values.size == 1 else f"{way} {edge:.4g}"
    return f"{value} in {rows_of(beyond)}"


def _together(d: Array, x: Array, names: tuple[str, ...]) -> Separation | None:
    from scipy.optimize import linprog

    signed = (2 * d - 1)[:, None] * x / np.maximum(np.abs(x).max(axis=0), np.finfo(float).tiny)
    found = linprog(-signed.sum(axis=0), A_ub=-signed, b_ub=np.zeros(d.size), bounds=(-1, 1))
    if found.x is None:
        return None
    told = signed @ found.x > CLEAR
    columns = [k for k in range(1, x.shape[1]) if abs(found.x[k]) > CLEAR]
    if not told.any() or not columns:
        return None
    who = columns_of([names[k] for k in columns])
    tell = "tell together" if len(columns) > 1 else "tells"
    return Separation(columns, told, f"{who} {tell} for certain who is treated in {rows_of(told)}")
