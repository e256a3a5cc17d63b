"""Limits that survive trends that are not parallel, by `moderndid` (Rambachan and Roth 2023).

An event study with the period before adoption as its base gives estimates and covariances before
and after; the limits hold for every differential trend in a stated set. They are limits for the
ATT at a horizon, or for its average over treated unit-periods. There is no point estimate. A panel
in which units miss periods is declined, or `unbalanced = "drop"` leaves those units out.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, Target, estimator
from cibench.model import Array

from ._did import EVERY, adopters
from .moderndid_att_gt import group_time

ATT = (Estimand.ATT,)
NEEDS = ("unit", "time", "cohort")
ASSUMES = (*EVERY, "stable composition", "trends do not depend on covariates")


def _event_study(
    problem: Problem, rng: np.random.Generator, control_group: str, unbalanced: str, before: int
) -> Any:
    """Return horizons, estimates and covariances without the base period."""
    from moderndid import aggte

    if problem.roles.cluster not in ("", problem.roles.unit):
        raise Declined("the library's event-study covariance does not cluster above the unit")
    if unbalanced == "rows":
        raise ValueError("unbalanced = 'rows': the covariance does not cluster them by unit")
    options = {"control_group": control_group, "base_period": "universal"}
    effects = group_time(problem, rng, 1, unbalanced=unbalanced, **options)
    study = aggte(effects, "dynamic", min_e=-1 - before)
    keep = study.event_times != -1
    if not (study.event_times < -1).any():
        raise Declined("needs two periods before adoption or more")
    influence = study.influence_func[:, keep]
    covariance = influence.T @ influence / len(influence) ** 2
    return study.event_times[keep].astype(int), study.att_by_event[keep], covariance


def _weights(problem: Problem, target: Target, after: Array) -> Array:
    """Return the weights of the horizons after adoption that make up the target."""
    if target.horizon is None:
        frame = adopters(problem)
        cohort = frame[problem.roles.cohort]
        since = (frame[problem.roles.time] - cohort)[cohort > 0]
        counts = np.array([(since == k).sum() for k in after])
        return np.asarray(counts / counts.sum())
    return np.asarray(after == target.horizon, dtype=float)


def _limits(
    problem: Problem,
    rng: np.random.Generator,
    control_group: str,
    unbalanced: str,
    before: int,
    kind: str,
    **options: Any,
) -> Mapping[Target, Estimate]:
    from moderndid import didhonest

    sensitivity = getattr(didhonest, f"create_sensitivity_results_{kind}")
    horizons, estimates, covariance = _event_study(problem, rng, control_group, unbalanced, before)
    after = horizons[horizons >= 0]
    answers = {}
    for target in problem.targets:
        weights = _weights(problem, target, after)
        if not weights.any():
            continue
        found = sensitivity(
            estimates, covariance, int((horizons < 0).sum()), after.size,
            l_vec=weights[:, None], alpha=1 - problem.level, **options,
        )  # fmt: skip
        answers[target] = Estimate(None, low=float(found["lb"][0]), high=float(found["ub"][0]))
    return answers


@estimator(
    "did/honest-smoothness", targets=ATT, horizons=ATT, needs=NEEDS, assumes=ASSUMES,
    uses=("moderndid", "cvxpy"), gives=("limits",),
)  # fmt: skip
def smoothness(
    problem: Problem, rng: np.random.Generator, *,
    m: float = 0.0, before: int = 5, control_group: str = "nevertreated",
    unbalanced: str = "decline",
) -> Mapping[Target, Estimate]:  # fmt: skip
    """Give limits for any trend whose slope changes by at most `m` a period; 0 is a linear one.

    `before` periods before the base count; with all of a long panel's the library's solver fails.
    """
    return _limits(problem, rng, control_group, unbalanced, before, "sm", m_vec=[m], method="FLCI")


@estimator(
    "did/honest-relative-magnitudes", targets=ATT, needs=NEEDS, assumes=ASSUMES,
    uses=("moderndid", "cvxpy"), gives=("limits",),
)  # fmt: skip
def relative_magnitudes(
    problem: Problem, rng: np.random.Generator, *,
    m_bar: float = 1.0, before: int = 3, grid_points: int = 1000,
    control_group: str = "nevertreated", unbalanced: str = "decline",
) -> Mapping[Target, Estimate]:  # fmt: skip
    """Give limits for trends that stray after adoption at most `m_bar` times as far as before.

    Takes seconds a fit, so it answers overall and not by horizon: the library searches a grid by
    the conditional test, sign by sign and period by period. `before` periods before the base count.
    """
    options = {"m_bar_vec": [m_bar], "method": "Conditional", "grid_points": grid_points}
    return _limits(problem, rng, control_group, unbalanced, before, "rm", **options)
