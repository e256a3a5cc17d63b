"""Limits that hold for many differences at once: how far the largest of them strays by chance."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from cibench.metrics.core import Z95
from cibench.model.types import Array

ALPHA = 0.05
FEWEST, MOST, ROOM = 999, 9999, 5_000_000
"""Draws: as many as fit into ROOM numbers, one for each pair, within these limits."""

BLOCK = 500_000


def differences(terms: Array, first: Array, second: Array) -> Array:
    """Return the sum of squared differences of the terms of each pair, exactly zero for equals."""
    squares = np.empty(first.size)
    step = max(1, BLOCK // max(1, terms.shape[1]))
    for start in range(0, first.size, step):
        part = slice(start, start + step)
        apart = terms[first[part]] - terms[second[part]]
        squares[part] = np.einsum("ij,ij->i", apart, apart)
    return squares


def critical(
    terms: Array, first: Array, second: Array, squares: Array, rng: np.random.Generator
) -> float:
    """Return what the largest |t| over all pairs stays within in 95 of 100 runs.

    `terms` has a row for each value and a column for each independent source of noise; a value
    errs by the sum of its row, and the difference of the values `first` and `second` has the
    variance `squares`. Under random normal weights for the columns (a multiplier bootstrap) the
    differences over their standard errors are jointly normal with the correlations that the pairs
    have in the sample: the number is the 95 % point of their largest absolute value, by as many
    draws as fit into memory. It lies between 1.96 and Bonferroni's. Pairs without any difference
    are left out. Sources: Chernozhukov, Chetverikov and Kato (2013), Annals of Statistics 41;
    for studentised pairs Romano and Wolf (2005), Econometrica 73.
    """
    apart = squares > 0
    first, second, spread = first[apart], second[apart], np.sqrt(squares[apart])
    if spread.size < 2:
        return Z95
    columns = terms.T
    if columns.shape[0] > columns.shape[1]:  # fewer weights with the same covariances
        columns = _upright(np.asarray(np.linalg.qr(columns, mode="r")))
    draws = min(max(ROOM // spread.size, FEWEST), MOST)
    moved = columns.T @ rng.standard_normal((columns.shape[0], draws))
    largest = np.zeros(draws)
    step = max(1, BLOCK // draws)
    for start in range(0, spread.size, step):
        part = slice(start, start + step)
        t = np.abs(moved[first[part]] - moved[second[part]]) / spread[part, None]
        np.maximum(largest, t.max(axis=0), out=largest)
    largest.sort()
    return max(Z95, float(largest[-int(draws * ALPHA) - 1]))


def _upright(triangle: Array) -> Array:
    """Give the rows the sign that makes the diagonal positive: it is then the same everywhere."""
    return triangle * np.where(np.diagonal(triangle) < 0, -1.0, 1.0)[:, None]


def reach(c: float, freedom: Array) -> Array:
    """Return how many standard errors the limits of each pair lie away: Student's, at c's level.

    With `freedom` degrees of freedom the error of a difference is itself estimated: the limits
    have the level that c has under the normal law. NaN without any.
    """
    from scipy.special import stdtrit

    tail = NormalDist().cdf(-c)
    known = np.where(freedom > 0, freedom, 1)
    return np.where(freedom > 0, -stdtrit(known, tail), np.nan)
