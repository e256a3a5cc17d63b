"""Local polynomial regression discontinuity by `rdrobust` (Calonico, Cattaneo, Farrell, Titiunik).

All answers come from one call with the library's defaults but for what the name says: MSE-optimal
bandwidth, triangular kernel, nearest-neighbour variance. `kernel`, `masspoints` and `vce` are
arguments of `rdrobust.rdrobust`. Where not said otherwise the answer is the bias-corrected estimate
with the robust standard error and limits. Data with a hole next to the cutoff that chance does not
leave are declined: the answer would be an extrapolation.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, estimator

ASSUMES = (
    "no manipulation", "no heaping", "no other policy at the cutoff",
    "running variable measured without error", "independent errors",
)  # fmt: skip
SHARP, FUZZY = (Estimand.ATE_AT_CUTOFF,), (Estimand.LATE_AT_CUTOFF,)
NEEDS, USES = ("running", "cutoff"), ("rdrobust",)


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except ValueError as error:  # a singular matrix is one, too
        raise Declined(f"rdrobust finds too few distinct rows near the cutoff: {error}") from error


def _check(problem: Problem, hole: float = 0.0) -> None:
    distance = problem.running - problem.roles.cutoff
    if np.ptp(problem.treatment) == 0:
        raise Declined("all rows are treated, or none is")
    if not (distance <= -hole).any() or not (distance >= hole).any():
        raise Declined("no rows on one side of the cutoff")


def _refuse_hole(distance: np.ndarray, bandwidth: float) -> None:
    """Raise Declined where chance does not leave such a gap next to the cutoff.

    Of k values spread evenly over the bandwidth none is nearer than a share g of it with
    probability (1 - g)^k. The bound is far below what matters, since the values are not quite
    even and the bandwidth comes from the same data.
    """
    near = np.unique(distance[distance <= bandwidth])
    share = distance.min() / bandwidth
    if max(1 - share, 0.0) ** max(near.size, 1) < 1e-10:
        raise Declined(
            f"no rows near the cutoff: the nearest of {near.size} values within the bandwidth "
            f"{bandwidth:.3g} is {distance.min():.3g} away"
        )


def _clusters(problem: Problem) -> np.ndarray:
    cluster, above = problem.columns[problem.roles.cluster], problem.running >= problem.roles.cutoff
    if min(np.unique(cluster[above]).size, np.unique(cluster[~above]).size) < 2:
        raise Declined("fewer than two clusters on one side of the cutoff")
    return cluster


def _fit(problem: Problem, row: str, hole: float = 0.0, **options: object) -> Estimate:
    from rdrobust import rdrobust

    cutoff = problem.roles.cutoff or 0.0
    distance = problem.running - cutoff
    keep = np.abs(distance) >= hole
    _check(problem, hole)
    with _in_words():
        fit = rdrobust(
            problem.outcome, problem.running, c=cutoff, level=100 * problem.level, subset=keep,
            **options,
        )  # fmt: skip
    for side, bandwidth in zip((distance < 0, distance >= 0), fit.bws.loc["h"], strict=True):
        _refuse_hole(np.abs(distance[side & keep]) - hole, bandwidth - hole)
    (value, se), (low, high) = (fit.coef.Coeff[row], fit.se["Std. Err."][row]), fit.ci.loc[row]
    return Estimate(value, se, low, high, p_value=fit.pv.loc[row].item())


@estimator(
    "rdrobust/conventional", targets=SHARP, needs=NEEDS, uses=USES,
    assumes=(*ASSUMES, "negligible smoothing bias"),
)  # fmt: skip
def conventional(
    problem: Problem, rng: np.random.Generator, *, kernel: str = "tri", masspoints: str = "adjust"
) -> Estimate:
    """Report the conventional estimate and limits, which ignore the smoothing bias."""
    return _fit(problem, "Conventional", kernel=kernel, masspoints=masspoints)


@estimator(
    "rdrobust/bias-corrected", targets=SHARP, needs=NEEDS, uses=USES,
    assumes=(*ASSUMES, "smoothing bias known without noise"),
)  # fmt: skip
def bias_corrected(
    problem: Problem, rng: np.random.Generator, *, kernel: str = "tri", masspoints: str = "adjust"
) -> Estimate:
    """Report the bias-corrected estimate with the conventional error, without its own noise."""
    return _fit(problem, "Bias-Corrected", kernel=kernel, masspoints=masspoints)


@estimator("rdrobust/robust", targets=SHARP, needs=NEEDS, assumes=ASSUMES, uses=USES)
def robust(
    problem: Problem, rng: np.random.Generator, *, kernel: str = "tri", masspoints: str = "adjust"
) -> Estimate:
    """Report the bias-corrected estimate with the robust standard error and limits."""
    return _fit(problem, "Robust", kernel=kernel, masspoints=masspoints)


@estimator("rdrobust/masspoints-off", targets=SHARP, needs=NEEDS, assumes=ASSUMES, uses=USES)
def masspoints_off(problem: Problem, rng: np.random.Generator, *, kernel: str = "tri") -> Estimate:
    """Take repeated values of the running variable for distinct ones."""
    return _fit(problem, "Robust", kernel=kernel, masspoints="off")


@estimator(
    "rdrobust/covariates", targets=SHARP, needs=(*NEEDS, "covariates"), assumes=ASSUMES, uses=USES
)
def covariates(problem: Problem, rng: np.random.Generator, *, kernel: str = "tri") -> Estimate:
    """Adjust for the covariates, linearly and alike on both sides."""
    return _fit(problem, "Robust", kernel=kernel, covs=problem.covariates)


@estimator(
    "rdrobust/donut", targets=SHARP, needs=NEEDS, uses=USES,
    assumes=(*ASSUMES[1:], "the fit carries over the hole"),
)  # fmt: skip
def donut(
    problem: Problem, rng: np.random.Generator, *, hole: float = 0.3, kernel: str = "tri"
) -> Estimate:
    """Leave out rows within `hole` standard deviations of the running variable of the cutoff.

    Both bandwidths are those for all rows, wider by the hole. Manipulation does no harm as long as
    it stays within the hole; strong curvature does, as the fit goes across (`rd/cct-2`).
    """
    from rdrobust import rdbwselect

    gap, cutoff = hole * float(np.std(problem.running)), problem.roles.cutoff
    _check(problem, gap)
    with _in_words():
        found = rdbwselect(problem.outcome, problem.running, c=cutoff, kernel=kernel)
    h, _, b, _ = found.bws.iloc[0] + gap
    return _fit(problem, "Robust", gap, kernel=kernel, h=h, b=b)


@estimator(
    "rdrobust/clustered", targets=SHARP, needs=(*NEEDS, "cluster"), uses=USES,
    assumes=(*ASSUMES[:-1], "many clusters near the cutoff"),
)  # fmt: skip
def clustered(problem: Problem, rng: np.random.Generator, *, kernel: str = "tri") -> Estimate:
    """Cluster the standard errors (CR1, the library's default) and the bandwidth's choice."""
    return _fit(problem, "Robust", kernel=kernel, cluster=_clusters(problem), vce="cr1")


@estimator(
    "rdrobust/clustered-cr3", targets=SHARP, needs=(*NEEDS, "cluster"), assumes=ASSUMES[:-1],
    uses=USES,
)  # fmt: skip
def clustered_cr3(problem: Problem, rng: np.random.Generator, *, kernel: str = "tri") -> Estimate:
    """Cluster with CR3 errors, which stay honest with few clusters."""
    return _fit(problem, "Robust", kernel=kernel, cluster=_clusters(problem), vce="cr3")


@estimator("rdrobust/fuzzy", targets=FUZZY, needs=NEEDS, assumes=ASSUMES, uses=USES, moments=False)
def fuzzy(problem: Problem, rng: np.random.Generator, *, kernel: str = "tri") -> Estimate:
    """Divide the jump in the outcome by the jump in take-up; a ratio has no finite moments."""
    return _fit(problem, "Robust", kernel=kernel, fuzzy=problem.treatment)
