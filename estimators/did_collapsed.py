"""Difference in differences on one number a unit: what each unit's own rows say of its change.

Bertrand, Duflo and Mullainathan (2004, QJE 119, section IV.C) ignore the time series: each unit's
rows are collapsed into one contrast c'y_i, and the contrasts of treated and untreated units are
compared by least squares (statsmodels) with HC2 errors and Student's t. Whatever the correlation of
a unit's errors over time, its contrast is one observation, so that few units do little harm. They
differ in what the outcomes after adoption, averaged, are compared with:

    did/collapsed            the average of all periods before adoption
    did/collapsed-last       the last period before adoption, as group-time effects do
    did/collapsed-earlier    the period before that
    did/collapsed-detrended  the line through the unit's periods before adoption, carried on

With one date of adoption and a balanced panel the first is two-way fixed effects. The last is
centred if the groups drift apart along straight lines. `did/pre-slopes` tests that they do not: it
compares the slopes of those lines.
"""

from collections.abc import Callable

import numpy as np

from cibench import Declined, Diagnosis, Estimand, Estimate, Problem, diagnostic, estimator
from cibench.model import Array

from ._did import UNCONDITIONAL, adopters
from ._reasons import uneven

NEEDS, USES = ("unit", "time", "cohort"), ("statsmodels",)
EARLY, PARALLEL = "no anticipation", "parallel trends"
Contrast = Callable[[Array, int], Array]


def _units(problem: Problem) -> tuple[Array, Array, Array, int]:
    """Return outcomes (units by periods), who is treated, the periods and how many come before."""
    frame, roles = adopters(problem), problem.roles
    if roles.cluster not in ("", roles.unit):
        raise Declined("takes units that are clusters of their own")
    wide = frame.pivot(index=roles.unit, columns=roles.time, values=roles.outcome)
    cohort = frame.groupby(roles.unit)[roles.cohort].first().to_numpy()
    dates = np.unique(cohort[cohort > 0])
    if dates.size != 1 or not (cohort == 0).any():
        raise Declined("takes one date of adoption and units that are never treated")
    if wide.isna().any(axis=None):
        who = uneven(frame[roles.unit].to_numpy(), frame[roles.time].to_numpy())
        raise Declined(f"takes a balanced panel; {who}")
    if min((cohort > 0).sum(), (cohort == 0).sum()) < 2:
        raise Declined("a group of one unit has no error to estimate")
    periods = wide.columns.to_numpy(dtype=float)
    return wide.to_numpy(), (cohort > 0).astype(float), periods, int((periods < dates[0]).sum())


def _compare(values: Array, treated: Array, level: float) -> Estimate:
    """Compare the contrasts of both groups."""
    from statsmodels.regression.linear_model import OLS

    if np.ptp(values[treated == 1]) == 0 and np.ptp(values[treated == 0]) == 0:
        raise Declined("no change differs within its group: there is no error to estimate")
    fit = OLS(values, np.column_stack([treated, np.ones(treated.size)]))
    fit = fit.fit(cov_type="HC2", use_t=True)
    low, high = fit.conf_int(1 - level)[0]
    value, se, p_value = fit.params[0], fit.bse[0], fit.pvalues[0]
    return Estimate(value, se, low, high, df=fit.df_resid, p_value=p_value, statistic=value / se)


def _after(periods: Array, before: int) -> Array:
    return np.asarray((np.arange(periods.size) >= before) / (periods.size - before))


def _all(periods: Array, before: int) -> Array:
    return np.asarray((np.arange(periods.size) < before) / before)


def _last(periods: Array, before: int) -> Array:
    return np.asarray(np.arange(periods.size) == before - 1, dtype=float)


def _earlier(periods: Array, before: int) -> Array:
    if before < 2:
        raise Declined("needs two periods before adoption")
    return np.asarray(np.arange(periods.size) == before - 2, dtype=float)


def _slope(periods: Array, before: int) -> Array:
    """Return the weights of least squares for the slope of the periods before adoption."""
    if before < 2:
        raise Declined("needs two periods before adoption to see a slope")
    away = np.where(np.arange(periods.size) < before, periods - periods[:before].mean(), 0.0)
    return np.asarray(away / (away @ away))


def _line(periods: Array, before: int) -> Array:
    """Return the weights that carry the line before adoption on to the mean period after it."""
    reach = periods[before:].mean() - periods[:before].mean()
    return np.asarray(_all(periods, before) + reach * _slope(periods, before))


def _of(name: str, base: Contrast, without: str, *more: str) -> None:
    @estimator(
        name, targets=(Estimand.ATT,), needs=NEEDS, uses=USES,
        assumes=(*(a for a in UNCONDITIONAL if a != without), *more),
    )  # fmt: skip
    def collapsed(problem: Problem, rng: np.random.Generator) -> Estimate:
        """Compare the change of treated and untreated units, one number a unit (see the module)."""
        y, treated, periods, before = _units(problem)
        contrast = _after(periods, before) - base(periods, before)
        return _compare(y @ contrast, treated, problem.level)


_of("did/collapsed", _all, "")
_of("did/collapsed-last", _last, "")
_of("did/collapsed-earlier", _earlier, EARLY)
_of("did/collapsed-detrended", _line, PARALLEL, "trends apart along straight lines at most")


@diagnostic("did/pre-slopes", tests=(PARALLEL, EARLY), needs=NEEDS, uses=USES)
def pre_slopes(problem: Problem, rng: np.random.Generator, *, size: float = 0.05) -> Diagnosis:
    """Test that both groups moved along parallel lines before adoption, one slope a unit."""
    y, treated, periods, before = _units(problem)
    found = _compare(y @ _slope(periods, before), treated, problem.level)
    assert found.p_value is not None
    return Diagnosis(found.p_value >= size, found.p_value, found.statistic)
