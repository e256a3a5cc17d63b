"""Regression discontinuity: the three designs of Calonico, Cattaneo and Titiunik (2014).

    X = 2 Beta(2, 4) - 1,  D = 1[X >= 0],  Y = m(X) + effect D + N(0, noise^2)

m is a polynomial of order five on either side, continuous at the cutoff 0. Model 1 follows Lee's
elections, model 2 Ludwig and Miller's Head Start, model 3 is model 1 with altered curvature.
Treatment adds the same `effect` to everybody. A straight line on all rows of either side is off by
0.05, 1.23 and -0.68 in models 1 to 3, a quartic by 0.03, 0.01 and 0.04, a line within 0.5 of the
cutoff (triangular weights) by 0.04, 0.60 and -0.16.

At n = 500 robust intervals fall somewhat short of 95 %: 91, 93 and 93 % in models 1 to 3, as
published: the curvature next to the cutoff is strong for the number of rows that show it.

Manipulation: of the units less than `reach` below the cutoff, the share `sorting` with the highest
noise report X* = -X instead and are treated. Heaping: the share `heaping` with the lowest noise
report X rounded down to a multiple of `step`, which leaves their side of the cutoff as it is.
"""

from dataclasses import dataclass
from statistics import NormalDist
from typing import ClassVar

import numpy as np

from cibench import Draw, Estimand, Roles, Scenario, dial, parameter, scenario

CURVED = (
    "negligible smoothing bias", "smoothing bias known without noise", "outcome at most linear",
    "outcome at most quadratic", "outcome at most cubic", "outcome at most quartic",
)  # fmt: skip
"""What a mean outcome of order five, steep next to the cutoff, breaks with every dial at rest."""


@dataclass(frozen=True, kw_only=True)
class Cct(Scenario):
    """What the three designs share: all but m and the size of the effect."""

    estimand = Estimand.ATE_AT_CUTOFF
    roles = Roles(running="x", cutoff=0.0)
    reference = "Calonico, Cattaneo and Titiunik (2014), Econometrica 82, section 5"
    left: ClassVar[tuple[float, ...]]
    right: ClassVar[tuple[float, ...]]

    effect: float = parameter(0.04, unit="outcome units")
    noise: float = parameter(0.1295, within=(0.0, 100.0), unit="s.d. of the outcome given X")
    reach: float = parameter(0.1, within=(0.0, 1.0), unit="how far below the cutoff units can sort")
    step: float = parameter(0.1, within=(0.001, 1.0), unit="distance between heaps")
    sorting: float = dial(
        default=0, grid=(0.1, 0.2, 0.4), within=(0, 1), breaks="no manipulation",
        unit="share of units just below the cutoff that sort above",
    )  # fmt: skip
    heaping: float = dial(
        default=0, grid=(0.1, 0.2, 0.4), within=(0, 1), breaks="no heaping",
        unit="share of units that report a rounded running variable",
    )  # fmt: skip

    def truth(self) -> float:
        """Return the effect, the same for every unit."""
        return self.effect

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n units; the latent running variable is the one before sorting and rounding."""
        latent = 2 * rng.beta(2, 4, n) - 1
        e = rng.standard_normal(n)
        sorts = (-self.reach <= latent) & (latent < 0) & (e > _normal_quantile(1 - self.sorting))
        x = np.where(sorts, -latent, latent)
        x = np.where(e < _normal_quantile(self.heaping), np.floor(x / self.step) * self.step, x)
        d = (x >= 0).astype(float)
        m = np.polynomial.polynomial.polyval
        baseline = np.where(latent < 0, m(latent, self.left), m(latent, self.right))
        baseline = baseline + self.noise * e
        effects = np.full(n, self.effect)
        y = baseline + effects * d
        return Draw({"y": y, "d": d, "x": x}, baseline, effects, latent={"x": latent})


def _normal_quantile(share: float) -> float:
    return NormalDist().inv_cdf(share) if 0 < share < 1 else np.inf * (share - 0.5)


@scenario("rd/cct-1")
class Lee(Cct):
    """Model 1: mild curvature, an effect of a third of the noise's standard deviation."""

    violates = CURVED

    left = (0.48, 1.27, 7.18, 20.21, 21.54, 7.33)
    right = (0.48, 0.84, -3.00, 7.99, -9.01, 3.56)


@scenario("rd/cct-2")
class LudwigMiller(Cct):
    """Model 2: steep slopes and strong curvature above the cutoff, a large negative effect."""

    violates = (*CURVED, "the fit carries over the hole")

    left = (3.71, 2.30, 3.28, 1.45, 0.23, 0.03)
    right = (3.71, 18.49, -54.81, 74.30, -45.02, 9.83)
    effect: float = parameter(-3.45, unit="outcome units")


@scenario("rd/cct-3")
class ModifiedLee(Cct):
    """Model 3: model 1 with the curvature near the cutoff altered."""

    violates = CURVED

    left = (0.48, 1.27, -0.5 * 7.18, 0.7 * 20.21, 1.1 * 21.54, 1.5 * 7.33)
    right = (0.48, 0.84, -0.1 * 3.00, -0.3 * 7.99, -0.1 * 9.01, 3.56)
