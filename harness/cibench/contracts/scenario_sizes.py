"""Checks that the truth holds for any number of units, and for one law behind all data sets.

Shares rounded to whole units move an average of effects by most where units are few. So the effects
drawn are pooled over many draws of few units, of numbers that no usual share divides, and compared
with the truth; the standard error comes from the variation between the draws. Where rounding alone
is to blame that error is zero, and any difference speaks.

A data set's mean effect varies because units are drawn. Where it varies by more than its units (or
the clusters that they come in) explain, the coefficients themselves are drawn anew: no data set
shows the effect that a fixed truth states then, and limits that are valid for each law are off.

Either is said only where fresh draws say it once more, so that chance hardly ever accuses a sound
scenario: with normal means the first stage is passed by 27 in 10,000 comparisons (3 errors) and the
second by 7 in a million (4.5 errors), both by 2 in 100 million. Skewed effects pass the first a few
times as often; in simulations none has passed the second, which bounds both by 1 in 10,000.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from cibench.contracts.common import at_defaults, label, moved, require, settings, small_draw
from cibench.contracts.pooled_truth import CLOSE, SIGMAS, averaging, pool
from cibench.model.design import Scenario, dials, truths
from cibench.model.types import Array, Draw, Target, Truth

FEW = (7, 10, 14, 23)
"""Numbers of units: odd ones, and even ones that quarters and thirds do not divide."""

PILOTS = 8
"""Draws that settle what needs no simulation: effects that are all alike."""

FIRST, SECOND = (200, 3.0), (2_000, SIGMAS)
"""Draws and errors of the two stages; the second takes draws that the first has not seen."""

MANY = 1_000
"""Units of the data sets whose mean effects are compared with each other."""

SETS = 40
"""Data sets in a stage of that comparison."""

BEYOND = (1.8, 2.6)
"""Ratios of the variances, between data sets and of sampling, that pass the two stages.

