"""Instrumental variables with learned nuisances by `doubleml` (Chernozhukov and others 2018).

The partially linear model (PLIV) takes out of outcome, treatment and instruments what covariates
predict and fits two-stage least squares to what is left. Where effects differ its coefficient is
the LATE if covariates do not predict the instrument. The interactive model (IIVM) is for a binary
treatment and a binary instrument: the ratio of two doubly robust effects of the instrument, on the
outcome and on the treatment. Ratios have no finite moments.

Learners are "linear" or "forest"; folds and learner seeds come from the estimator's own stream.
"""

from typing import Any

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, estimator

from ._did import seed
from ._doubleml import classifier, estimate, regressor, split
from ._iv import NEEDS, ROBUST, STRONG, TARGETS, design

USES = ("doubleml", "sklearn")


def _data(problem: Problem) -> Any:
    from doubleml import DoubleMLData

    roles = problem.roles
    names = (roles.outcome, roles.treatment, list(roles.covariates), list(roles.instruments))
    return DoubleMLData(problem.frame, *names)


@estimator(
    "doubleml/pliv", targets=TARGETS, needs=(*NEEDS, "covariates"), assumes=STRONG, uses=USES,
    moments=False,
)  # fmt: skip
def partially_linear(
    problem: Problem, rng: np.random.Generator, *, learner: str = "linear", folds: int = 5
) -> Estimate:
    """Partial covariates out, cross-fitted, and fit two-stage least squares; robust errors."""
    from doubleml import DoubleMLPLIV

    y = design(problem).outcome
    learners = (regressor(learner, seed(rng)) for _ in ("ml_l", "ml_m", "ml_r"))
    model = DoubleMLPLIV(_data(problem), *learners, n_folds=folds, draw_sample_splitting=False)
    split(model, np.zeros(y.size), folds, seed(rng))
    return estimate(model.fit().framework, problem.level)


def _interactive(problem: Problem, rng: np.random.Generator, learner: str, folds: int) -> Any:
    from doubleml import DoubleMLIIVM

    _, d, _, z = design(problem)
    if z.shape[1] != 1 or not all(np.isin(column, (0, 1)).all() for column in (d, z)):
        raise Declined("takes a treatment of zeros and ones and one such instrument")
    kinds, sizes = np.unique(d + 2 * z[:, 0], return_counts=True)
    if sizes.min() < folds:
        raise Declined(f"some kind of treatment and instrument has fewer rows than {folds} folds")
    model = DoubleMLIIVM(
        _data(problem), regressor(learner, seed(rng)),
        *(classifier(learner, seed(rng)) for _ in ("ml_m", "ml_r")), n_folds=folds,
        subgroups={"always_takers": 1 in kinds, "never_takers": 2 in kinds},
        draw_sample_splitting=False,
    )  # fmt: skip
    split(model, d + 2 * z[:, 0], folds, seed(rng))
    return model.fit()


@estimator(
    "doubleml/iivm", targets=(Estimand.LATE,), needs=(*NEEDS, "covariates"), assumes=STRONG,
    uses=USES, moments=False,
)  # fmt: skip
def interactive(
    problem: Problem, rng: np.random.Generator, *, learner: str = "linear", folds: int = 5
) -> Estimate:
    """Divide the doubly robust effects of the instrument on outcome and treatment."""
    return estimate(_interactive(problem, rng, learner, folds).framework, problem.level)


@estimator(
    "doubleml/iivm-robust", targets=(Estimand.LATE,), needs=(*NEEDS, "covariates"),
    assumes=ROBUST, uses=USES, gives=("limits",),
)  # fmt: skip
def interactive_robust(
    problem: Problem, rng: np.random.Generator, *, learner: str = "linear", folds: int = 5
) -> Estimate:
    """Report the values that the score does not reject, which holds for weak instruments too.

    The set is never empty; it may be two rays or all numbers.
    """
    model = _interactive(problem, rng, learner, folds)
    intervals = [(float(low), float(high)) for low, high in model.robust_confset(problem.level)]
    if len(intervals) == 1:
        return Estimate(None, None, *intervals[0])
    (_, low), (high, _) = intervals
    return Estimate(None, None, low, high, outside=True)
