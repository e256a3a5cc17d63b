"""What somebody does who sees no problem: compare the treated with the untreated."""

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, estimator


@estimator(
    "naive/difference-in-means",
    targets=(Estimand.ATE, Estimand.ATT, Estimand.SATE, Estimand.SATT), needs=("treatment",),
    assumes=("no confounding",), uses=("statsmodels",),
)  # fmt: skip
def difference_in_means(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Regress the outcome on the treatment alone, with HC2 errors (Welch's)."""
    from statsmodels.regression.linear_model import OLS

    if len(np.unique(problem.treatment)) < 2:
        raise Declined("all rows are treated, or none is")
    design = np.column_stack([problem.treatment, np.ones(problem.treatment.size)])
    fit = OLS(problem.outcome, design).fit(cov_type="HC2", use_t=True)
    low, high = fit.conf_int(1 - problem.level)[0]
    return Estimate(fit.params[0], fit.bse[0], low, high, df=fit.df_resid, p_value=fit.pvalues[0])
