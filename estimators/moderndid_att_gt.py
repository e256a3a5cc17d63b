"""Group-time effects and their aggregates by `moderndid` (Callaway and Sant'Anna 2021).

The overall ATT is the library's simple aggregate, the average over treated unit-periods, unless a
name says otherwise. Where errors are clustered above the unit the standard errors come from the
multiplier bootstrap, else from the influence function. Data without a unit are taken for repeated
cross-sections. Periods in which everybody is treated are left out: without never-treated units the
last cohort takes their part. Group-time effects that cannot be estimated are left out of the
aggregates with a warning, as the library does.

A panel of which some rows are missing is declined unless `unbalanced` says what to do: "drop"
leaves out every unit that misses a period, with a warning, as is the library's default; "rows"
takes all rows for repeated cross-sections of the cohorts, with errors clustered by unit. The
library's own `allow_unbalanced_panel` raises a TypeError in every call (moderndid 0.2.0).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, Roles, Target, estimator

from ._did import CONDITIONAL, UNCONDITIONAL, adopters, clusters
from ._reasons import dependent, uneven

if TYPE_CHECKING:
    import pandas as pd

ATT = (Estimand.ATT,)
UNBALANCED = ("decline", "drop", "rows")
"""What becomes of a panel in which units miss periods."""

NEEDS = ("time", "cohort")
COMPOSED = "stable composition"


def group_time(
    problem: Problem, rng: np.random.Generator, biters: int, *,
    unbalanced: str = "decline", **options: Any,
) -> Any:  # fmt: skip
    """Return the library's group-time effects; raises Declined where there are none after."""
    from moderndid import att_gt

    roles, frame = problem.roles, adopters(problem)
    as_rows = _taken_as_rows(frame, roles, unbalanced)
    above = as_rows or roles.cluster not in ("", roles.unit)
    by = [clusters(problem)] if above else None
    if by and roles.unit and (frame.groupby(roles.unit)[by].nunique() > 1).any(axis=None):
        raise Declined("some unit belongs to several clusters, which the library cannot handle")
    unit = None if as_rows else roles.unit or None
    effects = att_gt(
        frame, roles.outcome, roles.time, unit, roles.cohort, panel=unit is not None,
        alp=1 - problem.level, boot=above, cband=False, biters=biters, clustervars=by,
        random_state=rng, **options,
    )  # fmt: skip
    if not np.isfinite(effects.att_gt[effects.groups <= effects.times]).any():
        raise Declined(f"no group-time effect could be estimated: {_why_none(frame, problem)}")
    return effects


def _taken_as_rows(frame: "pd.DataFrame", roles: Roles, unbalanced: str) -> bool:
    """Say whether units miss periods and rows count by themselves; raises Declined if they may not.

    Raises ValueError for a way with such panels that there is none of.
    """
    if unbalanced not in UNBALANCED:
        raise ValueError(f"unbalanced = '{unbalanced}' is none of {', '.join(UNBALANCED)}")
    if not roles.unit:
        return False
    why = uneven(frame[roles.unit].to_numpy(), frame[roles.time].to_numpy())
    if why and (unbalanced == "decline" or "twice" in why):
        hint = "" if "twice" in why else "; the option `unbalanced` says what else to do"
        raise Declined(f"takes a balanced panel: {why}{hint}")
    if why and unbalanced == "drop":
        seen = frame.groupby(roles.unit)[roles.time].nunique()
        if not (seen == frame[roles.time].nunique()).any():
            raise Declined("no unit is seen in every period")
    return bool(why) and unbalanced == "rows"


def _why_none(frame: "pd.DataFrame", problem: Problem) -> str:
    """Return why nothing could be compared: covariates that are fixed among the never-treated."""
    names = problem.roles.covariates
    x = frame.loc[frame[problem.roles.cohort] == 0, list(names)].to_numpy(dtype=float)
    which = dependent(np.column_stack([np.ones(len(x)), x]), ("", *names)) if len(x) else ""
    if not which:
        return "too few comparison units"
    return f"the covariates of the never-treated are collinear{which}"


def _overall(
    problem: Problem, rng: np.random.Generator, biters: int, kind: str = "simple", **options: Any
) -> Estimate:
    from moderndid import aggte

    effects = group_time(problem, rng, biters, **options)
    total = aggte(effects, kind, random_state=rng)
    return Estimate.wald(float(total.overall_att), float(total.overall_se), problem.level)


@estimator(
    "did/att-gt", targets=ATT, needs=NEEDS, assumes=(*UNCONDITIONAL, COMPOSED), uses=("moderndid",)
)
def simple(
    problem: Problem, rng: np.random.Generator, *,
    control_group: str = "nevertreated", biters: int = 1000, unbalanced: str = "decline",
) -> Estimate:  # fmt: skip
    """Average the group-time effects over treated unit-periods; never-treated are the controls."""
    return _overall(problem, rng, biters, control_group=control_group, unbalanced=unbalanced)


@estimator(
    "did/att-gt-not-yet-treated", targets=ATT, needs=NEEDS, assumes=(*UNCONDITIONAL, COMPOSED),
    uses=("moderndid",),
)  # fmt: skip
def not_yet_treated(
    problem: Problem, rng: np.random.Generator, *, biters: int = 1000, unbalanced: str = "decline"
) -> Estimate:
    """Average over treated unit-periods; all who are not treated yet are the controls."""
    return _overall(problem, rng, biters, control_group="notyettreated", unbalanced=unbalanced)


