"""The measures that are shares: of intervals that cover, of fits that fail, repeat or moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cibench.gate.changes import Changes
from cibench.gate.differences import Apart
from cibench.gate.measured import Measured
from cibench.gate.pairing import Pair
from cibench.gate.sample import sides
from cibench.gate.shares import OneShare, PairedShares, TwoShares
from cibench.measures import covers
from cibench.measures.answers import SETS, Group, answers
from cibench.measures.sets import missed
from cibench.model import Array

BY_NATURE = 0.1
"""Where more fits than this share have their answer in common, repeated answers say nothing."""


def of_sets(pair: Pair) -> Iterator[Measured]:
    """Yield coverage, the misses on either side, unbounded sets and rejections by p-value."""
    both, nominal = sides(pair, *SETS), pair.names["level"]
    if both.before[0].size and both.after[0].size:

        def flagged(test: Callable[..., Any]) -> list[Any]:
            return [
                test(low, high, theta, outside == 1)
                for low, high, outside, theta in (both.before, both.after)
            ]

        yield share("coverage", *flagged(covers), paired=both.paired, start=True)
        for side, name in enumerate(("lower_noncoverage", "upper_noncoverage")):
            yield share(name, *(each[side] for each in flagged(missed)), paired=both.paired)
        odd = flagged(lambda low, high, _, outside: np.isinf(low) | np.isinf(high) | outside)
        if odd[0].any() or odd[1].any():
            yield share("unbounded", *odd, paired=both.paired)
    tests = sides(pair, "p_value")
    if tests.before[0].size and tests.after[0].size and nominal is not None:
        found = [columns[0] < 1 - nominal for columns in (tests.before, tests.after)]
        yield share("rejection", *found, paired=tests.paired)


def of_diagnostics(pair: Pair) -> Iterator[Measured]:
    """Yield the share of data sets that did not pass."""
    both = sides(pair, "passed")
    if both.before[0].size and both.after[0].size:
        alarms = [columns[0] == 0 for columns in (both.before, both.after)]
        yield share("rejection", *alarms, paired=both.paired)


def of_answers(pair: Pair) -> Iterator[Measured]:
    """Yield failures, declined data sets, and answers that lack what others have."""
    for name, flag in (("failure_rate", "failed"), ("declined", "declined")):
        yield share(name, pair.before[flag], pair.after[flag], paired=pair.paired)
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
                yield share(name, *flags, paired=pair.paired)


def of_repeats(pair: Pair) -> Iterator[Measured]:
    """Yield the share of fits whose estimate another replicate has too, to the last bit.

    Data that vary give answers that vary; one and the same answer is a default that a fit falls
    back to in silence.
    """
    flags = [_twins(group) for group in _answered(pair)]
    if min(flag.size for flag in flags) > 1 and flags[0].mean() <= BY_NATURE:
        yield share("repeated", *flags, paired=pair.paired)


def of_moves(changes: Changes, moved: float, tolerance: float) -> Iterator[Measured]:
    """Yield the share of fits that moved by more than that many standard errors.

    Asked only where most fits stayed as they were: then a few that did not are a path of the code
    that few data sets take, and no average shows it.
    """
    if changes.share(tolerance) <= 0.5 and changes.answered.any():
        count = int((changes.estimate > moved)[changes.answered].sum())
        one = OneShare(count, int(changes.answered.sum()))
        yield Measured("moved", 0.0, one.value, one)


def share(name: str, before: Array, after: Array, *, paired: bool, start: bool = False) -> Measured:
    """Return a measure of yes and no; with `start` the share before comes with its error."""
    yes, yes_after = int(before.sum()), int(after.sum())
    difference: Apart
    if paired:
        gained = int((after & ~before).sum())
        difference = PairedShares(gained, gained - (yes_after - yes), before.size)
    else:
        difference = TwoShares(yes, before.size, yes_after, after.size)
    level = OneShare(yes, before.size) if start else None
    return Measured(name, yes / before.size, yes_after / after.size, difference, level)


def _answered(pair: Pair) -> tuple[Group, Group]:
    """Return the answered rows of each side, of pairs those answered on both."""
    if not pair.paired:
        return answers(pair.before), answers(pair.after)
    there = pair.before["ok"] & pair.after["ok"]
    one, other = (
        {name: column[there] for name, column in group.items()}
        for group in (pair.before, pair.after)
    )
    return one, other


def _twins(group: Group) -> Array:
    values, places, counts = np.unique(group["estimate"], return_inverse=True, return_counts=True)
    return np.asarray((counts[places] > 1) & ~np.isnan(values[places]))
