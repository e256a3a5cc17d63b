"""The density test at the cutoff by `rddensity` (Cattaneo, Jansson and Ma 2020), its defaults.

Units that sort over the cutoff leave a gap below it and pile up above. The statistic compares local
polynomial density estimates from either side, bias-corrected, with jackknife errors.
"""

import numpy as np

from cibench import Declined, Diagnosis, Problem, diagnostic


@diagnostic(
    "rddensity/density", tests=("no manipulation",), needs=("running", "cutoff"),
    uses=("rddensity",),
)  # fmt: skip
def density(problem: Problem, rng: np.random.Generator) -> Diagnosis:
    """Test that the running variable's density is continuous at the cutoff."""
    from rddensity import rddensity

    above = problem.running >= problem.roles.cutoff
    if np.unique(above).size < 2:
        raise Declined("no rows on one side of the cutoff")
    fit = rddensity(problem.running, c=problem.roles.cutoff)
    statistic, p_value = float(fit.test["t_jk"]), float(fit.test["p_jk"])
    if not np.isfinite(p_value):
        raise Declined("too few distinct values of the running variable near the cutoff")
    return Diagnosis(p_value >= 1 - problem.level, p_value, statistic)
