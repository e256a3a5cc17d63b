"""What can be said of a curve's coverage beyond doubt, by exact tests over its settings."""

from __future__ import annotations

from itertools import combinations
from math import nan, sqrt

import numpy as np

from cibench.model import Array
from cibench.sensitivity.curve import Curve, Side

ALPHA = 0.05
"""How often a statement about a curve may be wrong: brackets, intervals, bands, `non-monotone`."""


def bracket(curve: Curve, side: Side, bound: float) -> tuple[float, float]:
    """Return the settings between which coverage falls below the bound beyond doubt.

    The second is the mildest setting whose coverage is confidently below the bound, the first the
    harshest milder one that is confidently above; NaN where there is none. Confidently: an exact
    one-sided binomial test at ALPHA over the number of the curve's settings. At each setting only
    one of the two statements can be wrong, so that by Bonferroni's inequality a curve holds a
    wrong one with probability ALPHA at most, however its settings depend on each other.
    """
    above, below = _beyond_doubt(curve, bound)
    broken = side.at[below[side.at]]
    milder = side.at[: int(np.argmax(below[side.at]))] if broken.size else side.at
    sound = milder[above[milder]]
    ends = (sound[-1] if sound.size else None, broken[0] if broken.size else None)
    low, high = (nan if at is None else float(curve.settings[at]) for at in ends)
    return low, high


def _beyond_doubt(curve: Curve, bound: float) -> tuple[Array, Array]:
    """Say of each setting whether coverage is confidently above and confidently below the bound."""
    from scipy.special import bdtr, bdtrc

    held, runs = curve.covered.sum(axis=1), curve.there.sum(axis=1)
    alpha = ALPHA / curve.settings.size
    above = np.where(held > 0, bdtrc(np.maximum(held - 1, 0), runs, bound), 1.0) <= alpha
    return above, bdtr(held, runs, bound) <= alpha


def rises(curve: Curve, side: Side) -> bool:
    """Say whether coverage is beyond doubt higher at a harsher setting than at a milder one.

    Every pair of settings is tested one-sided at ALPHA over the number of pairs: by McNemar's
    exact test on the replicates that both have, or without pairing by a normal test of the
    difference after one success and one failure were added to each side (Agresti, Caffo 2000).
    """
    pairs = list(combinations(side.at, 2))
    test = _mcnemar if curve.paired else _difference
    return any(test(curve, mild, harsh) <= ALPHA / len(pairs) for mild, harsh in pairs)


def _mcnemar(curve: Curve, mild: int, harsh: int) -> float:
    from scipy.special import bdtrc

    both = curve.there[mild] & curve.there[harsh]
    gained = int((both & curve.covered[harsh] & ~curve.covered[mild]).sum())
    lost = int((both & curve.covered[mild] & ~curve.covered[harsh]).sum())
    return float(bdtrc(gained - 1, gained + lost, 0.5)) if gained else 1.0


def _difference(curve: Curve, mild: int, harsh: int) -> float:
    from scipy.special import ndtr

    runs = [int(curve.there[at].sum()) + 2 for at in (mild, harsh)]
    p = [(int(curve.covered[at].sum()) + 1) / n for at, n in zip((mild, harsh), runs, strict=True)]
    error = sqrt(sum(x * (1 - x) / n for x, n in zip(p, runs, strict=True)))
    return float(ndtr((p[0] - p[1]) / error))
