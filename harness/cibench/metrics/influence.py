"""How far each replicate moves a measure: from that come the errors of differences.

To first order a measure m of n replicates is a mean, m - E m = mean of its influences, and errs by
their S / sqrt n. Two estimators of the same data sets share their noise, so that the error of the
difference of their measures is S / sqrt n of the differences of their influences, replicate by
replicate. For means these are the terms themselves, for functions of means the delta method's, for
what `measures` gives a jackknife error the jackknife's pseudo-values less the measure, for medians
the sign of the deviation over twice the density: each is such that S / sqrt n of the influences is
the error that the measure itself reports.

A group's columns hold here only the rows that have what the measure needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite, nan, sqrt

import numpy as np

from cibench.metrics.accuracy import median_score, mse, relative_bias
from cibench.metrics.core import (
    NO_SPREAD,
    Score,
    leave_one_out_mean,
    leave_one_out_sd,
    mean,
)
from cibench.metrics.groups import Group
from cibench.metrics.intervals import covers, missed, set_length, set_score, significant
from cibench.metrics.posterior import pit_dispersion
from cibench.metrics.shortfall import PARTS, lost_to_failures, shares
from cibench.metrics.standard_errors import model_se, se_ratio
from cibench.model.types import Array

INFINITE = "infinite"


@dataclass(frozen=True, eq=False)
class Influence:
    """Hold a measure's value and how far each replicate moves it; `why` says why it is blank."""

    value: float
    each: Array
    why: str = ""


Influences = Callable[[Group], Influence]
"""Of the columns that a measure needs; `level`, a single number, is the nominal one."""


def nothing(why: str) -> Influence:
    """Return the influence of no replicate on a value that is not known."""
    return Influence(nan, np.empty(0), why)


@np.errstate(all="ignore")
def of_mean(terms: Array) -> Influence:
    """Return the mean of finite terms, and what each adds to it."""
    value = mean(terms)
    return Influence(value, terms - value) if isfinite(value) else nothing(INFINITE)


def of_ratio(above: Array, below: Array) -> Influence:
    """Return the mean of `above` over that of `below`, by the delta method."""
    ratio = mean(above) / mean(below)
    return Influence(ratio, (above - ratio * below) / mean(below))


@np.errstate(all="ignore")
def _root(square: Influence) -> Influence:
    value = sqrt(square.value) if square.value >= 0 else nan
    return Influence(value, square.each / (2 * value) if value else square.each, square.why)


@np.errstate(all="ignore")
def _left_out(found: Score, leave_one_out: Array) -> Influence:
    """Return the influences whose error is the centred jackknife's."""
    if found.why or not np.isfinite(leave_one_out).all():
        return nothing(found.why or NO_SPREAD)
    each = (leave_one_out.size - 1) * (mean(leave_one_out) - leave_one_out)
    return Influence(found.value, each)


def _median(x: Array) -> Influence:
    found = median_score(x)
    if not isfinite(found.value):
        return nothing(INFINITE)
    error = found.mcse if isfinite(found.mcse) else 0.0
    return Influence(found.value, sqrt(x.size) * error * np.sign(x - found.value))


@np.errstate(all="ignore")
def _errors(g: Group) -> Array:
    return np.asarray(g["estimate"] - g["truth"])


def _sets(g: Group) -> tuple[Array, Array, Array, Array]:
    return g["ci_low"], g["ci_high"], g["truth"], g["outside"]


def _held(g: Group) -> Array:
    low, high, theta, outside = _sets(g)
    return covers(low, high, theta, outside).astype(float)


@np.errstate(all="ignore")
def _absolute_bias(g: Group) -> Influence:
    found = of_mean(_errors(g))
    return Influence(abs(found.value), np.sign(found.value) * found.each, found.why)


@np.errstate(all="ignore")
def _relative_bias(g: Group) -> Influence:
    found, truth = relative_bias(g["estimate"], g["truth"]), mean(g["truth"])
    if found.why:
        return nothing(found.why)
    return Influence(found.value, (_errors(g) - found.value * g["truth"]) / truth)


@np.errstate(all="ignore")
def _mse(g: Group) -> Influence:
    value = mse(g["estimate"], g["truth"]).value
    return Influence(value, np.square(_errors(g)) - value) if isfinite(value) else nothing(INFINITE)


def _empirical_se(g: Group) -> Influence:
    errors = _errors(g)
    if errors.size < 3:
        return nothing(NO_SPREAD if errors.size < 2 else "two replicates leave no jackknife")
    spread = sqrt(float(np.square(errors - mean(errors)).sum()) / (errors.size - 1))
    return _left_out(Score(spread, nan), leave_one_out_sd(errors))


