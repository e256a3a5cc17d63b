"""Selection on observables: the partially linear regression model of double machine learning.

    D = X1 + 0.25 L(X3) + roughness h(X1) + V,   Y = theta D + L(X1) + 0.25 X3 + roughness h(X1) + E
    X ~ N(0, 0.7^|j-k|),  20 columns,   V, E ~ N(0, 1),   L logistic,   h(x) = sqrt(2) cos(3 x)

Nothing is hidden at the defaults: V and E are independent. Least squares of Y on D alone is off by
0.169.

What the dials do to a method that takes out what X predicts, to its probability limit:
- `confounding`: an unobserved U has the partial R2 r with the treatment given X, V = sqrt(r) U +
  sqrt(1 - r) V', and also with the outcome given X and D; E = sqrt(r / (1 - r)) U + sqrt(1 - r) E',
  so that Var(Y | X, D) stays 1. Off by r / sqrt(1 - r), 0.105 at 0.1 (Cinelli and Hazlett 2020,
  equation 8).
- `roughness`: a wave in X1, of s.d. 1 but for 1e-4 and uncorrelated with all that is linear in X.
  Least squares and linear learners are off by roughness^2 / (1 + roughness^2), 0.2 at 0.5; learners
  that find the wave are not.
- `mediation`: a covariate M = a D + W is offered, through which that share of the effect runs: W
  is a part of the outcome's error, E = 0.5 W + sqrt(0.75) E', and a = 2 theta mediation. Off by
  -theta mediation, -0.2 at 0.4.
- `collision`: a covariate C = collision (V + E) + N(0, 1) is offered, a common consequence of
  treatment and outcome. Off by -collision^2 / (1 + collision^2), -0.2 at 0.5.
M and C are no covariates at the defaults, where the design is the published one.
"""

import numpy as np
from numpy.typing import NDArray

from cibench import Draw, Estimand, Roles, Scenario, dial, parameter, scenario

COVARIATES = tuple(f"x{j + 1}" for j in range(20))
Floats = NDArray[np.float64]


def logistic(x: Floats) -> Floats:
    """Return the logistic function."""
    return np.asarray(1 / (1 + np.exp(-x)))


def wave(x: Floats) -> Floats:
    """Return a wave, of variance 1 but for 1e-4 where x is standard normal."""
    return np.asarray(np.sqrt(2) * np.cos(3 * x))


@scenario("observables/plr")
class PartiallyLinear(Scenario):
    """Twenty correlated covariates, two of which matter, for a continuous treatment."""

    estimand = Estimand.COEFFICIENT
    reference = "Chernozhukov and others (2018), Econometrics Journal 21, C1-C68"
    violates = ("no confounding",)

    theta: float = parameter(0.5, unit="s.d. of the error per unit of treatment")
    confounding: float = dial(
        default=0, grid=(0.02, 0.05, 0.1), within=(0, 0.99), breaks="no unobserved confounding",
        unit="partial R2 of the confounder with the treatment, and with the outcome",
    )  # fmt: skip
    roughness: float = dial(
        default=0, grid=(0.25, 0.5, 1.0), within=(0, 10),
        breaks="nuisance functions within the learners' reach",
        unit="s.d. of the error that a wave in x1 adds to treatment and outcome",
    )  # fmt: skip
    mediation: float = dial(
        default=0, grid=(0.1, 0.2, 0.4), within=(0, 1), breaks="no mediator among the covariates",
        unit="share of the effect that runs through a covariate",
    )  # fmt: skip
    collision: float = dial(
        default=0, grid=(0.125, 0.25, 0.5), within=(0, 10),
        breaks="no collider among the covariates",
        unit="s.d. of its own noise that one s.d. of either error adds to a covariate",
    )  # fmt: skip

    def assigned_roles(self) -> Roles:
        """Return the roles; what is caused by the treatment is offered when its dial is moved."""
        more = [name for name, given in (("m", self.mediation), ("c", self.collision)) if given]
        return Roles(covariates=(*COVARIATES, *more))

    def truth(self) -> float:
        """Return the coefficient, the same for every unit."""
        return self.theta

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n independent units."""
        x, (u, v, e, w, c) = rng.standard_normal((20, n)), rng.standard_normal((5, n))
        for j in range(1, 20):
            x[j] = 0.7 * x[j - 1] + np.sqrt(1 - 0.7**2) * x[j]
        r, rough = self.confounding, self.roughness * wave(x[0])
        v = np.sqrt(r) * u + np.sqrt(1 - r) * v
        e = np.sqrt(r / (1 - r)) * u + np.sqrt(1 - r) * (0.5 * w + np.sqrt(0.75) * e)
        d = x[0] + 0.25 * logistic(x[2]) + rough + v
        baseline = logistic(x[0]) + 0.25 * x[2] + rough + e
        made = {
            **dict(zip(COVARIATES, x, strict=True)),
            "m": 2 * self.theta * self.mediation * d + w, "c": self.collision * (v + e) + c,
        }  # fmt: skip
        columns = {"y": baseline + self.theta * d, "d": d}
        columns |= {name: made[name] for name in self.assigned_roles().covariates}
        return Draw(columns, baseline, np.full(n, self.theta))
