"""A randomised experiment whose parameters are drawn anew from a prior in each data set.

    Y = A + B D + S E,   E ~ N(0, 1),   D = 1 for a random half of the units
    A = S N1,   B = S (N2 + shift),   N1, N2 ~ N(0, 1),   S^2 ~ InverseGamma(3, 2)

The estimand is B, the effect on every unit of this data set (SATE); the mean of S^2 is 1. This is
the prior of the estimator `bayes/experiment` at its defaults, so that its posterior's distribution
function at B is uniform and its intervals cover B in 95 % of data sets, though not at every B:
where B happens to be large they cover less often, where it is small more often. The naive
difference in means is unbiased at any setting, whatever B.

`shift`: effects lie that many s.d. of the prior above what it expects. The posterior mean is pulled
towards 0: off by about -shift S / (1 + n / 4), since of n / 4 + 1 parts of what is known of the
effect one is the prior's; -0.17 shift at n = 20, where the standard error is 0.41.
"""

import numpy as np

from cibench import Draw, Estimand, Scenario, dial, scenario


@scenario("bayes/experiment")
class Experiment(Scenario):
    """Effect, level and noise are drawn in each data set, from the prior of a Bayesian method."""

    estimand = Estimand.SATE
    reference = "Talts and others (2018), arXiv:1804.06788, algorithm 1"
    prior_of = "bayes/experiment"

    shift: float = dial(
        default=0, grid=(1, 2, 4), within=(-20, 20), breaks="effects as the prior has them",
        unit="s.d. of the prior by which effects lie above its mean", truth="moves",
    )  # fmt: skip

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n units; half of them, rounded down, are treated."""
        (level, more), e = rng.standard_normal(2), rng.standard_normal(n)
        s, order = np.sqrt(2 / rng.standard_gamma(3)), rng.permutation(n)
        d = (order < n // 2).astype(float)
        baseline, effect = s * (level + e), s * (more + self.shift)
        return Draw({"y": baseline + effect * d, "d": d}, baseline, np.full(n, effect))
