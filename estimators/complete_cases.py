"""What somebody does who sees no problem in missing outcomes: average those that are there."""

import numpy as np

from cibench import Declined, Estimand, Estimate, Problem, estimator


@estimator(
    "naive/complete-cases", targets=(Estimand.MEAN,), needs=("treatment",),
    assumes=("missing completely at random",), uses=("scipy",),
)  # fmt: skip
def complete_cases(problem: Problem, rng: np.random.Generator) -> Estimate:
    """Average the outcomes observed, with Student's limits."""
    seen = problem.outcome[problem.treatment == 1]
    if seen.size < 2:
        raise Declined(f"{seen.size} outcomes are observed; two are the least")
    se = float(seen.std(ddof=1) / np.sqrt(seen.size))
    return Estimate.wald(float(seen.mean()), se, problem.level, df=seen.size - 1)
