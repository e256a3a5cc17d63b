"""The power of a test that is made to hold its size: by the critical value of its null cell."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, sqrt

import numpy as np

from cibench.measures.core import Score, blank, proportion, standard_deviation
from cibench.model import Array

FEW = "too few replicates for a critical value"

FEWEST_BEYOND = 5
"""With fewer null replicates expected beyond it, the critical value hangs on a handful."""


def size_adjusted_power(statistic: Array, null: Array, level: float) -> Score:
    """Return how often |statistic| exceeds what |null| exceeds in a share alpha of replicates.

    `statistic` and `null` are estimate over standard error in the cell and in the one where the
    truth is zero, of the same replicates, which share their noise; alpha is 1 - level. The
    critical value c is the ceil(level (m + 1))-th smallest |null|. To first order the power
    p(c) errs by the mean of 1{|statistic| > c} - p - r (1{|null| > c} - alpha), where
    r = dp / dalpha is the ratio of the two densities at c (Bahadur's expansion of a quantile);
    r is the change of p between the order statistics two binomial standard deviations to either
    side of c. The error is S / sqrt m of these terms: their pairing counts.
    Wilson's limits take the number of independent tries that would have this error.
    Blank with fewer than 5 / alpha replicates. Source: Davidson and MacKinnon (1998), The
    Manchester School 66, on size-corrected power.
    """
    m, alpha = null.size, 1 - level
    if not 0 < level < 1:
        return blank("no level between 0 and 1")
    if not m * alpha > FEWEST_BEYOND - 1e-9:
        return blank(FEW if m else "")
    size, sizes = np.abs(statistic), np.sort(np.abs(null))
    place = min(ceil(level * (m + 1)), m) - 1
    reach = max(1, round(2 * sqrt(m * alpha * level)))
    below, above = max(0, place - reach), min(m - 1, place + reach)
    beyond, null_beyond = size > sizes[place], np.abs(null) > sizes[place]
    lost = ((size > sizes[below]) & (size <= sizes[above])).mean()
    ratio = float(lost) * m / (above - below)
    terms = beyond - ratio * null_beyond
    power, error = float(beyond.mean()), standard_deviation(terms) / sqrt(m)
    tries = power * (1 - power) / error**2 if 0 < power < 1 and error else m
    return replace(proportion(power * tries, tries), value=power, mcse=error)
