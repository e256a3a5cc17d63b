"""Regression discontinuity with flexible covariate adjustment by `doubleml` (RDFlex).

Noack, Olma and Rothe (2021): the outcome, in a fuzzy design the take-up too, is predicted from the
covariates at the cutoff, cross-fitted; what is left goes to `rdrobust`. The answer is the
bias-corrected estimate with the robust standard error and limits. `learner` is "linear" (least
squares and logistic regression) or "forest" (scikit-learn's random forests).
"""

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, estimator

ASSUMES = (
    "no manipulation", "no heaping", "no other policy at the cutoff",
    "running variable measured without error", "independent errors",
)  # fmt: skip
NEEDS, USES = ("running", "cutoff", "covariates"), ("doubleml", "sklearn", "rdrobust")
ROBUST = 2


def _fit(
    problem: Problem, rng: np.random.Generator, learner: str, folds: int, *, fuzzy: bool
) -> Estimate:
    from doubleml import DoubleMLRDDData
    from doubleml.rdd import RDFlex
    from sklearn.model_selection import StratifiedKFold

    if np.ptp(problem.treatment) == 0:
        raise Declined("all rows are treated, or none is")
    if np.unique(problem.running >= problem.roles.cutoff).size < 2:
        raise Declined("no rows on one side of the cutoff")
    y, d, x = problem.outcome, problem.treatment, problem.running
    if not np.any(x % 1):
        raise Declined("the running variable is whole numbers, which the library refuses")
    data = DoubleMLRDDData.from_arrays(problem.covariates, y, d, score=x)
    outcome, take_up = _learners(learner, int(rng.integers(2**31)))
    model = RDFlex(
        data, outcome, take_up if fuzzy else None, fuzzy=fuzzy, n_folds=folds,
        cutoff=problem.roles.cutoff,
    )  # fmt: skip
    # RDFlex draws its folds from a global state and has no call that takes them
    split = StratifiedKFold(folds, shuffle=True, random_state=int(rng.integers(2**31)))
    model._smpls = [list(split.split(problem.covariates, d))]
    model.fit()
    low, high = model.confint(problem.level).loc["Robust"]
    value, se, p_value = (part[ROBUST] for part in (model.coef, model.se, model.pval))
    return Estimate(value, se, low, high, p_value=p_value)


def _learners(learner: str, seed: int) -> tuple[object, object]:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.linear_model import LinearRegression, LogisticRegression

    if learner == "linear":
        return LinearRegression(), LogisticRegression()
    if learner != "forest":
        raise ValueError(f"learner '{learner}' is neither linear nor forest")
    return RandomForestRegressor(random_state=seed), RandomForestClassifier(random_state=seed)


@estimator(
    "doubleml/rdflex", targets=(Estimand.ATE_AT_CUTOFF,), needs=NEEDS, assumes=ASSUMES, uses=USES
)
def rdflex(
    problem: Problem, rng: np.random.Generator, *, learner: str = "linear", folds: int = 5
) -> Estimate:
    """Adjust the outcome for the covariates, then read the jump at the cutoff."""
    return _fit(problem, rng, learner, folds, fuzzy=False)


@estimator(
    "doubleml/rdflex-fuzzy", targets=(Estimand.LATE_AT_CUTOFF,), needs=NEEDS, assumes=ASSUMES,
    uses=USES, moments=False,
)  # fmt: skip
def rdflex_fuzzy(
    problem: Problem, rng: np.random.Generator, *, learner: str = "linear", folds: int = 5
) -> Estimate:
    """Adjust outcome and take-up, then divide the jumps; a ratio has no finite moments."""
    return _fit(problem, rng, learner, folds, fuzzy=True)
