"""Diagnostics of instruments: their strength, and whether they agree with each other.

The two first-stage F look at strength. The plain one, for errors of equal variance, is compared
with Stock and Yogo's (2005) critical values; the effective one of Montiel Olea and Pflueger (2013,
JBES 31), robust to unequal variances, with theirs. With one instrument it is the robust F (HC1).
They are no tests of no relevance, and give no p-value.

The two over-identification tests ask whether the instruments, one by one, point at the same
coefficient. What biases them all alike passes, and so does a LATE that is common to all. With one
instrument there is nothing to compare.
"""

from typing import Any

import numpy as np

from cibench import Declined, Diagnosis, Problem, diagnostic
from cibench.model import Array

from ._iv import NEEDS, design, partial_out
from ._stock_yogo import CRITICAL, SIZES

STRONG = ("strong instruments",)
VALID = ("exclusion restriction", "instrument independent of the error")


def _first_stage(problem: Problem) -> tuple[Array, Array, Array, int]:
    """Return an orthonormal basis of the instruments, the coefficients, residuals and their df.

    Constant and covariates are taken out of all of them.
    """
    made = design(problem)
    _, d, basis = partial_out(made)
    on_d = basis.T @ d
    v = d - basis @ on_d
    if float(v @ v) <= 1e-20 * float(d @ d):
        raise Declined("the instruments determine the treatment: no error is left in it")
    return basis, on_d, v, made.spare


@diagnostic("iv/first-stage-f", tests=STRONG, needs=NEEDS)
def first_stage_f(
    problem: Problem, rng: np.random.Generator, *, max_size: float = 0.10
) -> Diagnosis:
    """Pass where the F of the instruments makes a nominal 5 % t-test reject `max_size` at most.

    `max_size` is 0.1, 0.15, 0.2 or 0.25; with more than 30 instruments there is no critical value.
    """
    if max_size not in SIZES:
        raise ValueError(f"max_size = {max_size:g} is none of {', '.join(map(str, SIZES))}")
    _, on_d, v, spare = _first_stage(problem)
    count = on_d.size
    if count > len(CRITICAL):
        raise Declined(f"no critical value for {count} instruments; the last is for 30")
    statistic = float(on_d @ on_d) / count / (float(v @ v) / spare)
    return Diagnosis(statistic > CRITICAL[count - 1][SIZES.index(max_size)], statistic=statistic)


@diagnostic("iv/effective-f", tests=STRONG, needs=NEEDS, uses=("scipy",))
def effective_f(problem: Problem, rng: np.random.Generator, *, max_bias: float = 0.10) -> Diagnosis:
    """Pass where the bias of two-stage least squares is at most `max_bias` of its worst case.

    With instruments scaled to an identity cross-product, effective F is the explained variation
    over the trace of the coefficients' robust covariance W (equation 6). The critical value is the
    simplified, conservative one: the 95 % quantile of a noncentral chi-squared over its K degrees
    of freedom, with noncentrality K / max_bias, K = tr(W)^2 (1 + 2x) / (tr(W'W) + 2x tr(W) max eig
    W) and x = 1 / max_bias (section 4.2): 23.1 with one instrument.
    """
    from scipy.stats import ncx2

    basis, on_d, v, spare = _first_stage(problem)
    scores = basis * v[:, None]
    w = scores.T @ scores * v.size / spare
    trace, x = float(np.trace(w)), 1 / max_bias
    largest = float(np.linalg.eigvalsh(w)[-1])
    count = trace**2 * (1 + 2 * x) / (float(np.sum(w * w)) + 2 * x * trace * largest)
    critical = float(ncx2.ppf(0.95, count, x * count)) / count
    statistic = float(on_d @ on_d) / trace
    return Diagnosis(statistic > critical, statistic=statistic)


def _several(problem: Problem) -> tuple[Array, ...]:
    """Return outcome, exogenous columns, treatment and two instruments or more."""
    if len(problem.roles.instruments) < 2:
        raise Declined("one instrument has nothing to disagree with: no over-identification")
    y, d, x, z = design(problem)
    return y, x, d, z


def _judged(test: Any, size: float) -> Diagnosis:
    return Diagnosis(bool(test.pval >= size), float(test.pval), float(test.stat))


@diagnostic("linearmodels/sargan", tests=VALID, needs=NEEDS, uses=("linearmodels",))
def sargan(problem: Problem, rng: np.random.Generator, *, size: float = 0.05) -> Diagnosis:
    """Test over-identification after two-stage least squares, for errors of equal variance."""
    from linearmodels.iv import IV2SLS

    return _judged(IV2SLS(*_several(problem)).fit(cov_type="unadjusted").sargan, size)


@diagnostic("linearmodels/hansen-j", tests=VALID, needs=NEEDS, uses=("linearmodels",))
def hansen_j(problem: Problem, rng: np.random.Generator, *, size: float = 0.05) -> Diagnosis:
    """Test over-identification after two-step GMM, robust to unequal variances."""
    from linearmodels.iv import IVGMM

    return _judged(IVGMM(*_several(problem)).fit(cov_type="robust").j_stat, size)
