"""Regression discontinuity in an online travel agency's loyalty programme.

    X ~ Gamma(2, 2.5): last year's spending in thousands, cutoff 5,  D = 1[X >= 5],  V = X - 5
    Y = 3000 + 400 V + 20 V^2 + curvature V^2 1[V >= 0] + D effect X/5 + noise (X/5)^spread E
    E = sqrt(explained) I + sqrt(1 - explained) (sqrt(6) (U - 1/2) + Z/sqrt(2))

Y is next year's spending. The programme pays back in proportion to spending, so the effect at the
cutoff is `effect`. I is the standardised sum of age, number of bookings, average booking value and
share of international trips, all from earlier years and independent of X: in `rd/loyalty` they
explain nothing, in `rd/loyalty-strong-covariates` 80 % of the noise, given X. U ~ U(0, 1) is the
customers' drive, Z ~ N(0, 1). Members outspend the others by 5,020 on average, 3,520 more than the
effect at the cutoff; a straight line on all rows of either side is off by -320, one within 2.5 of
the cutoff (triangular weights, here called the local line) by nothing. A quadratic on all rows of
either side is the truth.

Manipulation: of the customers less than `reach` below the cutoff, the share `sorting` with the
highest drive books something more, X* = 10 - X, and is let in; in `rd/loyalty` at 0.4 the outcome
jumps by 700 too much at the cutoff, and the local line is off by 480. Measurement error: the
analyst sees X + `error` N(0, 1), the programme X itself; the jump becomes an S, and the local line
is off by -980 at 0.5. Rounding: the analyst sees X rounded to the nearest multiple of `rounding`,
so that the customers at the cutoff itself are a mixture: the local line is off by -360 at 0.25.
Curvature: above the cutoff the outcome bends away; the local line is off by -220 at 400.

At the defaults the quadratic is valid, being the truth: in `rd/loyalty` it covered in 94.9 % of
1,000 draws of 2,000 rows, give or take 0.7; `rdrobust/robust` in 93.7 %, as few rows are near the
cutoff.
"""

import numpy as np

from cibench import Draw, Estimand, Roles, Scenario, dial, parameter, scenario


@scenario("rd/loyalty")
class Loyalty(Scenario):
    """Covariates carry no information: `explained` is 0."""

    estimand = Estimand.ATE_AT_CUTOFF
    roles = Roles(running="x", cutoff=5.0, covariates=("age", "bookings", "value", "international"))
    reference = "Imbens and Lemieux (2008), Journal of Econometrics 142; the design is our own"
    violates = ("smoothing bias known without noise", "outcome at most linear")

    effect: float = parameter(1500.0, unit="currency units at the cutoff")
    noise: float = parameter(1000.0, within=(0.0, 1e6), unit="s.d. of the outcome at the cutoff")
    spread: float = parameter(0.0, within=(0.0, 2.0), unit="power of X/5 that the s.d. grows with")
    explained: float = parameter(0.0, within=(0.0, 1.0), unit="share of the noise, by covariates")
    reach: float = parameter(0.5, within=(0.0, 5.0), unit="thousands below which one can sort")
    sorting: float = dial(
        default=0, grid=(0.1, 0.2, 0.4), within=(0, 1), breaks="no manipulation",
        unit="share of customers just below the cutoff that book themselves above",
    )  # fmt: skip
    error: float = dial(
        default=0, grid=(0.1, 0.25, 0.5), within=(0, 5), unit="s.d. of the error, in thousands",
        breaks="running variable measured without error",
    )  # fmt: skip
    rounding: float = dial(
        default=0, grid=(0.05, 0.1, 0.25), within=(0, 1), unit="thousands between multiples",
        breaks="running variable measured without error",
    )  # fmt: skip
    curvature: float = dial(
        default=0, grid=(100, 200, 400), within=(-1000, 1000), breaks="negligible smoothing bias",
        unit="currency units by which the outcome leaves the line 1,000 above the cutoff",
    )  # fmt: skip

    def truth(self) -> float:
        """Return the effect on customers at the cutoff."""
        return self.effect

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n customers; latent X is their spending before sorting, error and rounding."""
        latent, drive = rng.gamma(2, 2.5, n), rng.random(n)
        z, u = rng.standard_normal((2, n))
        age, bookings = 18 + 60 * rng.beta(2, 3, n), 1 + rng.poisson(4, n)
        value, abroad = rng.gamma(4, 75, n), rng.beta(2, 3, n)
        index = (age - 42) / 12 + (bookings - 5) / 2 + (value - 300) / 150 + (abroad - 0.4) / 0.2
        sorts = (5 - self.reach <= latent) & (latent < 5) & (drive > 1 - self.sorting)
        paid = np.where(sorts, 10 - latent, latent)
        d, v, x = (paid >= 5).astype(float), latent - 5, paid + self.error * u
        x = np.round(x / self.rounding) * self.rounding if self.rounding else x
        e = np.sqrt(1 - self.explained) * (np.sqrt(6) * (drive - 0.5) + z / np.sqrt(2))
        e = self.noise * (latent / 5) ** self.spread * (e + np.sqrt(self.explained) * index / 2)
        baseline = 3000 + 400 * v + (20 + self.curvature * (v >= 0)) * v**2 + e
        effects = self.effect * latent / 5
        columns = {"y": baseline + effects * d, "d": d, "x": x}
        columns |= {"age": age, "bookings": bookings, "value": value, "international": abroad}
        return Draw(columns, baseline, effects, latent={"x": latent})


@scenario("rd/loyalty-strong-covariates")
class LoyaltyStrongCovariates(Loyalty):
    """Covariates explain four fifths of the noise."""

    explained: float = parameter(0.8, within=(0.0, 1.0), unit="share of the noise, by covariates")
