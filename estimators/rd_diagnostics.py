"""Diagnostics of a regression discontinuity that ask for no new data.

Covariates and placebo cutoffs are tested with `rdrobust`'s robust p-values, its defaults; of
several the smallest counts, times their number (Bonferroni). The donut comparison asks whether the
rows next to the cutoff fit to the others: a local quadratic at `rdrobust`'s MSE-optimal bandwidth,
wider by the hole, with and without the rows within `hole` standard deviations of the cutoff.
Both estimates are weighted sums of outcomes, so their difference is one too, and its error comes
from the weights and the residuals of the fit to all rows. A test fails at a p-value below
1 - level.
"""

from statistics import NormalDist

import numpy as np

from cibench import Declined, Diagnosis, Problem, diagnostic

NEEDS, USES = ("running", "cutoff"), ("rdrobust",)


def _jump(y: np.ndarray, x: np.ndarray, cutoff: float) -> tuple[float, float]:
    """Return the robust z statistic of a jump and its p-value."""
    from rdrobust import rdrobust

    if np.unique(x >= cutoff).size < 2:
        raise Declined("no rows on one side of the cutoff")
    try:
        fit = rdrobust(y, x, c=cutoff)
    except ValueError as error:  # a singular matrix is one, too
        raise Declined(f"rdrobust finds too few distinct rows near the cutoff: {error}") from error
    return float(fit.z.loc["Robust"].item()), float(fit.pv.loc["Robust"].item())


def _worst(jumps: list[tuple[float, float]], level: float) -> Diagnosis:
    statistic, p_value = min(jumps, key=lambda jump: jump[1])
    p_value = min(1.0, len(jumps) * p_value)
    return Diagnosis(p_value >= 1 - level, p_value, statistic)


@diagnostic(
    "rd/covariate-balance", tests=("no manipulation",), needs=(*NEEDS, "covariates"), uses=USES
)
def covariate_balance(problem: Problem, rng: np.random.Generator) -> Diagnosis:
    """Test that no covariate jumps at the cutoff."""
    cutoff, varying = problem.roles.cutoff, np.ptp(problem.covariates, axis=0) > 0
    if not varying.any() or cutoff is None:
        raise Declined("no covariate varies")
    columns = problem.covariates.T[varying]
    return _worst([_jump(z, problem.running, cutoff) for z in columns], problem.level)


@diagnostic("rd/placebo-cutoffs", tests=("negligible smoothing bias",), needs=NEEDS, uses=USES)
def placebo_cutoffs(problem: Problem, rng: np.random.Generator) -> Diagnosis:
    """Test that the outcome jumps at neither side's median, where no treatment starts."""
    y, x, above = problem.outcome, problem.running, problem.running >= problem.roles.cutoff
    if np.unique(above).size < 2:
        raise Declined("no rows on one side of the cutoff")
    sides = [(y[side], x[side]) for side in (~above, above)]
    return _worst([_jump(ys, xs, float(np.median(xs))) for ys, xs in sides], problem.level)


def _quadratics(x: np.ndarray, kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the design of a quadratic on either side and what turns outcomes into coefficients."""
    sides, powers = (x >= 0, x < 0), x[:, None] ** np.arange(3)
    if min(np.unique(x[side & (kernel > 0)]).size for side in sides) < 4:
        raise Declined("too few distinct rows between the hole and the bandwidth")
    design = np.hstack([powers * side[:, None] for side in sides])
    weighted = (design * kernel[:, None]).T
    return design, np.linalg.solve(weighted @ design, weighted)


@diagnostic("rd/donut-comparison", tests=("no manipulation", "no heaping"), needs=NEEDS, uses=USES)
def donut_comparison(
    problem: Problem, rng: np.random.Generator, *, hole: float = 0.15
) -> Diagnosis:
    """Test that leaving out the rows next to the cutoff changes the estimate by chance alone."""
    from rdrobust import rdbwselect

    y, x = problem.outcome, problem.running - problem.roles.cutoff
    if np.unique(x >= 0).size < 2:
        raise Declined("no rows on one side of the cutoff")
    gap = hole * np.std(x)
    try:
        bandwidth = gap + float(rdbwselect(y, x, p=2).bws.iloc[0, 0])
    except ValueError as error:  # a singular matrix is one, too
        raise Declined(f"rdrobust finds no bandwidth: {error}") from error
    kernel, spared = np.clip(1 - np.abs(x) / bandwidth, 0, None), np.abs(x) < gap
    design, on_all = _quadratics(x / bandwidth, kernel)
    _, on_rest = _quadratics(x / bandwidth, kernel * ~spared)
    weights = (on_all[0] - on_all[3]) - (on_rest[0] - on_rest[3])
    leverage = np.einsum("ij,ji->i", design, on_all)
    residuals = (y - design @ (on_all @ y)) / (1 - leverage)  # HC3
    statistic = float(weights @ y / np.sqrt(np.sum((weights * residuals) ** 2)))
    p_value = 2 * NormalDist().cdf(-abs(statistic))
    return Diagnosis(p_value >= 1 - problem.level, p_value, statistic)
