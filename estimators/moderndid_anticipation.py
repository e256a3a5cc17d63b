"""Group-time effects measured from an earlier period, by `moderndid`, for where people know ahead.

With the base period `early` periods before the last untreated one, effects that are felt that much
before adoption do no harm. The library warns that never-treated units anticipate nothing; they have
nothing to anticipate.
"""

import warnings

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, estimator

from ._did import UNCONDITIONAL, adopters
from .moderndid_att_gt import COMPOSED, NEEDS, group_time

ASSUMES = tuple(name for name in UNCONDITIONAL if name != "no anticipation")


@estimator(
    "did/att-gt-earlier-base", targets=(Estimand.ATT,), needs=NEEDS,
    assumes=(*ASSUMES, COMPOSED), uses=("moderndid",),
)  # fmt: skip
def earlier_base(
    problem: Problem, rng: np.random.Generator, *,
    early: int = 1, control_group: str = "nevertreated", biters: int = 1000,
    unbalanced: str = "decline",
) -> Estimate:  # fmt: skip
    """Average the group-time effects over treated unit-periods, the base `early` periods back."""
    from moderndid import aggte

    frame, roles = adopters(problem), problem.roles
    if frame[roles.cohort].max() - 1 - early < frame[roles.time].min():
        raise Declined(f"no cohort is seen {early + 1} periods before it adopts")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "anticipation = ", UserWarning)
        effects = group_time(
            problem, rng, biters,
            control_group=control_group, anticipation=early, unbalanced=unbalanced,
        )  # fmt: skip
    total = aggte(effects, "simple", random_state=rng)
    return Estimate.wald(float(total.overall_att), float(total.overall_se), problem.level)