Chi-square with 39 degrees of freedom over 39 exceeds 1.8 in 2 of 1,000 cases and 2.6 in 3 of
10 million.
"""


def check_truth_any_size(scenario: Scenario) -> None:
    """Demand that the truth is the average of the drawn effects for small, odd numbers of units.

    Looks at the defaults, both ends of every dial's grid and the scenario as given. A number of
    units that the scenario refuses by ValueError is passed over.
    """
    for at in _corners(scenario):
        for n in FEW:
            try:
                pilots = [small_draw(at, n, k) for k in range(PILOTS)]
                declared = _averages(truths(at, n))
            except ValueError:
                continue
            _check_size(at, n, pilots, declared)


def _corners(scenario: Scenario) -> Iterator[Scenario]:
    ends = {
        (name, setting)
        for name, dial in dials(type(scenario)).items()
        for setting in (min(dial.grid), max(dial.grid))
    }
    yield at_defaults(scenario)
    yield from (at for name, _, at in moved(scenario) if (name, getattr(at, name)) in ends)
    yield from (at for at in settings(scenario)[1:] if at is scenario)


def _averages(declared: Mapping[Target, Truth]) -> dict[Target, Truth]:
    """Leave out what no average tells: limits at a cutoff, and what is no mean of effects."""
    return {t: v for t, v in declared.items() if t.estimand.averages and not t.estimand.at_cutoff}


def _check_size(at: Scenario, n: int, pilots: list[Draw], declared: Mapping[Target, Truth]) -> None:
    suspects = {t: v for t, v in declared.items() if not _alike(pilots, t, v)}
    start = 0
    for count, sigmas in (FIRST, SECOND):
        if not suspects:
            return
        gaps = _gaps(at, n, range(start, start + count), suspects)
        start += count
        suspects = {
            t: v
            for t, v in suspects.items()
            if abs(gaps[t][0] - v.value) > sigmas * np.hypot(gaps[t][1], v.mcse) + CLOSE
        }
    for target, truth in suspects.items():
        value, error = gaps[target]
        rounded = "are shares rounded to whole units? state truth_at(n)" if error < CLOSE else ""
        complaint = (
            f"with n={n} the truth of {target} is said to be {truth.value:.6g}, but the average "
            f"effect drawn is {value:.6g} +- {SIGMAS * error:.2g}"
        )
        require(False, label(at), f"{complaint}; {rounded}" if rounded else complaint)


def _alike(draws: list[Draw], target: Target, truth: Truth) -> bool:
    effects = np.concatenate([draw.averaged(target) for draw in draws])
    scale = max(abs(truth.value), 1.0)
    return effects.size == 0 or bool(
        np.abs(effects - truth.value).max() <= CLOSE * scale + SIGMAS * truth.mcse
    )


def _gaps(
    at: Scenario, n: int, replicates: range, declared: Mapping[Target, Truth]
) -> dict[Target, tuple[float, float]]:
    """Return the pooled averages with their errors; what no draw marks equals its truth."""
    questions = {t: averaging(t, truth, 0.0) for t, truth in declared.items()}
    sums: dict[Target, list[Array]] = {t: [] for t in declared}
    for k in replicates:
        draw = small_draw(at, n, k)
        for target, question in questions.items():
            sums[target].append(question.gauge(draw))
    pooled = {t: pool(np.stack(parts)) for t, parts in sums.items()}
    return {
        t: (float(v[0]), float(e[0])) if np.isfinite(v[0]) else (declared[t].value, 0.0)
        for t, (v, e) in pooled.items()
    }


def check_one_law(scenario: Scenario) -> None:
    """Demand that data sets' mean effects differ by no more than the sampling of units explains.

    Asked of population estimands, at the defaults and at the ends of every dial's grid. Units that
    share a cluster count as one; with fewer than ten of them nothing is said, nor of a series, in
    which every row has a time of its own.
    """
    for at in _corners(scenario):
        suspects = set(_averages(truths(at)))
        for stage, beyond in enumerate(BEYOND):
            if not suspects:
                break
            ratios = _variance_ratios(at, range(stage * SETS, (stage + 1) * SETS), suspects)
            suspects = {t for t in suspects if ratios[t][0] > beyond}
        for target in sorted(suspects, key=str):
            ratio, between = ratios[target]
            require(
                False, label(at),
                f"the mean effect of {target} differs between data sets of {MANY} units by "
                f"{between:.3g} (s.d.), {np.sqrt(ratio):.3g} times what sampling explains: is its "
                "law drawn anew in each? then state a sample estimand",
            )  # fmt: skip


def _variance_ratios(
    at: Scenario, replicates: range, targets: set[Target]
) -> dict[Target, tuple[float, float]]:
    """Return the ratio of variances, between means and of sampling, and the means' deviation."""
    means: dict[Target, list[float]] = {t: [] for t in targets}
    sampling: dict[Target, list[float]] = {t: [] for t in targets}
    for k in replicates:
        draw = small_draw(at, MANY, k)
        groups = _groups(draw, at)
        for target in targets:
            mean, variance = _mean_of(draw, target, groups)
            means[target].append(mean)
            sampling[target].append(variance)
    return {t: _ratio(np.array(means[t]), np.array(sampling[t])) for t in targets}


def _ratio(means: Array, sampling: Array) -> tuple[float, float]:
    between, within = float(np.var(means, ddof=1)), float(np.mean(sampling))
    if not np.isfinite(within) or between <= (CLOSE * np.abs(means).max()) ** 2:
        return 0.0, np.sqrt(between)
    return (between / within if within > 0 else np.inf), np.sqrt(between)


def _groups(draw: Draw, scenario: Scenario) -> Array:
    roles, rows = scenario.assigned_roles(), draw.baseline.size
    if name := roles.cluster or roles.unit:
        return np.unique(draw.columns[name], return_inverse=True)[1]
    is_series = roles.time and np.unique(draw.columns[roles.time]).size == rows
    return np.zeros(rows, int) if is_series else np.arange(rows)


CLUSTERS = 10


def _mean_of(draw: Draw, target: Target, groups: Array) -> tuple[float, float]:
    """Return the mean effect and its variance by the sampling of groups; NaN where too few."""
    marks, weights = draw.rows_of(target)
    mine = groups if marks is None else groups[marks]
    effects = draw.averaged(target)
    if weights is not None:
        effects = effects * weights / weights.mean()
    count = np.unique(mine).size
    if count < CLUSTERS:
        return 0.0, np.nan
    mean = float(effects.mean())
    sums = np.bincount(mine, effects - mean)
    return mean, float(sums @ sums) / effects.size**2 * count / (count - 1)
