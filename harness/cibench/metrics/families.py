"""Metrics of several groups: the estimators of a cell, the targets of an estimand, a null cell.

A family is a list of groups, each with its columns in replicate order. Metrics of the scopes `cell`
and `targets` take an aligned family and the truths' own errors, and return a score for each group;
one of the scope `null cell` takes a group, that of the null cell, and the level.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from cibench.metrics import intervals, standard_errors
from cibench.metrics.core import Score, blank, with_truth_error
from cibench.metrics.groups import Group, answers, present
from cibench.metrics.moments import vary
from cibench.metrics.registry import BANDS, POINTS, SETS, Kind, Loss, metric
from cibench.model.types import Array


def aligned(family: Sequence[Group]) -> list[Group]:
    """Return the groups with a place for every replicate of the family, unanswered if missing."""
    first = family[0]["replicate"]
    if all(np.array_equal(group["replicate"], first) for group in family[1:]):
        return list(family)
    union = np.unique(np.concatenate([group["replicate"] for group in family]))
    return [_spread(group, union) for group in family]


@metric(
    SETS, Kind.SHARE, scope="cell", place=230, label="coverage where all answered",
    meaning="coverage on the replicates that all estimators of the cell answered",
    loss=Loss.SHORTFALL, tables=("scores",),
)  # fmt: skip
def coverage_common(family: Sequence[Group], truth_mcse: Sequence[float]) -> list[Score]:
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
        chosen = common & group["ok"] & _present(group, *SETS)
        low, high, theta, outside = (group[name][chosen] for name in SETS)
        coverage = partial(intervals.coverage, low, high, outside=outside)
        scores.append(with_truth_error(coverage, theta, truth_mcse[0]))
    return scores


@metric(
    POINTS, Kind.AS_IS, scope="cell", place=220, label="precision gained",
    meaning="precision over that of the cell's first estimator whose errors vary, less one",
    moments="hidden", tables=("scores",),
)  # fmt: skip
def precision_gain(
    family: Sequence[Group], _: Sequence[float], *, normal: bool = False
) -> list[Score]:
    """Return the precision gained over the reference of an aligned family.

    Each gain rests on the replicates that both answered; `normal` is that of
    `standard_errors.precision_gain`.
    """
    first = reference(family)
    if first is None:
        return [blank("no errors vary that precision could refer to") for _ in family]
    return [_gain(_errors(family[first]), _errors(group), normal) for group in family]


def reference(family: Sequence[Group]) -> int | None:
    """Return the place of the first group whose errors vary, None where none do."""
    varying = (i for i, group in enumerate(family) if _varies(group))
    return next(varying, None)


@metric(
    BANDS, Kind.SHARE, scope="targets", place=240, label="joint coverage of bands",
    meaning="share of replicates whose bands hold the truths of all targets at once",
    loss=Loss.SHORTFALL, tables=("scores", "pairs"), terms="bands_held",
)  # fmt: skip
def simultaneous_coverage(family: Sequence[Group], truth_mcse: Sequence[float]) -> list[Score]:
    """Return how often the bands hold the truths of all targets, where all have them.

    The family is aligned. Horizons without any band are left out. The truths' own errors move all
    targets one way at once, which is the worst they can do.
    """
    family_bands = bands(family)
    if isinstance(family_bands, str):
        return [blank(family_bands) for _ in family]
    banded, common = family_bands
    columns = {name: np.array([family[i][name][common] for i in banded]) for name in BANDS}
    covered = partial(intervals.simultaneous_coverage, columns["band_low"], columns["band_high"])
    return _at_all_targets(covered, columns["truth"], [truth_mcse[i] for i in banded], len(family))


@metric(
    BANDS, Kind.SHARE, scope="targets", place=242, loss=Loss.SHORTFALL, tables=("scores",),
    label="joint coverage of bands, failures as misses",
    meaning="share of tries whose bands hold the truths of all targets at once",
)  # fmt: skip
def simultaneous_coverage_with_failures(
    family: Sequence[Group], truth_mcse: Sequence[float]
) -> list[Score]:
    """Return how often bands held the truths of all targets, of all data sets that were tried.

    A data set without an answer, or without a band for a target that has bands elsewhere, is a try
    that missed; who declines has not tried. The family is aligned.
    """
    banded = _with_bands(family)
    if not banded:
        return [blank("") for _ in family]
    tried = ~np.logical_and.reduce([family[i]["declined"] for i in banded])
    columns = {name: np.array([family[i][name][tried] for i in banded]) for name in BANDS}
    there = np.array([(family[i]["ok"] & _present(family[i], *BANDS))[tried] for i in banded])
    low = np.where(there, columns["band_low"], np.inf)  # an empty band, which holds nothing
    high = np.where(there, columns["band_high"], -np.inf)
    covered = partial(intervals.simultaneous_coverage, low, high)
    theta = np.where(there, columns["truth"], 0.0)
    return _at_all_targets(covered, theta, [truth_mcse[i] for i in banded], len(family))


@metric(
    SETS, Kind.SHARE, scope="targets", place=244, tables=("scores",),
    label="joint coverage of pointwise limits",
    meaning="share of replicates whose pointwise limits hold the truths of all targets at once",
)  # fmt: skip
def joint_coverage(family: Sequence[Group], truth_mcse: Sequence[float]) -> list[Score]:
    """Return how often pointwise limits hold the truths of all targets at once.

    Pointwise limits do not promise that; simultaneous bands do. Horizons without limits are left
    out, and so are replicates that lack those of another target. The family is aligned.
    """
    there = [group["ok"] & _present(group, *SETS) for group in family]
    limited = [i for i, answered in enumerate(there) if answered.any()]
    if len(limited) < 2:
        return [blank("fewer than two targets have limits") for _ in family]
    common = np.logical_and.reduce([there[i] for i in limited])
    if not common.any():
        return [blank("no replicate has the limits of all targets") for _ in family]
    low, high, theta, outside = (
        np.array([family[i][name][common] for i in limited]) for name in SETS
    )
    covered = partial(intervals.simultaneous_coverage, low, high, outside=outside)
    return _at_all_targets(covered, theta, [truth_mcse[i] for i in limited], len(family))


def bands(family: Sequence[Group]) -> tuple[list[int], Array] | str:
    """Return the targets that have bands and mark the replicates that have all of them."""
    banded = _with_bands(family)
    if not banded:
        return ""
    common = np.logical_and.reduce([family[i]["ok"] & _present(family[i], *BANDS) for i in banded])
    return (banded, common) if common.any() else "no replicate has the bands of all targets"


def _with_bands(family: Sequence[Group]) -> list[int]:
    """Return the targets that have a band in some replicate."""
    return [i for i, group in enumerate(family) if (group["ok"] & _present(group, *BANDS)).any()]


def _at_all_targets(
    covered: Callable[[Array], Score], theta: Array, errors: Sequence[float], size: int
) -> list[Score]:
    """Score what all targets have in common; their truths' errors move all of them one way."""
    shift = np.array(errors)[:, None]

    def coverage(by: Array) -> Score:
        return covered(theta + by * shift)

    return [with_truth_error(coverage, np.zeros(1), float(shift.any()))] * size


