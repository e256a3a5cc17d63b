"""Selection on observables: a survey that not everybody answers, a mean under missing outcomes.

    Y = mean + X1 + X2 + e,   X1, X2, e ~ N(0, 1)
    T = 1[0.5 + X1 / 2 - X2 + a e + l > 0],   l ~ logistic,   a^2 = (pi^2 / 3) r / (1 - r)

The outcome is observed where T = 1; elsewhere y is 0, as in observables/kang-schafer: the world
without treatment is the one where nobody answers, the effect of answering is Y and the estimand its
mean. The mean of those who answered is off by -0.161.

`dependence` is r, the share of what the covariates leave of the latent index of answering that the
outcome's own error explains, a partial R2 (McKelvey and Zavoina's). At 0 outcomes are missing at
random given the covariates, by a logistic model; above, those with higher outcomes answer more
often than others of equal covariates. Every method that goes by the covariates is off by
E[E[e | T = 1, X]], 0.322 at 0.2; response is then no longer exactly logistic in X, which matters
less.
"""

import numpy as np

from cibench import Draw, Estimand, Roles, Scenario, dial, parameter, scenario
from cibench.model import Array


@scenario("observables/nonresponse")
class Nonresponse(Scenario):
    """Two covariates tell who answers; under the dial the outcome itself does, too."""

    estimand = Estimand.MEAN
    roles = Roles(covariates=("x1", "x2"))
    reference = "Little and Rubin (2019), Statistical Analysis with Missing Data, chapter 15"
    violates = ("missing completely at random",)

    mean: float = parameter(10.0, unit="s.d. of the outcome's error")
    dependence: float = dial(
        default=0, grid=(0.05, 0.1, 0.2), within=(0, 0.99), breaks="missing at random",
        unit="partial R2 of the outcome's error with the latent index of answering",
    )  # fmt: skip

    def truth(self) -> float:
        """Return the mean outcome."""
        return self.mean

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n independent units."""
        normal, noise = rng.standard_normal((3, n)), rng.logistic(size=n)
        (x1, x2), e = self.covariates_of(normal[:2]), normal[2]
        pull = np.sqrt(np.pi**2 / 3 * self.dependence / (1 - self.dependence))
        d = (0.5 + x1 / 2 - x2 + pull * e + noise > 0).astype(float)
        outcome = self.mean + x1 + x2 + e
        return Draw({"y": outcome * d, "d": d, "x1": x1, "x2": x2}, np.zeros(n), outcome)

    def covariates_of(self, normal: Array) -> Array:
        """Return the covariates of normal draws; other designs make others of them."""
        return normal
