"""The measures that look at several groups of one cell: its estimators, or its horizons.

A family is a list of groups, each with its columns in replicate order.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from cibench.metrics.core import Score, blank, with_truth_error
from cibench.metrics.groups import LIMITS, Group
from cibench.metrics.intervals import coverage
from cibench.metrics.intervals import simultaneous_coverage as simultaneous
from cibench.metrics.standard_errors import FEW
from cibench.metrics.standard_errors import precision_gain as gain
from cibench.metrics.standard_errors import size_adjusted_power as adjusted
from cibench.model.types import Array


def aligned(family: Sequence[Group]) -> list[Group]:
    """Return the groups with a place for every replicate of the family, unanswered if missing."""
    first = family[0]["replicate"]
    if all(np.array_equal(group["replicate"], first) for group in family[1:]):
        return list(family)
    union = np.unique(np.concatenate([group["replicate"] for group in family]))
    return [_spread(group, union) for group in family]


def coverage_common(family: Sequence[Group], truth_mcse: float) -> list[Score]:
    """Return each estimator's coverage on the replicates that all of an aligned family answered.

    Who answered none at all is not waited for, or else one broken estimator would silence the
    others.
    """
    replied = [group["ok"] for group in family if group["ok"].any()]
    if not replied:
        return [blank("") for _ in family]
    common = np.logical_and.reduce(replied)
    if not common.any():
        return [blank("no replicate that all estimators answered") for _ in family]
    scores = []
    for group in family:
        chosen = common & group["ok"] & _given(group, *LIMITS, "truth")
        low, high, outside, theta = (group[name][chosen] for name in (*LIMITS, "truth"))
        held = partial(coverage, low, high, outside=outside)
        scores.append(with_truth_error(held, theta, truth_mcse))
    return scores


def precision_gains(family: Sequence[Group]) -> tuple[list[Score], int | None]:
    """Return the precision gained over the first whose errors vary, and that one's place.

    The family is aligned; each gain rests on the replicates that both answered.
    """
    errors = [np.where(group["ok"], group["estimate"] - group["truth"], np.nan) for group in family]
    first = next((i for i, e in enumerate(errors) if np.unique(e[~np.isnan(e)]).size > 1), None)
    if first is None:
        return [blank("no errors vary that precision could refer to") for _ in errors], None
    return [_gain(errors[first], own) for own in errors], first


def simultaneous_coverage(family: Sequence[Group], truth_mcse: Sequence[float]) -> Score:
    """Return how often the bands hold the truths of all horizons, where all have them.

    The family is aligned. Horizons without any band are left out. The truths' own errors move all
    horizons one way at once, which is the worst they can do.
    """
    found = bands(family)
    if isinstance(found, str):
        return blank(found)
    banded, common = found
    low, high, theta = (
        np.array([family[i][name][common] for i in banded])
        for name in ("band_low", "band_high", "truth")
    )
    shift = np.nan_to_num([[truth_mcse[i]] for i in banded])

    def held(by: Array) -> Score:
        return simultaneous(low, high, theta + by * shift)

    return with_truth_error(held, np.zeros(1), float(shift.any()))


def bands(family: Sequence[Group]) -> tuple[list[int], Array] | str:
    """Return the horizons that have bands and mark the replicates that have all of them."""
    given = [group["ok"] & _given(group, "band_low", "band_high", "truth") for group in family]
    banded = [i for i, there in enumerate(given) if there.any()]
    if not banded:
        return ""
    common = np.logical_and.reduce([given[i] for i in banded])
    return (banded, common) if common.any() else "no replicate has the bands of all horizons"


def size_adjusted_power(group: Group, null: Group, level: float) -> Score:
    """Return the power at the null cell's critical value, over the replicates of both."""
    ours, theirs = (_statistics(one) for one in aligned([group, null]))
    both = ~np.isnan(ours) & ~np.isnan(theirs)
    if both.any():
        return adjusted(ours[both], theirs[both], level)
    return blank("" if np.isnan(ours).all() else FEW)


def _gain(reference: Array, own: Array) -> Score:
    both = ~np.isnan(reference) & ~np.isnan(own)
    # Two estimators of one cell face the same truths, which cancel from the difference.
    return gain(own[both], reference[both], np.zeros(int(both.sum())))


@np.errstate(all="ignore")
def _statistics(group: Group) -> Array:
    usable = group["ok"] & (group["std_error"] > 0)
    return np.where(usable, group["estimate"] / group["std_error"], np.nan)


def _given(group: Group, *names: str) -> Array:
    return np.asarray(~np.logical_or.reduce([np.isnan(group[name]) for name in names]))


def _spread(group: Group, union: Array) -> Group:
    places = np.searchsorted(union, group["replicate"])
    spread = {}
    for name, column in group.items():
        wide = np.full(union.size, False if column.dtype == bool else np.nan)
        wide[places] = column
        spread[name] = wide
    return spread
