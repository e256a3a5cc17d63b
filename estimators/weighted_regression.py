"""Least squares on rows that do not count alike: survey weights and frequencies.

A survey's weights are inverse chances of being sampled and have no unit: `statsmodels` weighs the
squares, and errors are robust, since weights make them heteroskedastic. A frequency says how often
a row is there: `pyfixest` counts it that often, errors, degrees of freedom and all. Errors are
clustered where there are clusters. Estimates are the same, errors are not; which one is right
depends on how the data came about, and that is what the two roles say.
"""

from typing import Any

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, estimator
from cibench.model import Array

from ._iv import regression
from ._reasons import rows_of

TARGETS = (Estimand.COEFFICIENT, Estimand.ATE)
ASSUMES = ("no confounding in the population", "constant effects")


def _counted(problem: Problem, role: str) -> Array:
    """Return the column that says how much each row counts; raises Declined for what cannot."""
    name = getattr(problem.roles, role)
    column = problem.columns[name].astype(float)
    if (wrong := ~(np.isfinite(column) & (column >= 0))).any():
        what = "numbers that are negative, missing or infinite"
        raise Declined(f"column '{name}' holds {what} in {rows_of(wrong)}")
    if np.count_nonzero(column) < 3:
        raise Declined(f"column '{name}' leaves fewer than three rows that count")
    return column


def _groups(problem: Problem) -> Array | None:
    name = problem.roles.cluster
    if not name:
        return None
    groups = np.unique(problem.columns[name], return_inverse=True)[1]
    if groups.max() < 1:
        raise Declined(f"there is one cluster in '{name}' only")
    return np.asarray(groups)


@estimator(
    "weighted/survey", targets=TARGETS, needs=("treatment", "weights"), assumes=ASSUMES,
    uses=("statsmodels",),
)  # fmt: skip
def survey(problem: Problem, rng: np.random.Generator, *, errors: str = "HC1") -> Estimate:
    """Weigh squares by the inverse chance of being sampled; `errors` is HC0 or HC1."""
    from statsmodels.regression.linear_model import WLS

    y, d, x = regression(problem)
    weight, groups = _counted(problem, "weights"), _groups(problem)
    here = weight > 0
    how: dict[str, Any] = {"cov_type": errors}
    if groups is not None:
        how = {"cov_type": "cluster", "cov_kwds": {"groups": groups[here]}}
    design = np.column_stack([d, x])[here]
    fit = WLS(y[here], design, weights=weight[here] / weight.mean()).fit(use_t=True, **how)
    low, high = fit.conf_int(1 - problem.level)[0]
    value, se, p_value = (float(part[0]) for part in (fit.params, fit.bse, fit.pvalues))
    return Estimate(value, se, float(low), float(high), p_value=p_value)


@estimator(
    "weighted/frequency", targets=TARGETS, needs=("treatment", "frequency"), assumes=ASSUMES,
    uses=("pyfixest",),
)  # fmt: skip
def frequency(problem: Problem, rng: np.random.Generator, *, errors: str = "HC1") -> Estimate:
    """Count each row as often as its frequency says; `errors` is iid or HC1."""
    import pandas as pd
    from pyfixest import feols

    y, d, x = regression(problem)
    count, groups = _counted(problem, "frequency"), _groups(problem)
    if (broken := count % 1 != 0).any():
        name = problem.roles.frequency
        raise Declined(f"column '{name}' holds frequencies that are not whole in {rows_of(broken)}")
    names = [f"x{k}" for k in range(1, x.shape[1])]
    frame = pd.DataFrame({"y": y, "d": d, **dict(zip(names, x.T[1:], strict=True)), "count": count})
    frame["cluster"] = 0 if groups is None else groups
    frame = frame[count > 0].reset_index(drop=True)
    vcov: Any = errors if groups is None else {"CRV1": "cluster"}
    fit = feols(
        " + ".join(["y ~ d", *names]), frame, vcov=vcov, weights="count", weights_type="fweights"
    )
    row = fit.tidy(alpha=1 - problem.level).loc["d"]
    value, se, _, p_value, low, high = (float(number) for number in row)
    return Estimate(value, se, low, high, p_value=p_value)
