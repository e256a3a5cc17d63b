"""Selection on observables: a mean under missing outcomes, by Kang and Schafer (2007).

    Y = 210 + 27.4 Z1 + 13.7 (Z2 + Z3 + Z4) + noise e,   Z ~ N(0, I4),  e ~ N(0, 1)
    P(T = 1) = logistic(-Z1 + 0.5 Z2 - 0.25 Z3 - 0.1 Z4)

The outcome is observed where T = 1. As data need numbers, y is 0 elsewhere and T plays the
treatment: the world without treatment is the one where nobody answers and y = 0, the effect of
answering is Y, and the estimand is its mean, 210. A method for an average treatment effect so
estimates the mean; what it makes of those with T = 0 adds nothing. The mean of those who answered
is off by -10.002.

`distortion` is how far the analyst's covariates are from Z on the way to the published ones,

    exp(Z1/2),   Z2 / (1 + exp Z1) + 10,   (Z1 Z3/25 + 0.6)^3,   (Z2 + Z4 + 20)^2

each standardised, which changes no fit that is linear in them. At 0 linear and logistic models in
the covariates are right; at 1 both are wrong, only slightly to the eye, and in the published way.
Horvitz-Thompson weights and AIPW then have tails so heavy that averages settle on nothing: medians
speak. Linear regression of those who answered, carried over to all, is off by about -0.9.
"""

import numpy as np
from numpy.typing import NDArray

from cibench import Draw, Estimand, Roles, Scenario, dial, parameter, scenario

from .did_sant_anna_zhao import MEANS, SDS

OUTCOME, RESPONSE = np.array([27.4, 13.7, 13.7, 13.7]), np.array([-1, 0.5, -0.25, -0.1])


def published(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the published covariates of Z, four by units, in units of their s.d."""
    z1, z2, z3, z4 = z
    raw = np.exp(z1 / 2), z2 / (1 + np.exp(z1)) + 10, (z1 * z3 / 25 + 0.6) ** 3, (z2 + z4 + 20) ** 2
    return np.asarray((np.stack(raw) - MEANS[:, None]) / SDS[:, None])


@scenario("observables/kang-schafer")
class KangSchafer(Scenario):
    """Half of the outcomes are missing; four covariates tell which, if seen as they act."""

    estimand = Estimand.MEAN
    roles = Roles(covariates=("x1", "x2", "x3", "x4"))
    reference = "Kang and Schafer (2007), Statistical Science 22, section 1.4"
    violates = ("missing completely at random",)

    noise: float = parameter(1.0, within=(0.0, 1e6), unit="s.d. of the outcome given covariates")
    distortion: float = dial(
        default=0, grid=(0.25, 0.5, 1.0), within=(0, 1), breaks="covariates seen as they act",
        unit="share of the way from the covariates that act to the published transforms of them",
    )  # fmt: skip

    def truth(self) -> float:
        """Return the mean outcome."""
        return 210.0

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n independent units."""
        z, e, t = rng.standard_normal((4, n)), rng.standard_normal(n), rng.random(n)
        d = (t < 1 / (1 + np.exp(-RESPONSE @ z))).astype(float)
        outcome = 210 + OUTCOME @ z + self.noise * e
        shown = z + self.distortion * (published(z) - z)
        columns = {"y": outcome * d, "d": d, **dict(zip(self.roles.covariates, shown, strict=True))}
        return Draw(columns, np.zeros(n), outcome)
