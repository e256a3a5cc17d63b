"""Least squares on one time series, with errors by a kernel over time.

`statsmodels` gives Newey and West's (Bartlett weights up to a lag) or a uniform kernel's;
`linearmodels` Bartlett, Parzen and quadratic spectral weights with an optimal bandwidth unless one
is given. Rows are put in the order of time first: both libraries take the rows' order for it.
"""

from typing import NamedTuple

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, estimator
from cibench.model import Array

from ._iv import regression

TARGETS, NEEDS = (Estimand.COEFFICIENT,), ("treatment", "time")
ASSUMES = ("no confounding", "constant effects", "many periods")


class Series(NamedTuple):
    """Hold outcome and design in the order of time, treatment in the first column."""

    outcome: Array
    design: Array


def _series(problem: Problem) -> Series:
    """Return the rows in the order of time; raises Declined where there are several of a period."""
    time = problem.columns[problem.roles.time]
    if problem.roles.unit or np.unique(time).size < time.size:
        raise Declined("there are several rows of one period: this is no single series")
    y, d, x = regression(problem)
    order = np.argsort(time)
    if y.size < x.shape[1] + 10:
        raise Declined(f"{y.size} periods are too few for a kernel over time")
    return Series(y[order], np.column_stack([d, x])[order])


def _checked(value: float, se: float, low: float, high: float) -> Estimate:
    if not np.isfinite(se):
        raise Declined("the kernel's variance is negative")
    return Estimate(value, se, low, high)


@estimator("hac/newey-west", targets=TARGETS, needs=NEEDS, assumes=ASSUMES, uses=("statsmodels",))
def newey_west(
    problem: Problem, rng: np.random.Generator, *, kernel: str = "bartlett", lags: int | None = None
) -> Estimate:
    """Weigh autocovariances up to `lags` (4 (n / 100)^(2/9)) by a bartlett or uniform kernel."""
    from statsmodels.regression.linear_model import OLS

    y, x = _series(problem)
    most = int(4 * (y.size / 100) ** (2 / 9)) if lags is None else lags
    how = {"maxlags": most, "kernel": kernel}
    fit = OLS(y, x).fit(cov_type="HAC", cov_kwds=how)
    low, high = fit.conf_int(1 - problem.level)[0]
    return _checked(float(fit.params[0]), float(fit.bse[0]), float(low), float(high))


@estimator("hac/kernel", targets=TARGETS, needs=NEEDS, assumes=ASSUMES, uses=("linearmodels",))
def kernel_errors(
    problem: Problem, rng: np.random.Generator, *,
    kernel: str = "bartlett", bandwidth: int | None = None,
) -> Estimate:  # fmt: skip
    """Weigh autocovariances by a kernel: bartlett, parzen or qs (quadratic spectral)."""
    from linearmodels.iv import IV2SLS

    y, x = _series(problem)
    fit = IV2SLS(y, x, None, None).fit(cov_type="kernel", kernel=kernel, bandwidth=bandwidth)
    low, high = np.asarray(fit.conf_int(problem.level))[0]
    value, se = (float(np.asarray(part)[0]) for part in (fit.params, fit.std_errors))
    return _checked(value, se, float(low), float(high))
