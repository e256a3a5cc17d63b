"""Least squares that adjusts for nothing that treatment may have changed.

Which covariates come after treatment is not in the data: `after` names them, separated by blanks.
The default names what observables/plr offers after treatment, a mediator and a collider.
"""

from dataclasses import replace

import numpy as np

from cibench import Estimand, Estimate, Problem, estimator

from ._observables import COMMON, OUTCOME, REACH
from .regression_adjustment import least_squares

AFTER = ("no mediator among the covariates", "no collider among the covariates")


@estimator(
    "regression/before-treatment", targets=(Estimand.COEFFICIENT, Estimand.ATE),
    needs=("treatment", "covariates"), uses=("statsmodels",),
    assumes=(*(a for a in COMMON if a not in AFTER), OUTCOME, REACH, "constant effects"),
)  # fmt: skip
def before_treatment(problem: Problem, rng: np.random.Generator, *, after: str = "m c") -> Estimate:
    """Regress the outcome on treatment and the covariates that come before it, with HC1 errors."""
    later = after.split()
    kept = tuple(name for name in problem.roles.covariates if name not in later)
    own = replace(problem, roles=replace(problem.roles, covariates=kept))
    found = least_squares.fit(own, rng)
    assert isinstance(found, Estimate)
    return found
