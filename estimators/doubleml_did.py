"""Difference in differences with learned nuisances by `doubleml` (Chang 2020; Sant'Anna and Zhao).

Folds and learner seeds come from the estimator's own stream. The learners are least squares and an
unpenalised logit ("linear") or random forests ("forest"). A panel in which units miss periods is
declined, or `unbalanced = "drop"` leaves those units out with a warning; the library would leave
them out without one.
"""

import warnings
from collections.abc import Mapping
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, Target, estimator

from ._did import CONDITIONAL, adopters, seed
from ._doubleml import classifier, estimate, regressor, split
from ._reasons import uneven

ATT = (Estimand.ATT,)
UNBALANCED = ("decline", "drop")
NEEDS = ("unit", "time", "cohort", "covariates")


def _learners(learner: str, seed: int) -> dict[str, Any]:
    """Return the learners of the outcome's change and of the propensity, seeded."""
    return {"ml_g": regressor(learner, seed), "ml_m": classifier(learner, seed)}


def _data(problem: Problem, folds: int, unbalanced: str) -> Any:
    from doubleml import DoubleMLPanelData

    if unbalanced not in UNBALANCED:
        raise ValueError(f"unbalanced = '{unbalanced}' is none of {', '.join(UNBALANCED)}")
    roles, frame = problem.roles, adopters(problem)
    why = uneven(frame[roles.unit].to_numpy(), frame[roles.time].to_numpy())
    if why and (unbalanced == "decline" or "twice" in why):
        raise Declined(f"takes a balanced panel: {why}")
    if why:
        warnings.warn(f"left out: {why}", stacklevel=2)
        seen = frame.groupby(roles.unit)[roles.time].transform("nunique")
        frame = frame[seen == frame[roles.time].nunique()].reset_index(drop=True)
        if frame.empty:
            raise Declined("no unit is seen in every period")
    sizes = frame.groupby(roles.cohort)[roles.unit].nunique()
    if sizes.min() < folds:
        who = f"cohort {sizes.idxmin():g} of '{roles.cohort}' has {sizes.min()}"
        raise Declined(f"some cohort has fewer than {folds} units for {folds} folds: {who}")
    names = (roles.outcome, roles.cohort, roles.time, roles.unit, list(roles.covariates))
    return DoubleMLPanelData(frame, *names)


def _split(model: Any, folds: int, seed: int) -> None:
    """Hand a model its folds, which hold treated units and controls in like shares."""
    split(model, model.data_subset["G_indicator"].to_numpy(), folds, seed)


@estimator(
    "doubleml/did", targets=ATT, needs=NEEDS, assumes=CONDITIONAL, uses=("doubleml", "sklearn"),
)  # fmt: skip
def binary(
    problem: Problem, rng: np.random.Generator, *,
    learner: str = "linear", folds: int = 5, unbalanced: str = "decline",
) -> Estimate:  # fmt: skip
    """Compare one cohort with the never-treated over two periods, doubly robust, cross-fitted."""
    from doubleml.did import DoubleMLDIDBinary

    data = _data(problem, folds, unbalanced)
    cohorts = [g for g in data.g_values if g > 0]
    if len(data.t_values) != 2 or len(cohorts) != 1:
        raise Declined("takes two periods and one cohort; doubleml/did-multi takes more")
    model = DoubleMLDIDBinary(
        data, cohorts[0], *data.t_values, **_learners(learner, seed(rng)),
        n_folds=folds, draw_sample_splitting=False,
    )  # fmt: skip
    _split(model, folds, seed(rng))
    return estimate(model.fit().framework, problem.level)


def _cells(data: Any) -> list[tuple[int, int, int]]:
    """Return cohort, last period before and period of every effect after adoption."""
    times, cohorts = data.t_values, data.g_values[data.g_values > data.t_values[0]]
    return [(g, times[times < g][-1], t) for g in cohorts for t in times[times >= g]]


@estimator(
    "doubleml/did-multi", targets=ATT, horizons=ATT, needs=NEEDS, assumes=CONDITIONAL,
    uses=("doubleml", "sklearn"),
)  # fmt: skip
def multi(
    problem: Problem, rng: np.random.Generator, *,
    learner: str = "linear", folds: int = 5, control_group: str = "never_treated",
    unbalanced: str = "decline",
) -> Mapping[Target, Estimate]:  # fmt: skip
    """Average cross-fitted group-time effects over treated unit-periods and by horizon."""
    from doubleml.did import DoubleMLDIDMulti

    data = _data(problem, folds, unbalanced)
    cells = _cells(data)
    model = DoubleMLDIDMulti(
        data, **_learners(learner, seed(rng)), gt_combinations=cells, n_folds=folds,
        control_group=control_group,
    )  # fmt: skip
    for each in model.modellist:
        _split(each, folds, seed(rng))
    frameworks = [each.framework for each in model.fit().modellist]
    sizes = np.array([(data.d == g).sum() for g, _, _ in cells], dtype=float)
    answers = {}
    for target in problem.targets:
        wanted = np.array([target.horizon in (None, t - g) for g, _, t in cells])
        if wanted.any():
            shares = sizes * wanted / (sizes * wanted).sum()
            total = reduce(add, (f * w for f, w in zip(frameworks, shares, strict=True)))
            answers[target] = estimate(total, problem.level)
    return answers
