"""Tests of what difference in differences takes for granted, on the periods before adoption.

They look at differences that are there before treatment; a trend that sets in with treatment, or
one that is too small for the sample, passes.
"""

from typing import TYPE_CHECKING

import numpy as np

from cibench import Declined, Diagnosis, Problem, diagnostic

from ._did import adopters, clusters
from .moderndid_att_gt import group_time

if TYPE_CHECKING:
    import pandas as pd

TESTS = ("parallel trends", "no anticipation")
NEEDS = ("unit", "time", "cohort")


def _interactions(problem: Problem) -> tuple["pd.DataFrame", list[str]]:
    """Return cohort by period dummies, the last period before adoption left out, and the leads."""
    import pandas as pd

    frame, roles = adopters(problem), problem.roles
    cohort, time = frame[roles.cohort], frame[roles.time]
    periods = np.unique(time)
    columns, leads = {}, []
    for g in np.unique(cohort[(cohort > periods[0]) & (cohort <= periods[-1])]):
        base = periods[periods < g][-1]
        for t in periods[periods != base]:
            name = f"cohort{g:g}_period{t:g}"
            columns[name] = ((cohort == g) & (time == t)).astype(float)
            leads += [name] if t < base else []
    dummies = pd.DataFrame(columns)
    return dummies.set_index([frame[roles.unit], time]), leads


@diagnostic("panel/pre-trends", tests=TESTS, needs=NEEDS, uses=("linearmodels",))
def pre_trends(problem: Problem, rng: np.random.Generator, *, size: float = 0.05) -> Diagnosis:
    """Test that all leads of a saturated event study are zero, by a clustered F-test.

    The statistic over the number of leads is compared with F, the clusters less one below.
    """
    from linearmodels.panel import PanelOLS
    from scipy.stats import f

    dummies, leads = _interactions(problem)
    by = clusters(problem)
    count = problem.frame[by].nunique()
    if not leads or len(leads) >= count:
        raise Declined(f"{len(leads)} leads cannot be tested with {count} clusters")
    roles = problem.roles
    frame = adopters(problem)
    if frame.groupby(roles.cohort)[by].nunique().min() < 2:
        raise Declined("some cohort lies in one cluster only: its leads have no standard error")
    indexed = frame.set_index([roles.unit, roles.time], drop=False)
    model = PanelOLS(indexed[roles.outcome], dummies, entity_effects=True, time_effects=True)
    fit = model.fit(cov_type="clustered", clusters=indexed[[by]].astype("category"))
    b, v = fit.params[leads].to_numpy(), fit.cov.loc[leads, leads].to_numpy()
    if np.linalg.cond(v) > 1e12:
        raise Declined("the leads' covariance is singular")
    statistic = float(b @ np.linalg.solve(v, b)) / len(leads)
    p_value = float(f.sf(statistic, len(leads), count - 1))
    return Diagnosis(p_value >= size, p_value, statistic)


@diagnostic("did/att-gt-pre-test", tests=TESTS, needs=NEEDS, uses=("moderndid",))
def pre_test(
    problem: Problem, rng: np.random.Generator, *,
    size: float = 0.05, control_group: str = "nevertreated", unbalanced: str = "decline",
) -> Diagnosis:  # fmt: skip
    """Test that all group-time effects before adoption are zero, by the library's Wald test.

    `unbalanced` is decline or drop, which leaves out the units that miss a period.
    """
    if problem.roles.cluster not in ("", problem.roles.unit):
        raise Declined("the library's pre-test does not cluster above the unit")
    if unbalanced == "rows":
        raise ValueError("unbalanced = 'rows': the library's test does not cluster them by unit")
    effects = group_time(problem, rng, 1, control_group=control_group, unbalanced=unbalanced)
    if effects.wald_pvalue is None:
        raise Declined("no test: no periods before adoption, or their covariance is singular")
    p_value = float(effects.wald_pvalue)
    return Diagnosis(p_value >= size, p_value, float(effects.wald_stat))


@diagnostic("panel/placebo-adoption", tests=TESTS, needs=NEEDS, uses=("linearmodels",))
def placebo_adoption(
    problem: Problem, rng: np.random.Generator, *, size: float = 0.05, early: int = 1
) -> Diagnosis:
    """Test for an effect of adopting `early` periods too soon, among rows not treated yet."""
    from linearmodels.panel import PanelOLS

    frame, roles, by = adopters(problem), problem.roles, clusters(problem)
    cohort, time = frame[roles.cohort], frame[roles.time]
    frame["placebo"] = ((cohort > 0) & (time >= cohort - early)).astype(float)
    before = frame[(cohort == 0) | (time < cohort)].set_index([roles.unit, roles.time], drop=False)
    within = before.groupby(level=0)["placebo"].nunique()
    if not (within > 1).any():
        raise Declined(f"no unit is seen more than {early} periods before it adopts")
    model = PanelOLS(
        before[roles.outcome], before[["placebo"]], entity_effects=True, time_effects=True
    )
    fit = model.fit(cov_type="clustered", clusters=before[[by]].astype("category"))
    p_value = float(fit.pvalues["placebo"])
    return Diagnosis(p_value >= size, p_value, float(fit.tstats["placebo"]))
