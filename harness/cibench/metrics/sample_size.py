"""How many replicates a cell needs: pure arithmetic from targets and a pilot, with derivations.

A target is a Monte Carlo standard error t. A measure of R replicates errs by s / sqrt R, with s
the standard deviation of the replicates' influences on it (`cibench.metrics.influence`), so that

    R = s^2 / t^2.

- *Shares* (coverage, rejection, failure rate and so on), t in shares: s^2 = p (1 - p). The plain
  error is zero at p = 0 and 1 and would stop a cell that knows nothing; the error meant here is
  half of Wilson's interval one error wide, sqrt(p (1 - p) / R + 1 / (4 R^2)) / (1 + 1 / R). It
  reaches t at R = (q - 2 t^2 + sqrt(q^2 - 4 q t^2 + t^2)) / (2 t^2) with q = p (1 - p); at q = 0
  that is 1 / (2 t) - 1. `type_s` is a share of the significant ones, which are fewer.
- *bias*, t in empirical standard errors S: s = S, so that R = 1 / t^2 exactly, whatever S is and
  without a pilot. *median_bias* likewise in units of S, with the median's own s.
- *Everything with a unit or around one* (`rmse`, `ci_length`, `se_ratio`, ...), t as a share of the
  measure's own value v: R = s^2 / (v t)^2.
- *The rest* (`relative_bias`, `pit_mean`, `shortfall_bias`, ...), t as it is: R = s^2 / t^2.

A pilot of n replicates knows s only roughly. `replicates` takes it as it is; `at_most` is what
suffices unless the pilot misleads: for shares p is the end nearest 1/2 of its 95 % Wilson limits,
else s^2 is multiplied by (n - 1) / c, c the 5 % point of chi squared with n - 1 degrees of freedom
(exact for normal influences). A truth with an error of its own, d in the target's unit, leaves
t^2 - d^2 to the replicates, and nothing where d is t or more: no number of them reaches the target.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf, isfinite, nan, sqrt

import numpy as np

from cibench.metrics.core import ALL_EQUAL, NO_SPREAD, proportion, standard_deviation
from cibench.metrics.groups import Group, answers, counted
from cibench.metrics.influence import NO_JACKKNIFE, Influence, Share, nothing
from cibench.metrics.registry import METRICS, Kind, Metric, listed
from cibench.model.types import Array
from cibench.utils.errors import BadInput, unknown

NO_VALUE, NO_ERROR = "its value is 0", "it has not varied"
SPREADLESS = (NO_SPREAD, NO_JACKKNIFE, ALL_EQUAL, NO_VALUE, NO_ERROR)
"""Reasons that more replicates may do away with."""

ROUNDING = 1e-12
"""A spread that is no larger than this share of the value is none."""


@dataclass(frozen=True)
class Need:
    """Say how many replicates a target takes: as the pilot has it, and at most.

    Infinite where no number reaches it, NaN where nothing is known: `why` then says why, "" of an
    estimator that does not give what is measured.
    """

    replicates: float
    at_most: float
    why: str = ""

    @property
    def spreadless(self) -> bool:
        """Say whether nothing is known because nothing has varied yet."""
        return self.why in SPREADLESS


LEAST = 1e-100
"""The smallest error that can be aimed at: the square of a smaller one may be no number."""


def check_target(measure: str, target: float) -> None:
    """Raise BadInput unless a metric can be planned for and its target is above zero."""
    planned = [metric.name for metric in listed("plan")]
    if measure not in planned:
        raise BadInput(unknown("measure", measure, planned))
    if not 0 < target < inf:
        raise BadInput(f"the target for {measure}, {target:g}, is not above 0")
    if not LEAST <= target <= 1 / LEAST:
        raise BadInput(f"the target for {measure}, {target:g}, is not between {LEAST:g} and "
                       f"{1 / LEAST:g}")  # fmt: skip


def for_share(p: float, target: float) -> int:
    """Return the replicates at which half of Wilson's one-error interval around p is the target."""
    q, t2 = p * (1 - p), target**2
    root = max(q**2 - 4 * q * t2 + t2, 0.0)
    return int(_whole((q - 2 * t2 + sqrt(root)) / (2 * t2)))


