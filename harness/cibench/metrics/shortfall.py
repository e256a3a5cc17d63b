"""Why coverage falls short: how much is bias, how much the standard error, how much the shape.

Three repairs, each with or without the others, make eight worlds:

- *bias*: every estimate is moved by the mean error, so that errors average zero;
- *standard error*: every interval is stretched by S / M, the standard deviation of the errors
  over the root mean square of the standard errors;
- *shape*: the errors are replaced by a normal law with their mean and their S, and the intervals
  by z times M to either side, z the normal critical value. What is lost otherwise is the shape's:
  skewness, tails, standard errors that vary or move with the error, critical values (those that a
  row's own limits imply, half the length over the standard error) that are not z.

Without repair the coverage is what was seen; with all three it is nominal, exactly. The shares
are the Shapley values of the repairs (Shapley 1953; the mean over the six orders of what a repair
adds), so that they add up to nominal minus coverage. A share may be negative: long intervals make
up for a bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import isfinite, log, sqrt
from statistics import NormalDist

import numpy as np

from cibench.metrics.core import (
    ALL_EQUAL,
    NO_SPREAD,
    Score,
    blank,
    leave_one_out_mean,
    leave_one_out_sd,
    mean,
    standard_deviation,
)
from cibench.metrics.influence import Influence, Linear, Result, Statistic
from cibench.metrics.intervals import Outside, coverage, covers
from cibench.metrics.moments import dominated, vary
from cibench.metrics.registry import LIMITS, POINTS, SETS, Kind, metric
from cibench.model.types import Array

PARTS = {"bias": "bias", "se": "wrong standard errors", "shape": "the shape of the errors"}
"""What coverage is lost to, with the words of it."""

WORLDS = tuple(product((False, True), repeat=3))
"""Which of bias, standard error and shape are repaired."""

SHAPLEY = np.array([
    [(1 if world[part] else -1) / (6 if sum(world) - world[part] == 1 else 3) for world in WORLDS]
    for part in range(3)
])  # fmt: skip
"""The weight of each world in each share: a repair that is the first, second or third of three
adds in two, one and two of the six orders."""

SYMMETRIC = 1e-6
ASYMMETRIC = "limits that are not symmetric and finite"


@metric(
    SETS, Kind.AS_IS, place=290, label="shortfall", meaning="nominal level minus coverage",
    tables=("scores",),
)  # fmt: skip
def shortfall(
    low: Array, high: Array, theta: Array, outside: Outside = False, *, level: float
) -> Score:
    """Return the nominal level less the coverage, with the coverage's error."""
    measured = coverage(low, high, theta, outside)
    return Score(level - measured.value, measured.mcse)


def attribution(
    t: Array, theta: Array, s: Array, low: Array, high: Array, outside: Outside = False, *,
    level: float,
) -> dict[str, Result]:  # fmt: skip
    """Return the shares `bias`, `se` and `shape` of nominal minus coverage, with their errors.

    All arrays are of the same replicates. Blank for intervals that are not the estimate plus and
    minus a finite length, and where a repair is undefined: one replicate, equal errors, standard
    errors of zero. The errors are S / sqrt n of each replicate's influence on a share, through its
    own interval and the mean error by the derivative, through S and M by the jackknife.
    """
    why = ASYMMETRIC if np.any(outside) else _undefined(t, theta, s, low, high)
    if why is not None:
        return dict.fromkeys(PARTS, blank(why))
    answers = _Answers.of(t - theta, s, (high - low) / 2, covers(low, high, theta))
    worlds = [
        _normal_world(answers, level, bias, se) if shape else _seen_world(answers, bias, se)
        for bias, se, shape in WORLDS
    ]
    values = SHAPLEY @ np.array([value for value, _ in worlds])
    by_replicate = SHAPLEY @ np.array([influence for _, influence in worlds])
    shares = zip(PARTS, values, by_replicate, strict=True)
    return {part: Linear(float(value), each) for part, value, each in shares}


for place, (part, words) in enumerate(PARTS.items()):
    metric(
        (*POINTS, "std_error", *LIMITS), Kind.AS_IS, name=f"shortfall_{part}", part=part,
        part_of="shortfall", place=300 + 10 * place, label=f"shortfall by {part}",
        meaning=f"coverage that is lost to {words}", moments="blank",
    )(attribution)  # fmt: skip


@dataclass(frozen=True, eq=False)
class FailureLoss(Statistic):
    """Hold which tries gave a set and which of these covered.

    With p the coverage of the sets and q their share of all n tries the loss is p (1 - q); its
    error by the delta method is sqrt((p (1 - p) (1 - q)^2 / q + p^2 q (1 - q)) / n).
    """

    answered: Array
    covered: Array

    @property
    def score(self) -> Score:
        """Return the loss with the delta method's error."""
        p, q, n = self._shares
        variance = p * (1 - p) * (1 - q) ** 2 / q + p**2 * q * (1 - q)
        return Score(p * (1 - q), sqrt(variance / n))

    @property
    def influence(self) -> Influence:
        """Return the influences by the delta method."""
        p, q, _ = self._shares
        each = (1 - q) / q * (self.covered - p * self.answered) - p * (self.answered - q)
        return Influence(p * (1 - q), each)

    @property
    def _shares(self) -> tuple[float, float, int]:
        n, answered = self.answered.size, int(self.answered.sum())
        return int(self.covered.sum()) / answered, answered / n, n


