"""Survival in two arms by `lifelines`: restricted means of Kaplan-Meier curves, Cox's model.

The variance of a restricted mean is Greenwood's, the sum over events of the squared area that is
left times d / (r (r - d)), which is computed here of the library's table of events: the library's
own is that of single restricted times.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, Target, estimator

NEEDS = ("treatment", "event")
SETTINGS: dict[str, Any] = {"uses": ("lifelines",), "needs": NEEDS}
CENSORING = "independent censoring"


def _curve(problem: Problem, arm: int, tau: float) -> tuple[float, float]:
    """Return the area under an arm's survival curve up to tau, and its variance."""
    from lifelines import KaplanMeierFitter
    from lifelines.utils import restricted_mean_survival_time

    mine = problem.treatment == arm
    y, event = problem.outcome[mine], problem.columns[problem.roles.event][mine]
    if mine.sum() < 2 or (y.max() < tau and event[np.argmax(y)] == 0):
        raise Declined(f"nobody of an arm is followed up to {tau:g}")
    fit = KaplanMeierFitter().fit(y, event)
    area = float(restricted_mean_survival_time(fit, t=tau))
    steps = fit.survival_function_.iloc[:, 0]
    times = np.append(steps.index.to_numpy()[steps.index < tau], tau)
    pieces = steps.to_numpy()[: times.size - 1] * np.diff(times)
    left = dict(zip(times, np.cumsum(pieces[::-1])[::-1], strict=False))
    events = fit.event_table.query("observed > 0 and at_risk > observed and index < @tau")
    after = np.array([left[t] for t in events.index])
    d, r = events["observed"].to_numpy(), events["at_risk"].to_numpy()
    return area, float(np.sum(after**2 * d / (r * (r - d))))


@estimator(
    "lifelines/rmst", targets=(Estimand.RMST_DIFFERENCE, Estimand.RMST_RATIO),
    assumes=("no confounding", CENSORING), **SETTINGS,
)  # fmt: skip
def restricted_mean(problem: Problem, rng: np.random.Generator) -> Mapping[Target, Estimate]:
    """Compare the areas under two Kaplan-Meier curves."""
    answers, curves = {}, {}
    for target in problem.targets:
        [tau] = target.estimand.arguments
        if tau not in curves:
            with np.errstate():  # which the library sets
                curves[tau] = [_curve(problem, arm, tau) for arm in (1, 0)]
        (a, va), (b, vb) = curves[tau]
        value, se = a - b, np.sqrt(va + vb)
        if target.estimand.family == Estimand.RMST_RATIO:
            value, se = a / b, np.sqrt(va / a**2 + vb / b**2)
        answers[target] = Estimate.on_scale(value, float(se), problem.level, target.estimand)
    return answers


@estimator(
    "lifelines/cox", targets=(Estimand.LOG_HAZARD_RATIO,),
    assumes=("no confounding", CENSORING, "proportional hazards"), **SETTINGS,
)  # fmt: skip
def cox(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Fit Cox's model with the treatment alone."""
    from lifelines import CoxPHFitter

    roles = problem.roles
    frame = problem.frame[[roles.outcome, roles.treatment, roles.event]]
    with np.errstate():
        fit = CoxPHFitter(alpha=1 - problem.level).fit(frame, roles.outcome, roles.event)
    line = fit.summary.loc[roles.treatment]
    return Estimate.wald(float(line["coef"]), float(line["se(coef)"]), problem.level)
