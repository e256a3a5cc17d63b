"""The measures that a gate compares, before and after, each with the error of its difference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import exp, hypot, inf, nan
from typing import Any

import numpy as np

from cibench.gate.differences import (
    Apart,
    Difference,
    Left,
    OneShare,
    PairedShares,
    Shares,
    TwoShares,
    apart,
    apart_in_units,
    left_mean,
    left_sd,
    level,
    widened,
)
from cibench.gate.pairing import Pair
from cibench.gate.row_changes import Changes
from cibench.metrics.core import leave_one_out_mean
from cibench.metrics.groups import Group, answers, present
from cibench.metrics.intervals import covers, missed
from cibench.metrics.moments import heavy, largest_share
from cibench.metrics.registry import SETS
from cibench.model.types import Array

FEWEST = 3
"""Fewer replicates than these leave a statistic without an error."""

TO_SD = 1.4826
"""A normal law's standard deviation over its median absolute deviation."""

WIDEST = 5.0
"""Where estimates have no moments, errors beyond this many robust deviations are pulled in."""


@dataclass(frozen=True, eq=False)
class Sides:
    """Hold columns of the rows before and after; with `paired` row by row of the same data."""

    before: list[Array]
    after: list[Array]
    paired: bool

    @property
    def sufficient(self) -> bool:
        """Say whether both sides have rows enough for an error."""
        return min(self.before[0].size, self.after[0].size) >= FEWEST


def sides(pair: Pair, *names: str) -> Sides:
    """Return columns at the answered rows where all of them are given.

    In pairs only rows count that were answered on both sides; what one side lacks is counted by
    the failures.
    """
    if not pair.paired:
        return Sides(present(answers(pair.before), *names), present(answers(pair.after), *names),
                     paired=False)  # fmt: skip
    there = pair.before["ok"] & pair.after["ok"]
    for group in (pair.before, pair.after):
        for name in names:
            there = there & ~np.isnan(group[name])
    before, after = ([group[name][there] for name in names] for group in (pair.before, pair.after))
    return Sides(before, after, paired=True)


def has_moments(pair: Pair, declared: bool) -> bool:
    """Say whether averages of the estimates can be believed, on both sides."""
    points = [present(answers(group), "estimate", "truth") for group in (pair.before, pair.after)]
    return declared and not any(heavy(largest_share(t, truth), t.size) for t, truth in points)


@dataclass(frozen=True, eq=False)
class Unit:
    """Hold what an empirical standard error is here, and how far errors may count.

    With `reach` infinite it is the standard deviation of the errors before. Estimates without
    moments are told in robust deviations around the median error, and count for no more than
    `reach` of them.
    """

    size: Left
    centre: float = 0.0
    reach: float = np.inf

    def tamed(self, errors: Array) -> Array:
        """Return errors, those far out pulled in."""
        if self.reach == np.inf:
            return errors
        far = self.reach * self.size.value
        return np.clip(errors, self.centre - far, self.centre + far)


def varies(errors: Array, theta: Array) -> bool:
    """Say whether errors differ by more than rounding, which they do not without noise."""
    size = max(float(np.abs(part).max(initial=0)) for part in (errors, theta))
    return bool(errors.std() > 1e-9 * size)


@np.errstate(all="ignore")
def unit(errors: Array, theta: Array, fallback: float, *, moments: bool) -> Unit:
    """Return the unit for errors before; `fallback` where they do not vary but by rounding."""
    n = errors.size
    if moments:
        size = left_sd(errors) if varies(errors, theta) else Left(fallback, np.full(n, fallback))
        return Unit(size)
    centre = float(np.median(errors))
    spread = TO_SD * float(np.median(np.abs(errors - centre))) or fallback
    return Unit(Left(spread, np.full(n, spread)), centre, WIDEST)


@dataclass(frozen=True)
class Measured:
    """Hold one measure: its value on both sides, their difference, and the level before.

    Ratios and lengths differ by logarithms. `level` is the value before on the scale of the
    difference, with its error, where better and worse are told from it.
    """

    name: str
    before: float
    after: float
    difference: Apart
    level: Apart | None = None


def of_estimates(pair: Pair, *, moments: bool) -> Iterator[Measured]:
    """Yield the change of the mean estimate, of the bias, the limits and the standard errors.

    In pairs with one truth the mean estimate and the bias change alike; what the bias adds is
    whether it got worse. Without `moments` the SE ratio and the CV of the SE are left out.
    """
    both = sides(pair, "estimate", "truth")
    if both.sufficient:
        before, after = (t - theta for t, theta in (both.before, both.after))
        theta = both.before[1]
        scale = unit(before, theta, _fallback(theta, pair), moments=moments)
        means = left_mean(scale.tamed(before)), left_mean(scale.tamed(after))
        change = apart_in_units(*means, scale.size, paired=both.paired)
        start = _with_truth(level(means[0], scale.size), pair, scale)
        values = start.value, start.value + change.value
        yield Measured("estimate", *values, change)
        yield Measured("bias", *values, change, start)
        yield from _limits(pair, scale)
    if moments:
        yield from _standard_errors(pair)
    yield from _logarithms("std_error", sides(pair, "std_error"), lambda s: s)
    for name, ends in (
        ("length", ("ci_low", "ci_high")),
        ("band_length", ("band_low", "band_high")),
    ):
        yield from _logarithms(name, sides(pair, *ends), lambda low, high: high - low)