@metric(
    SETS, Kind.AS_IS, flags=("ok",), place=330, label="lost to failures",
    meaning="coverage minus coverage with failures counted as misses", tables=("scores", "pairs"),
    silent="no failures on either side, which has no error",
)  # fmt: skip
def shortfall_failures(
    low: Array, high: Array, theta: Array, outside: Outside, ok: Array
) -> Result:
    """Return the coverage of the sets that were given minus the share of all tries that covered."""
    with_limits = ok & ~np.isnan(low) & ~np.isnan(high) & ~np.isnan(theta)
    if not with_limits.any():
        return blank("no replicate was answered" if not ok.any() else "")
    return FailureLoss(with_limits, with_limits & covers(low, high, theta, outside))


@np.errstate(all="ignore")
def _undefined(t: Array, theta: Array, s: Array, low: Array, high: Array) -> str | None:
    """Say why there is no attribution, None where there is."""
    if t.size < 2:
        return NO_SPREAD if t.size else ""
    length = high - low
    if not ((np.abs((low + high) / 2 - t) <= SYMMETRIC * length) & np.isfinite(length)).all():
        return ASYMMETRIC
    spread, model = standard_deviation(t - theta), float(np.square(s).mean())
    if not vary(t, theta):
        return ALL_EQUAL
    if not model or (reason := dominated(s)):
        return reason if model else "all standard errors are zero"
    return None if isfinite(spread) and isfinite(model) else "numbers too large"


@dataclass(frozen=True)
class _Answers:
    """Hold what the worlds are built from, and how each replicate moves its moments."""

    errors: Array
    reach: Array
    covered: Array
    centre: float
    spread: float
    model: float
    log_spread: Array
    log_model: Array

    @classmethod
    def of(cls, errors: Array, s: Array, reach: Array, covered: Array) -> _Answers:
        centre, spread = mean(errors), standard_deviation(errors)
        model = sqrt(mean(np.square(s)))
        log_spread = _log_moves(spread, leave_one_out_sd(errors))
        log_model = _log_moves(model, np.sqrt(leave_one_out_mean(np.square(s))))
        return cls(errors, reach, covered, centre, spread, model, log_spread, log_model)


def _log_moves(value: float, leave_one_out: Array) -> Array:
    """Return how far each replicate moves the log of a root, by the jackknife.

    The derivative says too little where one square is a good part of the sum. Two replicates leave
    no jackknife and no error.
    """
    moves = (leave_one_out.size - 1) * (log(value) - np.log(leave_one_out))
    return np.asarray(moves - moves.mean())


def _seen_world(a: _Answers, bias: bool, se: bool) -> tuple[float, Array]:
    """Return the coverage of the errors as they are, repaired so far, and each one's influence."""
    if not (bias or se):
        return float(a.covered.mean()), a.covered.astype(float)
    shift, stretch = a.centre if bias else 0.0, a.spread / a.model if se else 1.0
    # Wide enough to hold many replicates, narrow enough for a straight line.
    n = a.errors.size
    step = n ** (-1 / 3)

    away, reach = np.abs(a.errors - shift), stretch * a.reach
    covered = away <= reach
    influence = covered.astype(float)
    if bias:
        aside = step * a.spread
        ends = [np.abs(a.errors - at) <= reach for at in (shift + aside, shift - aside)]
        more = np.count_nonzero(ends[0]) - np.count_nonzero(ends[1])
        influence = influence + more / n / (2 * aside) * (a.errors - a.centre)
    if se:
        ends = [away <= stretch * by * a.reach for by in (1 + step, 1 - step)]
        more = np.count_nonzero(ends[0]) - np.count_nonzero(ends[1])
        influence = influence + more / n / (2 * step) * (a.log_spread - a.log_model)
    return float(covered.mean()), influence


def _normal_world(a: _Answers, level: float, bias: bool, se: bool) -> tuple[float, Array]:
    """Return the coverage of normal errors, repaired so far, and each replicate's influence."""
    if bias and se:
        return level, np.zeros(a.errors.size)
    normal = NormalDist()
    z = normal.inv_cdf((1 + level) / 2)
    beta, rho = 0.0 if bias else a.centre / a.spread, 1.0 if se else a.model / a.spread
    upper, lower = z * rho - beta, -z * rho - beta
    influence = np.zeros(a.errors.size)
    if not bias:
        by_beta = normal.pdf(lower) - normal.pdf(upper)
        influence += by_beta * ((a.errors - a.centre) / a.spread - beta * a.log_spread)
    if not se:
        by_log_rho = z * rho * (normal.pdf(upper) + normal.pdf(lower))
        influence += by_log_rho * (a.log_model - a.log_spread)
    return normal.cdf(upper) - normal.cdf(lower), influence