def for_variance(variance: float, target: float, truth_error: float = 0.0) -> float:
    """Return the replicates that bring a measure's error to the target, infinite if none do.

    `variance` is that of the influences, `truth_error` what the truth's own error adds.
    """
    room = target**2 - truth_error**2
    return _whole(variance / room) if room > 0 else inf


def need(measure: str, target: float, group: Group, level: float, truth_mcse: float = 0.0) -> Need:
    """Return what one target takes in one cell, from the pilot's rows of one estimator.

    `group` holds the columns of all its replicates, failures included. Failures leave fewer
    answers than replicates: the count is raised so that enough answers are left, `at_most` by the
    lower 95 % Wilson limit of their share.
    """
    metric, answered = METRICS[measure], answers(group)
    tried = counted(metric, group) if metric.flags else answered
    raised = tried["ok"].size / max(group["ok"].size, 1)
    if raised == 0:
        return Need(nan, nan, "no replicate was answered")
    doubt = proportion(tried["ok"].size, group["ok"].size).low / raised if raised < 1 else 1.0
    if metric.exact and not truth_mcse:
        count = for_variance(1.0, target) / raised
        return Need(_whole(count), _whole(count / doubt))
    if any(np.isnan(answered[name]).all() for name in metric.needs):
        return Need(nan, nan)  # the estimator does not give what this measures
    rows = tried if metric.flags else _complete(answered, metric.needs)
    influence = _influence(metric, rows, level, 0.0)
    if influence.why or not isfinite(influence.value) or influence.each.size < 2:
        return Need(nan, nan, influence.why or NO_SPREAD)
    if metric.share:
        raised *= (among := _counted(metric, rows, level)) / influence.each.size
        ends = _for_share(influence.value, among, target)
    else:
        unit = _unit(metric, influence, rows)
        if not (unit > 0 and standard_deviation(influence.each) > ROUNDING * abs(influence.value)):
            zero = ALL_EQUAL if metric.kind is Kind.IN_SE else NO_VALUE
            return Need(nan, nan, NO_ERROR if unit > 0 else zero)
        shifted = [_influence(metric, rows, level, d).value for d in (truth_mcse, -truth_mcse)]
        ends = _for_mean(metric, influence, target, unit, abs(shifted[0] - shifted[1]) / 2)
    why = "the truth's own error is larger than the target" if ends[0] == inf else ""
    return Need(_whole(ends[0] / raised), _whole(ends[1] / (raised * doubt)), why)


def _counted(metric: Metric, rows: Group, level: float) -> int:
    """Return how many replicates a share is one of: all, or those among which it counts."""
    result = metric.of(rows, level)
    some = result.among if isinstance(result, Share) else None
    return rows["ok"].size if some is None else int(some.sum())


def _for_share(p: float, n: int, target: float) -> tuple[float, float]:
    limits = proportion(round(p * n), n)
    return for_share(p, target), for_share(min(max(0.5, limits.low), limits.high), target)


def _for_mean(
    metric: Metric, influence: Influence, target: float, unit: float, moved: float
) -> tuple[float, float]:
    from scipy.special import chdtri

    n, variance = influence.each.size, (standard_deviation(influence.each) / unit) ** 2
    doubt = 1.0 if metric.exact else (n - 1) / float(chdtri(n - 1, 0.95))
    likely, most = (for_variance(variance * k, target, moved / unit) for k in (1.0, doubt))
    return likely, most


def _unit(metric: Metric, influence: Influence, rows: Group) -> float:
    """Return what one unit of a target is, on the metric's own scale."""
    if metric.kind is Kind.IN_SE:
        return standard_deviation(rows["estimate"] - rows["truth"])
    return abs(influence.value) if metric.kind is Kind.RELATIVE else 1.0


def _influence(metric: Metric, rows: Group, level: float, shift: float) -> Influence:
    if not rows["ok"].size:
        return nothing("no row has all that it needs")
    return metric.influence({**rows, "truth": rows["truth"] + shift}, level)


def _complete(rows: Group, names: tuple[str, ...]) -> Group:
    """Return the answered rows that have all of the columns."""
    there: Array = ~np.logical_or.reduce([np.isnan(rows[name]) for name in names])
    return {name: column[there] for name, column in rows.items()}


def _whole(count: float) -> float:
    return max(1, ceil(count - 1e-9)) if isfinite(count) else count
