"""What is wrong with the estimates that come out significant: their sign and their size.

Source: Gelman and Carlin (2014), Perspectives on Psychological Science 9. Significant is whose
confidence set does not hold zero.
"""

from __future__ import annotations

import numpy as np

from cibench.measures.core import BLANK, Score, blank, mean_score, proportion
from cibench.measures.sets import Outside, covers
from cibench.model import Array

ZERO = "the truth is zero"
NONE = "nothing is significant"


def type_s(t: Array, theta: Array, low: Array, high: Array, outside: Outside = False) -> Score:
    """Return the share of significant estimates with the wrong sign, blank at a zero truth."""
    found, why = significant(theta, low, high, outside)
    if why:
        return blank(why) if t.size else BLANK
    wrong = np.sign(t[found]) != np.sign(theta[found])
    return proportion(int(wrong.sum()), wrong.size)


@np.errstate(all="ignore")
def type_m(t: Array, theta: Array, low: Array, high: Array, outside: Outside = False) -> Score:
    """Return the mean size of significant estimates over the truth's, blank at a zero truth.

    Its error is S / sqrt m of the m significant ones, whose number is taken as it is: the mean
    given m has no other.
    """
    found, why = significant(theta, low, high, outside)
    if why:
        return blank(why) if t.size else BLANK
    return mean_score(np.abs(t[found] / theta[found]))


def significant(theta: Array, low: Array, high: Array, outside: Outside) -> tuple[Array, str]:
    """Mark the sets that do not hold zero, and say why there is nothing to measure, if so."""
    found = ~covers(low, high, 0.0, outside)
    if (theta == 0).any():
        return found, ZERO
    return found, "" if found.any() else NONE