def _fallback(theta: Array, pair: Pair) -> float:
    """Return the unit where errors do not vary: a standard error, the truth's size, or one."""
    own = answers(pair.before)["std_error"]
    own = own[own > 0]
    return float(own.mean()) if own.size else float(np.abs(theta).max(initial=0)) or 1.0


def _with_truth(start: Difference, pair: Pair, scale: Unit) -> Difference:
    """Add the truth's own error to a bias; both sides share it, so that differences lack it."""
    own = _error_of_truth(pair) / scale.size.value
    return Difference(start.value, hypot(start.error, own), start.df)


def _error_of_truth(pair: Pair) -> float:
    """Return the error of a simulated truth, which all replicates of both sides share."""
    return float(np.nan_to_num(pair.before["truth_mcse"]).max(initial=0))


def _limits(pair: Pair, scale: Unit) -> Iterator[Measured]:
    """Yield how far the limits lie from the estimate, in the unit of the estimates."""
    size = scale.size.value
    for name, end, sign in (("lower_limit", "ci_low", -1), ("upper_limit", "ci_high", 1)):
        both = sides(pair, "estimate", end)
        reach = _finite([sign * (limit - t) for t, limit in (both.before, both.after)], both.paired)
        if min(each.size for each in reach) < FEWEST:
            continue
        reach = [np.minimum(each, 2 * scale.reach * size) for each in reach]
        means = [left_mean(each) for each in reach]
        # The unit's own error, a few per cent of it, would be a few per cent of the difference.
        fixed = Left(size, np.full(reach[0].size, size))
        change = apart_in_units(means[0], means[1], fixed, paired=both.paired)
        yield Measured(name, means[0].value / size, means[1].value / size, change)


def _standard_errors(pair: Pair) -> Iterator[Measured]:
    both = sides(pair, "estimate", "truth", "std_error")
    if not both.sufficient:
        return
    if all(varies(t - theta, theta) for t, theta, _ in (both.before, both.after)):
        ratios = [_log_ratio(*columns) for columns in (both.before, both.after)]
        values = [float(np.exp(ratio.value)) for ratio in ratios]
        change = apart(ratios[0], ratios[1], paired=both.paired)
        yield Measured("se_ratio", values[0], values[1], change, level(ratios[0]))
    spread = [_variation(columns[2]) for columns in (both.before, both.after)]
    change = apart(spread[0], spread[1], paired=both.paired)
    yield Measured("se_cv", spread[0].value, spread[1].value, change)


@np.errstate(all="ignore")
def _log_ratio(t: Array, theta: Array, s: Array) -> Left:
    """Return the logarithm of the model SE over the empirical SE, and what leaves one out."""
    squares = np.square(s)
    model, spread = np.float64(squares.mean()), left_sd(t - theta)
    each = np.log(leave_one_out_mean(squares)) / 2 - np.log(spread.each)
    return Left(float(np.log(model) / 2 - np.log(spread.value)), each)


@np.errstate(all="ignore")
def _variation(s: Array) -> Left:
    mean, spread = left_mean(s), left_sd(s)
    return Left(float(np.float64(spread.value) / mean.value), spread.each / mean.each)


def _logarithms(name: str, both: Sides, size: Callable[..., Array]) -> Iterator[Measured]:
    """Yield the change of the mean logarithm of positive finite sizes."""
    logs = _finite([_log(size(*columns)) for columns in (both.before, both.after)], both.paired)
    if min(each.size for each in logs) >= FEWEST:
        means = [left_mean(each) for each in logs]
        change = apart(means[0], means[1], paired=both.paired)
        yield Measured(name, exp(means[0].value), exp(means[1].value), change)


@np.errstate(all="ignore")
def _log(x: Array) -> Array:
    return np.asarray(np.log(x))


def _finite(columns: list[Array], paired: bool) -> list[Array]:
    """Return what is finite of each side, of pairs what is finite on both."""
    if paired:
        usable = np.isfinite(columns[0]) & np.isfinite(columns[1])
        return [column[usable] for column in columns]
    return [column[np.isfinite(column)] for column in columns]


BY_NATURE = 0.1
"""Where more fits than this share have their answer in common, repeated answers say nothing."""