@estimator(
    "did/att-gt-group", targets=ATT, needs=NEEDS,
    assumes=(*UNCONDITIONAL, COMPOSED, "constant effects"), uses=("moderndid",),
)  # fmt: skip
def group(
    problem: Problem, rng: np.random.Generator, *,
    control_group: str = "nevertreated", biters: int = 1000, unbalanced: str = "decline",
) -> Estimate:  # fmt: skip
    """Average over periods within cohorts, then over cohorts: the ATT if effects are constant."""
    options = {"control_group": control_group, "unbalanced": unbalanced}
    return _overall(problem, rng, biters, "group", **options)


@estimator(
    "did/att-gt-calendar", targets=ATT, needs=NEEDS,
    assumes=(*UNCONDITIONAL, COMPOSED, "constant effects"), uses=("moderndid",),
)  # fmt: skip
def calendar(
    problem: Problem, rng: np.random.Generator, *,
    control_group: str = "nevertreated", biters: int = 1000, unbalanced: str = "decline",
) -> Estimate:  # fmt: skip
    """Average over cohorts within periods, then over periods: the ATT if effects are constant."""
    options = {"control_group": control_group, "unbalanced": unbalanced}
    return _overall(problem, rng, biters, "calendar", **options)


def _conditional(
    problem: Problem, rng: np.random.Generator, method: str, biters: int, **options: str
) -> Estimate:
    formula = "~ " + " + ".join(problem.roles.covariates)
    return _overall(problem, rng, biters, est_method=method, xformla=formula, **options)


@estimator(
    "did/att-gt-dr", targets=ATT, needs=(*NEEDS, "covariates"),
    assumes=(*CONDITIONAL, COMPOSED, "outcome model correct or propensity model correct"),
    uses=("moderndid",),
)  # fmt: skip
def doubly_robust(
    problem: Problem, rng: np.random.Generator, *,
    control_group: str = "nevertreated", biters: int = 1000, unbalanced: str = "decline",
) -> Estimate:  # fmt: skip
    """Average doubly robust group-time effects given the covariates before treatment."""
    options = {"control_group": control_group, "unbalanced": unbalanced}
    return _conditional(problem, rng, "dr", biters, **options)


@estimator(
    "did/att-gt-reg", targets=ATT, needs=(*NEEDS, "covariates"),
    assumes=(*CONDITIONAL, COMPOSED, "outcome model correct"), uses=("moderndid",),
)  # fmt: skip
def regression(
    problem: Problem, rng: np.random.Generator, *,
    control_group: str = "nevertreated", biters: int = 1000, unbalanced: str = "decline",
) -> Estimate:  # fmt: skip
    """Average group-time effects that regress the controls' changes on the covariates."""
    options = {"control_group": control_group, "unbalanced": unbalanced}
    return _conditional(problem, rng, "reg", biters, **options)


@estimator(
    "did/att-gt-ipw", targets=ATT, needs=(*NEEDS, "covariates"),
    assumes=(*CONDITIONAL, COMPOSED, "propensity model correct"), uses=("moderndid",),
)  # fmt: skip
def weighting(
    problem: Problem, rng: np.random.Generator, *,
    control_group: str = "nevertreated", biters: int = 1000, unbalanced: str = "decline",
) -> Estimate:  # fmt: skip
    """Average group-time effects that weight the controls by their odds of treatment."""
    options = {"control_group": control_group, "unbalanced": unbalanced}
    return _conditional(problem, rng, "ipw", biters, **options)


@estimator(
    "did/att-gt-dynamic", targets=ATT, horizons=ATT, needs=NEEDS,
    assumes=(*UNCONDITIONAL, COMPOSED), uses=("moderndid",),
)  # fmt: skip
def dynamic(
    problem: Problem, rng: np.random.Generator, *,
    control_group: str = "nevertreated", biters: int = 1000, unbalanced: str = "decline",
) -> Mapping[Target, Estimate]:  # fmt: skip
    """Average by time since adoption, with bands for all horizons; overall, the simple average.

    Standard errors and bands come from one multiplier bootstrap, as in the R package's defaults.
    """
    from moderndid import aggte

    options = {"control_group": control_group, "unbalanced": unbalanced}
    effects = group_time(problem, rng, biters, **options)
    study = aggte(effects, "dynamic", boot=True, cband=True, biters=biters, random_state=rng)
    simple = aggte(effects, "simple", random_state=rng)
    total = Estimate.wald(float(simple.overall_att), float(simple.overall_se), problem.level)
    rows = zip(
        study.event_times, study.att_by_event, study.se_by_event, study.critical_values, strict=True
    )
    horizons = {
        Target(Estimand.ATT, int(k)): _banded(float(att), float(se), float(crit), problem.level)
        for k, att, se, crit in rows
    }
    return {Target(Estimand.ATT): total, **horizons}


def _banded(att: float, se: float, critical: float, level: float) -> Estimate:
    point = Estimate.wald(att, se, level)
    if not np.isfinite(critical * se):
        return point
    low, high = att - critical * se, att + critical * se
    return Estimate(att, se, point.low, point.high, band_low=low, band_high=high)