@metric(
    ("estimate", "std_error"), Kind.SHARE, scope="null cell", place=250,
    label="size-adjusted power", tables=("scores",),
    meaning="rejections at the critical value that is right where the truth is zero",
)  # fmt: skip
def size_adjusted_power(group: Group, null: Group, level: float) -> Score:
    """Return the power at the null cell's critical value, over the replicates of both.

    Blank where limits are one-sided: their test is not that of |estimate| over its error.
    """
    ends = [each[end][each["ok"]] for each in (group, null) for end in ("ci_low", "ci_high")]
    if any(np.isinf(end).any() for end in ends):
        return blank("limits on one side are another test")
    ours, theirs = (_statistics(each) for each in aligned([group, null]))
    both = ~np.isnan(ours) & ~np.isnan(theirs)
    if both.any():
        return standard_errors.size_adjusted_power(ours[both], theirs[both], level)
    return blank("" if np.isnan(ours).all() else standard_errors.FEW)


def _errors(group: Group) -> Array:
    return np.where(group["ok"], group["estimate"] - group["truth"], np.nan)


def _varies(group: Group) -> bool:
    """Say whether the errors of a group vary by more than rounding."""
    return vary(*present(answers(group, *POINTS), *POINTS))


def _gain(theirs: Array, own: Array, normal: bool) -> Score:
    both = ~np.isnan(theirs) & ~np.isnan(own)
    # Two estimators of one cell face the same truths, which cancel from the difference.
    zeros = np.zeros(int(both.sum()))
    return standard_errors.precision_gain(own[both], theirs[both], zeros, normal=normal)


@np.errstate(all="ignore")
def _statistics(group: Group) -> Array:
    usable = group["ok"] & (group["std_error"] > 0)
    return np.where(usable, group["estimate"] / group["std_error"], np.nan)


def _present(group: Group, *names: str) -> Array:
    return np.asarray(~np.logical_or.reduce([np.isnan(group[name]) for name in names]))


def _spread(group: Group, union: Array) -> Group:
    places = np.searchsorted(union, group["replicate"])
    spread = {}
    for name, column in group.items():
        wide = np.full(union.size, False if column.dtype == bool else np.nan)
        wide[places] = column
        spread[name] = wide
    return spread