def of_sets(pair: Pair) -> Iterator[Measured]:
    """Yield coverage, the misses on either side, unbounded sets and rejections by p-value."""
    both, nominal = sides(pair, *SETS), pair.names["level"]
    if both.before[0].size and both.after[0].size:

        def flagged(test: Callable[..., Any], off: float = 0.0) -> list[Any]:
            return [
                test(low, high, theta + off, outside == 1)
                for low, high, theta, outside in (both.before, both.after)
            ]

        error = _error_of_truth(pair)
        offs = (0.0, error, -error) if error else (0.0,)
        covered = [flagged(covers, off) for off in offs]
        yield share("coverage", *covered, paired=both.paired, start=True)
        for side, name in enumerate(("lower_noncoverage", "upper_noncoverage")):
            misses = [[each[side] for each in flagged(missed, off)] for off in offs]
            yield share(name, *misses, paired=both.paired)
        odd = flagged(lambda low, high, _, outside: np.isinf(low) | np.isinf(high) | outside)
        if odd[0].any() or odd[1].any():
            yield share("unbounded", odd, paired=both.paired)
    tests = sides(pair, "p_value")
    if tests.before[0].size and tests.after[0].size and nominal is not None:
        rejections = [columns[0] < 1 - nominal for columns in (tests.before, tests.after)]
        yield share("rejection", rejections, paired=tests.paired)


def of_diagnostics(pair: Pair) -> Iterator[Measured]:
    """Yield the share of data sets that did not pass."""
    both = sides(pair, "passed")
    if both.before[0].size and both.after[0].size:
        alarms = [columns[0] == 0 for columns in (both.before, both.after)]
        yield share("rejection", alarms, paired=both.paired)


def of_answers(pair: Pair) -> Iterator[Measured]:
    """Yield failures, declined data sets, and answers that lack what others have."""
    for name, flag in (("failure_rate", "failed"), ("declined", "declined")):
        yield share(name, (pair.before[flag], pair.after[flag]), paired=pair.paired)
    lacks: dict[str, Callable[[Group], Array]] = {
        "without_estimate": lambda g: np.isnan(g["estimate"]),
        "without_se": lambda g: ~(g["std_error"] > 0),
        "without_limits": lambda g: np.isnan(g["ci_low"]) | np.isnan(g["ci_high"]),
    }
    answered = _answered(pair)
    if pair.names["kind"] != "diagnostic" and all(g["ok"].size for g in answered):
        for name, lack in lacks.items():
            flags = [lack(group) for group in answered]
            if flags[0].any() or flags[1].any():
                yield share(name, flags, paired=pair.paired)


def of_repeats(pair: Pair) -> Iterator[Measured]:
    """Yield the share of fits whose estimate another replicate has too, to the last bit.

    Data that vary give answers that vary; one and the same answer is a default that a fit falls
    back to in silence.
    """
    flags = [_twins(group) for group in _answered(pair)]
    if min(flag.size for flag in flags) > 1 and flags[0].mean() <= BY_NATURE:
        yield share("repeated", flags, paired=pair.paired)


def of_moves(changes: Changes, moved: float, tolerance: float) -> Iterator[Measured]:
    """Yield the share of fits that moved by more than that many standard errors.

    Asked only where most fits stayed as they were: then a few that did not are a path of the code
    that few data sets take, and no average shows it.
    """
    if changes.share(tolerance) <= 0.5 and changes.answered.any():
        count = int((changes.estimate > moved)[changes.answered].sum())
        moved_share = OneShare(count, int(changes.answered.sum()))
        yield Measured("moved", 0.0, moved_share.value, moved_share)


def of_facts(changes: Changes, margin: float) -> Iterator[Measured]:
    """Yield the share of answers that became failures, and the largest move of a fit beyond that.

    Both are of the same data, and nothing about them is uncertain.
    """
    if changes.lost.any():
        lost = float(changes.lost.mean())
        yield Measured("lost", nan, lost, Difference(lost, 0.0, inf))
    if (largest := float(changes.moved.max(initial=0))) > margin:
        yield Measured("fit", nan, largest, Difference(largest, 0.0, inf))


def share(name: str, *flags: Sequence[Array], paired: bool, start: bool = False) -> Measured:
    """Return a measure of yes and no; with `start` the share before comes with its error.

    `flags` are those before and after, first at the truth as stated, then at the ends of its error.
    """
    at_truth, *ends = (_difference(before, after, paired) for before, after in flags)
    before, after = flags[0]
    starts = [OneShare(int(first.sum()), first.size) for first, _ in flags]
    return Measured(
        name, float(before.mean()), float(after.mean()), widened(at_truth, ends),
        widened(starts[0], starts[1:]) if start else None,
    )  # fmt: skip


def _difference(before: Array, after: Array, paired: bool) -> Shares:
    yes, yes_after = int(before.sum()), int(after.sum())
    if not paired:
        return TwoShares(yes, before.size, yes_after, after.size)
    gained = int((after & ~before).sum())
    return PairedShares(gained, gained - (yes_after - yes), before.size)


def _answered(pair: Pair) -> tuple[Group, Group]:
    """Return the answered rows of each side, of pairs those answered on both."""
    if not pair.paired:
        return answers(pair.before), answers(pair.after)
    there = pair.before["ok"] & pair.after["ok"]
    before, after = (
        {name: column[there] for name, column in group.items()}
        for group in (pair.before, pair.after)
    )
    return before, after


def _twins(group: Group) -> Array:
    values, places, counts = np.unique(group["estimate"], return_inverse=True, return_counts=True)
    return np.asarray((counts[places] > 1) & ~np.isnan(values[places]))
