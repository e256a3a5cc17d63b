"""A line on either side of a point, with triangular weights: the jump between them."""

from __future__ import annotations

import numpy as np

from cibench.model import Array
from cibench.twins.structure import least_squares

BANDWIDTH = 0.5
"""Local lines reach so many s.d. of the running variable to either side."""

LEAST = 20


def local_jump(y: Array, x: Array, c: float, h: float) -> tuple[float, float]:
    """Return the jump at c between two lines with triangular weights, and its error (HC1)."""
    near = np.abs(x - c) < h
    v, above = x[near] - c, (x[near] >= c).astype(float)
    weight = 1 - np.abs(v) / h
    design = np.column_stack([np.ones(len(v)), above, v, above * v])
    return _weighted(design, y[near], weight)


def _weighted(design: Array, y: Array, weight: Array) -> tuple[float, float]:
    if len(y) < LEAST:
        return np.nan, np.inf
    root = np.sqrt(weight)[:, None]
    inverse = np.linalg.pinv((design * weight[:, None]).T @ design)
    beta = least_squares(design * root, y * root[:, 0])
    score = design * (weight * (y - design @ beta))[:, None]
    variance = inverse @ (score.T @ score) @ inverse * len(y) / (len(y) - design.shape[1])
    return float(beta[1]), float(np.sqrt(variance[1, 1]))
