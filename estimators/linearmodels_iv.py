"""Instrumental-variables regressions by `linearmodels`, with a constant and the covariates.

Two-stage least squares, LIML and two-step GMM, with errors for equal variances or robust ones and
normal limits, the library's defaults; least squares beside them, for comparison. With a binary
instrument that covariates do not predict, the coefficient is the LATE where effects differ.

Two-stage least squares and GMM have moments up to the number of instruments beyond the first:
none with one instrument, a mean but no variance with two (Kinal 1980). LIML has none ever (Mariano
and Sawa 1972). What an estimator declares holds for all its data: all of them say moments=False.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from cibench import Declined, Estimate, Problem, estimator

from ._iv import NEEDS, STRONG, TARGETS, design, regression

USES = ("linearmodels",)
EQUAL = (*STRONG, "homoskedastic errors")


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except ValueError as error:  # a singular matrix is one, too
        raise Declined(f"linearmodels finds no solution: {error}") from error


def _estimate(fit: Any, at: int, level: float) -> Estimate:
    """Return what the fit says of its coefficient number `at`."""
    parts = (fit.params, fit.std_errors, fit.pvalues, *fit.conf_int(level).to_numpy().T)
    value, se, p_value, low, high = (float(np.asarray(part)[at]) for part in parts)
    return Estimate(value, se, low, high, p_value=p_value)


def _fit(problem: Problem, model: str, cov_type: str, **options: object) -> Estimate:
    """Fit a model of the library; the treatment's coefficient stands behind the exogenous ones."""
    import linearmodels.iv

    y, d, x, z = design(problem)
    with _in_words():
        fit = getattr(linearmodels.iv, model)(y, x, d, z, **options).fit(cov_type=cov_type)
        return _estimate(fit, x.shape[1], problem.level)


@estimator(
    "linearmodels/2sls", targets=TARGETS, needs=NEEDS, assumes=EQUAL, uses=USES, moments=False
)
def two_stage(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Fit two-stage least squares with errors for equal variances."""
    return _fit(problem, "IV2SLS", "unadjusted")


@estimator(
    "linearmodels/2sls-robust", targets=TARGETS, needs=NEEDS, assumes=STRONG, uses=USES,
    moments=False,
)  # fmt: skip
def two_stage_robust(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Fit two-stage least squares with heteroskedasticity-robust errors."""
    return _fit(problem, "IV2SLS", "robust")


@estimator(
    "linearmodels/liml", targets=TARGETS, needs=NEEDS, assumes=EQUAL, uses=USES, moments=False
)
def liml(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Fit limited-information maximum likelihood with errors for equal variances."""
    return _fit(problem, "IVLIML", "unadjusted")


@estimator(
    "linearmodels/liml-robust", targets=TARGETS, needs=NEEDS, assumes=STRONG, uses=USES,
    moments=False,
)  # fmt: skip
def liml_robust(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Fit limited-information maximum likelihood with heteroskedasticity-robust errors."""
    return _fit(problem, "IVLIML", "robust")


@estimator(
    "linearmodels/gmm", targets=TARGETS, needs=NEEDS, assumes=STRONG, uses=USES, moments=False
)
def gmm(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Fit two-step GMM with robust weights and errors."""
    return _fit(problem, "IVGMM", "robust", weight_type="robust")


@estimator(
    "linearmodels/gmm-unadjusted", targets=TARGETS, needs=NEEDS, assumes=EQUAL, uses=USES,
    moments=False,
)  # fmt: skip
def gmm_unadjusted(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Fit GMM with weights and errors for equal variances, which is two-stage least squares."""
    return _fit(problem, "IVGMM", "unadjusted", weight_type="unadjusted")


@estimator(
    "linearmodels/ols", targets=TARGETS, needs=("treatment",), uses=USES,
    assumes=("no confounding", "constant effects", "homoskedastic errors", "independent errors"),
)  # fmt: skip
def least_squares(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Regress the outcome on treatment and covariates as if treatment were exogenous."""
    from linearmodels.iv import IV2SLS

    y, d, x = regression(problem)
    if y.size < x.shape[1] + 3:
        raise Declined(f"{y.size} rows are too few for {x.shape[1] - 1} covariates")
    fit = IV2SLS(y, np.column_stack([x, d]), None, None).fit(cov_type="unadjusted")
    return _estimate(fit, x.shape[1], problem.level)
