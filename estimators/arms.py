"""Several arms: contrasts of least squares with dummies, limits for each and bands for all.

The regression has an intercept and a dummy of each arm but the first, in each group where a target
names one; `arms/adjusted` adds the covariates, centred, and their products with the dummies (Lin
2013). Errors are HC2. Bands are Sidak's: they hold for all targets that were asked.
"""

from collections.abc import Mapping
from statistics import NormalDist

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, Target, estimator


def _contrasts(problem: Problem, *, adjusted: bool) -> Mapping[Target, Estimate]:
    from statsmodels.regression.linear_model import OLS

    answers, wide = {}, NormalDist().inv_cdf((1 + problem.level ** (1 / len(problem.targets))) / 2)
    for group in dict.fromkeys(t.group for t in problem.targets):
        rows = np.ones(len(problem.outcome), bool) if group is None else problem.members(group)
        arms = np.unique(problem.treatment[rows])
        dummies = (problem.treatment[rows, None] == arms).astype(float)
        if rows.sum() == 0 or dummies.sum(axis=0).min() < 2:
            raise Declined("an arm has fewer than two rows")
        parts = [dummies]
        if adjusted:
            x = problem.covariates[rows] - problem.covariates[rows].mean(axis=0)
            parts += [dummies[:, [k]] * x for k in range(arms.size)]
        fit = OLS(problem.outcome[rows], np.column_stack(parts)).fit(cov_type="HC2")
        for target in (t for t in problem.targets if t.group == group):
            contrast = np.zeros(fit.params.size)
            for arm, sign in zip(target.contrast or (1, 0), (1, -1), strict=True):
                contrast[np.flatnonzero(arms == arm)] = sign
            if np.count_nonzero(contrast) != 2:
                raise Declined(f"no rows of an arm of {target}")
            value = float(contrast @ fit.params)
            se = float(np.sqrt(contrast @ fit.cov_params() @ contrast))
            limits = Estimate.wald(value, se, problem.level)
            answers[target] = Estimate(
                value, se, limits.low, limits.high,
                band_low=value - wide * se, band_high=value + wide * se,
            )  # fmt: skip
    return answers


BY = ("group", "contrast")


@estimator(
    "arms/difference-in-means", targets=(Estimand.ATE,), needs=("treatment",), by=BY,
    assumes=("no confounding",), uses=("statsmodels",),
)  # fmt: skip
def difference_in_means(problem: Problem, rng: np.random.Generator) -> Mapping[Target, Estimate]:
    """Compare the means of two arms, of 1 and 0 where no target says which, in a group or all."""
    return _contrasts(problem, adjusted=False)


@estimator(
    "arms/adjusted", targets=(Estimand.ATE,), needs=("treatment", "covariates"), by=BY,
    assumes=("no unobserved confounding", "outcome model correct"), uses=("statsmodels",),
)  # fmt: skip
def adjusted(problem: Problem, rng: np.random.Generator) -> Mapping[Target, Estimate]:
    """Compare two arms given the covariates, linear in each arm."""
    return _contrasts(problem, adjusted=True)
