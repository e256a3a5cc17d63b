"""The Anderson-Rubin confidence set: exact however weak the instruments are.

For a value b of the coefficient the F-test asks whether the K instruments explain y - b d, given
the constant and p - 1 covariates. With normal errors of equal variance its statistic has the law
F(K, n - K - p) at the true b, whatever the first stage, and the set of all b that the test does not
reject covers with exactly the nominal probability (Anderson and Rubin 1949). With P the projection
on what the covariates leave of the instruments and M that on what instruments and covariates leave
over, b is in the set where (y - bd)'P(y - bd) / K <= f (y - bd)'M(y - bd) / (n - K - p), f being
the quantile of F. With k = f K / (n - K - p) and Q = P - kM that is a quadratic inequality,

    a b^2 - 2 h b + c <= 0,    a = d'Qd,  h = d'Qy,  c = y'Qy.

a > 0 if and only if the first-stage F exceeds f: then the set is an interval, or empty where no b
fits all instruments (never with one). Else it is unbounded: two rays, or all numbers (Dufour
1997). `Estimate.outside` marks the rays. No kept library inverts the test.

There is no estimate: the set need not hold one. Errors of unequal variance leave it valid where the
instrument is binary and moves half of the rows, as in iv/late: both halves weigh the same.
"""

from math import copysign, inf, sqrt

import numpy as np

from cibench import Estimate, Problem, estimator

from ._iv import NEEDS, ROBUST, TARGETS, design, partial_out


def solve(a: float, h: float, c: float) -> tuple[float, float, bool]:
    """Return where a b^2 - 2 h b + c <= 0: the limits, and whether that is outside of them.

    The empty set is (inf, -inf), all numbers are (-inf, inf). The larger root comes from the sum
    that cancels no digits, the smaller one from the product of the two, c / a.
    """
    nothing, everything = (inf, -inf, False), (-inf, inf, False)
    if a == 0:
        if h == 0:
            return everything if c <= 0 else nothing
        return (c / (2 * h), inf, False) if h > 0 else (-inf, c / (2 * h), False)
    square = h * h - a * c
    if square < 0 or (square == 0 and a < 0):
        return nothing if a > 0 else everything
    far = h + copysign(sqrt(square), h)
    low, high = sorted((far / a, c / far if far else 0.0))
    return low, high, a < 0


@estimator(
    "iv/anderson-rubin", targets=TARGETS, needs=NEEDS, uses=("scipy",), gives=("limits",),
    assumes=(*ROBUST, "homoskedastic errors"),
)  # fmt: skip
def anderson_rubin(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Invert the F-test; `statistic` and `p_value` are those of no effect."""
    from scipy.special import fdtrc, fdtri

    made = design(problem)
    y, d, basis = partial_out(made)
    count, spare = basis.shape[1], made.spare
    k = float(fdtri(count, spare, problem.level)) * count / spare
    on_y, on_d = basis.T @ y, basis.T @ d
    a, h, c = (
        float((1 + k) * (s @ t) - k * (v @ w))
        for s, t, v, w in ((on_d, on_d, d, d), (on_d, on_y, d, y), (on_y, on_y, y, y))
    )
    low, high, outside = solve(a, h, c)
    explained = float(on_y @ on_y)
    left = max(float(y @ y) - explained, np.finfo(float).tiny)  # 0 where the fit is perfect
    none = (explained / count) / (left / spare)
    p_value = float(fdtrc(count, spare, none))
    return Estimate(None, None, low, high, p_value=p_value, statistic=none, outside=outside)