@np.errstate(all="ignore")
def _model_se(g: Group) -> Influence:
    squares = np.square(g["std_error"])
    found = model_se(g["std_error"])
    return _root(Influence(found.value**2, squares - found.value**2))


@np.errstate(all="ignore")
def _se_ratio(g: Group) -> Influence:
    found = se_ratio(g["estimate"], g["truth"], g["std_error"])
    own = np.sqrt(leave_one_out_mean(np.square(g["std_error"])))
    return _left_out(found, own / leave_one_out_sd(_errors(g)))


def _bias_eliminated(g: Group) -> Influence:
    low, high, theta, outside = _sets(g)
    held = covers(low - theta, high - theta, mean(_errors(g)), outside)
    return of_mean(held.astype(float))


def _rejection(g: Group) -> Influence:
    held = covers(g["ci_low"], g["ci_high"], 0.0, g["outside"])
    return of_mean(1.0 - held)


def _type_s(g: Group) -> Influence:
    found, why = significant(g["truth"], g["ci_low"], g["ci_high"], g["outside"])
    wrong = found & (np.sign(g["estimate"]) != np.sign(g["truth"]))
    return nothing(why) if why else of_ratio(wrong.astype(float), found.astype(float))


@np.errstate(all="ignore")
def _type_m(g: Group) -> Influence:
    found, why = significant(g["truth"], g["ci_low"], g["ci_high"], g["outside"])
    if why:
        return nothing(why)
    size = np.where(found, np.abs(g["estimate"] / g["truth"]), 0.0)
    return of_ratio(size, found.astype(float))


def _pit_dispersion(g: Group) -> Influence:
    return _left_out(pit_dispersion(g["pit"]), sqrt(12) * leave_one_out_sd(g["pit"]))


def _share(part: str) -> Influences:
    def of(g: Group) -> Influence:
        low, high, theta, outside = _sets(g)
        found = shares(g["estimate"], theta, g["std_error"], low, high, float(g["level"]), outside)
        if isinstance(found, str):
            return nothing(found)
        value, each = found[part]
        return Influence(value, each - mean(each))

    return of


def _lost(g: Group) -> Influence:
    """Give the coverage lost to failures, by the delta method; see `lost_to_failures`."""
    given = ~np.isnan(g["ci_low"]) & ~np.isnan(g["truth"]) & g["ok"]
    held = np.where(given, _held(g), 0.0)
    if not given.any():
        return nothing("no replicate was answered")
    found = lost_to_failures(int(held.sum()), int(given.sum()), given.size)
    p, q = float(held.sum() / given.sum()), float(given.mean())
    return Influence(found.value, (1 - q) / q * (held - p * given) - p * (given - q))


INFLUENCES: dict[str, Influences] = {
    "bias": lambda g: of_mean(_errors(g)),
    "absolute_bias": _absolute_bias, "relative_bias": _relative_bias, "mse": _mse,
    "rmse": lambda g: _root(_mse(g)), "empirical_se": _empirical_se,
    "model_se": _model_se, "se_ratio": _se_ratio,
    "coverage": lambda g: of_mean(_held(g)),
    "coverage_with_failures": lambda g: of_mean(np.where(g["ok"], _held(g), 0.0)),
    "bias_eliminated_coverage": _bias_eliminated,
    "ci_length": lambda g: of_mean(set_length(g["ci_low"], g["ci_high"], g["outside"])),
    "rejection": _rejection,
    "failure_rate": lambda g: of_mean(g["failed"].astype(float)),
    "median_bias": lambda g: _median(_errors(g)),
    "mad": lambda g: _median(np.abs(_errors(g))), "mae": lambda g: of_mean(np.abs(_errors(g))),
    "interval_score": lambda g: of_mean(set_score(*_sets(g)[:3], float(g["level"]), g["outside"])),
    "lower_noncoverage": lambda g: of_mean(missed(*_sets(g))[0].astype(float)),
    "upper_noncoverage": lambda g: of_mean(missed(*_sets(g))[1].astype(float)),
    "type_s": _type_s, "type_m": _type_m,
    "simultaneous_coverage": lambda g: of_mean(g["bands_held"]),
    "crps": lambda g: of_mean(g["crps"]),
    "pit_mean": lambda g: of_mean(g["pit"]), "pit_dispersion": _pit_dispersion,
    **{f"shortfall_{part}": _share(part) for part in PARTS}, "shortfall_failures": _lost,
}  # fmt: skip
"""The influences on every measure that an estimator has by itself in one cell, and on |bias|."""
