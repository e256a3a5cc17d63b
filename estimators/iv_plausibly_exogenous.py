"""Limits that survive a direct effect of the instrument, after Conley, Hansen and Rossi (2012).

Were the direct effect g of the one instrument known, two-stage least squares of Y - g Z would be
right. The limits are the union of its intervals over all g from -`direct` to `direct`. At a given
confidence the upper limit, an estimate that is linear in g plus a multiple of a standard error that
is convex in it (the norm of residuals that are linear in g), is largest at an end, and so is the
lower one smallest: two fits are the union of all. It covers at least nominally where the
instrument's direct effect is within reach, and the instrument is strong. No kept library has it;
the fits are by `linearmodels`. There is no point estimate.

Source: The Review of Economics and Statistics 94, section III.A, union of confidence intervals.
"""

import numpy as np

from cibench import Declined, Estimate, Problem, estimator

from ._iv import NEEDS, STRONG, TARGETS, design

ASSUMES = tuple(name for name in STRONG if name != "exclusion restriction")


@estimator(
    "iv/plausibly-exogenous", targets=TARGETS, needs=NEEDS, gives=("limits",),
    assumes=(*ASSUMES, "homoskedastic errors"), uses=("linearmodels",),
)  # fmt: skip
def plausibly_exogenous(
    problem: Problem, rng: np.random.Generator, *, direct: float = 0.1
) -> Estimate:
    """Unite the two-stage least squares intervals for direct effects of up to `direct` either way.

    `direct` is in units of the outcome for one unit of the instrument.
    """
    from linearmodels.iv import IV2SLS

    y, d, x, z = design(problem)
    if z.shape[1] > 1:
        raise Declined(f"takes one instrument; here are {z.shape[1]}")
    ends = []
    for effect in (-direct, direct):
        try:
            fit = IV2SLS(y - effect * z[:, 0], x, d, z).fit(cov_type="unadjusted")
        except ValueError as error:  # a singular matrix is one, too
            raise Declined(f"linearmodels finds no solution: {error}") from error
        ends.append(fit.conf_int(problem.level).to_numpy()[x.shape[1]])
    low, high = np.array(ends).T
    return Estimate(None, low=float(low.min()), high=float(high.max()))
