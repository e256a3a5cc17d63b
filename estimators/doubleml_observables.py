"""Selection on observables with learned nuisances by `doubleml` (Chernozhukov and others 2018).

The partially linear model (PLR) takes out of outcome and treatment what covariates predict and
regresses what is left; where effects differ, it weights them by the variance of treatment. The
interactive model (IRM) is for a binary treatment: augmented inverse-propensity weights, with
propensities cut at `clip` and 1 - `clip`. Learners are "linear", "lasso", "forest" or "boosting";
folds and learner seeds come from the estimator's own stream.
"""

from typing import Any

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, estimator

from ._did import seed
from ._doubleml import estimate, split
from ._learners import classifier, regressor
from ._observables import (
    AVERAGES,
    COMMON,
    EITHER,
    NEEDS,
    OVERLAP,
    REACH,
    Sample,
    binary_sample,
    sample,
)

USES = ("doubleml", "sklearn")
LEARNED = (*COMMON, REACH, "sparse nuisance functions")


def _data(problem: Problem) -> Any:
    from doubleml import DoubleMLData

    roles = problem.roles
    return DoubleMLData(problem.frame, roles.outcome, roles.treatment, list(roles.covariates))


def _enough(s: Sample, folds: int) -> None:
    if folds < 2:
        raise ValueError(f"folds = {folds} is less than 2")
    if s.y.size < 2 * folds:
        raise Declined(f"{s.y.size} rows are too few for {folds} folds")


@estimator(
    "doubleml/plr", targets=(Estimand.COEFFICIENT, Estimand.ATE), needs=NEEDS,
    assumes=(*LEARNED, "constant effects"), uses=USES,
)  # fmt: skip
def partially_linear(
    problem: Problem, rng: np.random.Generator, *, learner: str = "linear", folds: int = 5
) -> Estimate:
    """Partial covariates out of outcome and treatment, cross-fitted; errors robust."""
    from doubleml import DoubleMLPLR

    s = sample(problem, penalised=learner != "linear")
    _enough(s, folds)
    learners = (regressor(learner, seed(rng)) for _ in ("ml_l", "ml_m"))
    model = DoubleMLPLR(_data(problem), *learners, n_folds=folds, draw_sample_splitting=False)
    split(model, np.zeros(s.y.size), folds, seed(rng))
    return estimate(model.fit().framework, problem.level)


@estimator(
    "doubleml/irm", targets=AVERAGES, needs=NEEDS, assumes=(*LEARNED, OVERLAP, EITHER), uses=USES,
)  # fmt: skip
def interactive(
    problem: Problem, rng: np.random.Generator, *,
    learner: str = "linear", folds: int = 5, clip: float = 0.01,
) -> Estimate:  # fmt: skip
    """Average doubly robust scores, cross-fitted; folds hold treated units in like shares."""
    from doubleml import DoubleMLIRM
    from doubleml.utils import PSProcessorConfig

    s = binary_sample(problem, penalised=learner != "linear")
    _enough(s, folds)
    if (fewest := int(min(s.d.sum(), (1 - s.d).sum()))) < 2 * folds:
        raise Declined(f"{fewest} rows of one arm are too few for {folds} folds")
    model = DoubleMLIRM(
        _data(problem), regressor(learner, seed(rng)), classifier(learner, seed(rng)),
        n_folds=folds, draw_sample_splitting=False,
        score="ATTE" if problem.targets[0].estimand is Estimand.ATT else "ATE",
        ps_processor_config=PSProcessorConfig(clipping_threshold=clip),
    )  # fmt: skip
    split(model, s.d, folds, seed(rng))
    return estimate(model.fit().framework, problem.level)
