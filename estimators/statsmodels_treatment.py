"""Normalised inverse-propensity weights and AIPW by `statsmodels`' TreatmentEffect.

A logit of treatment and least squares, linear in the covariates; standard errors by the library's
GMM, which takes the fitted nuisances into account. It has effects on everybody only; outcomes that
are missing, zeros here, make its GMM singular. The library inverts the moments' covariance: where
one moment repeats the others, as AIPW's does with one binary covariate, its errors are noise, and
the data are declined. ipw/normalised and aipw/linear agree with it and have the rest.
`separated = "drop"` leaves out covariates that tell for certain who is treated in some rows, with a
warning; without it such data are declined.
"""

from typing import Any

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, estimator

from ._observables import (
    COMMON,
    EITHER,
    NEEDS,
    OVERLAP,
    PROPENSITY,
    binary_sample,
    overlapping,
    propensity,
    refuse_singular,
)

TARGETS, USES = (Estimand.ATE,), ("statsmodels",)


def _model(problem: Problem, separated: str) -> Any:
    """Return the library's model; raises Declined where propensities are too extreme for it."""
    from statsmodels.discrete.discrete_model import Logit
    from statsmodels.regression.linear_model import OLS
    from statsmodels.treatment.treatment_effects import TreatmentEffect

    s = overlapping(binary_sample(problem), separated)
    propensity(s)
    for arm, who in ((1, "treated"), (0, "untreated")):
        refuse_singular(s.x[s.d == arm], f"the covariates of the {who} are collinear", s.names)
    d = s.d.astype(int)
    chosen = Logit(d, s.x).fit(disp=0, maxiter=100)
    return TreatmentEffect(OLS(s.y, s.x), d, results_select=chosen)


def _fit(problem: Problem, method: str, separated: str) -> Estimate:
    model = _model(problem, separated)
    try:
        gmm = getattr(model, method)().results_gmm
    except np.linalg.LinAlgError as error:
        raise Declined(f"statsmodels finds no solution: {error}") from error
    moments = np.asarray(gmm.model.momcond(gmm.params))
    refuse_singular(moments, "the moments are collinear, as where covariates saturate both models")
    return Estimate.wald(float(gmm.params[0]), float(gmm.bse[0]), problem.level)


@estimator(
    "statsmodels/ipw", targets=TARGETS, needs=NEEDS, assumes=(*COMMON, OVERLAP, PROPENSITY),
    uses=USES,
)  # fmt: skip
def weighted(problem: Problem, rng: np.random.Generator, *, separated: str = "decline") -> Estimate:
    """Weight by inverse propensities that sum to one in each arm."""
    return _fit(problem, "ipw", separated)


@estimator(
    "statsmodels/aipw", targets=TARGETS, needs=NEEDS, assumes=(*COMMON, OVERLAP, EITHER),
    uses=USES, moments=False,
)  # fmt: skip
def augmented(
    problem: Problem, rng: np.random.Generator, *, separated: str = "decline"
) -> Estimate:
    """Add to regression predictions their weighted residuals."""
    return _fit(problem, "aipw", separated)
