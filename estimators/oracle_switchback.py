"""An oracle for one treated unit: it switches treatment on and off at random, row by row.

Where there are too few units for `oracle/experiment`, the estimand's own rows are the experiment:
a coin per row says which of its two potential outcomes is read.
"""

from collections.abc import Mapping

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, Target, estimator
from cibench.model import Array, Draw

TARGETS = Estimand.ATT, Estimand.SATT, Estimand.SATE


@estimator("oracle/switchback", targets=TARGETS, needs=("unit",), oracle=True)
def switchback(problem: Problem, rng: np.random.Generator) -> Mapping[Target, Estimate]:
    """Compare potential outcomes between random halves of the estimand's rows, Welch's errors.

    Where there are periods, what the other units' outcomes average without treatment is taken away
    first: an oracle knows it, and it depends on no coin.
    """
    return {target: _compare(problem, target, rng) for target in problem.targets}


def _compare(problem: Problem, target: Target, rng: np.random.Generator) -> Estimate:
    draw = problem.draw
    assert draw is not None
    mask = draw.target[target] if isinstance(draw.target, Mapping) else draw.target
    rows = np.arange(draw.effects.size) if mask is None else np.flatnonzero(mask)
    if rows.size < 6:
        raise Declined(f"{rows.size} rows to experiment on; six are the least")
    rest = _residual(problem, draw, rows)
    treated = np.zeros(rows.size, dtype=bool)
    treated[rng.permutation(rows.size)[: rows.size // 2]] = True
    one, other = rest[treated] + draw.effects[rows][treated], rest[~treated]
    parts = np.array([one.var(ddof=1) / one.size, other.var(ddof=1) / other.size])
    se = float(np.sqrt(parts.sum()))
    df = parts.sum() ** 2 / (parts**2 / [one.size - 1, other.size - 1]).sum() if se else None
    return Estimate.wald(float(one.mean() - other.mean()), se, problem.level, df=df)


def _residual(problem: Problem, draw: Draw, rows: Array) -> Array:
    """Return the rows' outcomes without treatment, less the other units' average of the period."""
    rest = draw.baseline[rows].astype(float)
    if not problem.roles.time:
        return rest
    period = np.unique(problem.columns[problem.roles.time], return_inverse=True)[1]
    unit = problem.columns[problem.roles.unit]
    other = ~np.isin(unit, unit[rows])
    count = np.bincount(period[other], minlength=period.max() + 1)
    if not count[period[rows]].all():
        return rest
    average = np.bincount(period[other], draw.baseline[other]) / np.maximum(count, 1)
    return np.asarray(rest - average[period[rows]])
