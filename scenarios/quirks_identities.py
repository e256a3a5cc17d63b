"""Designs in which methods that differ elsewhere are one: two strata, and a randomised trial.

    quirks/strata:  Y = (1 + x) D + x + e,   x ~ Bernoulli(1/2),   P(D = 1 | x) = (1 + x) / 3
    quirks/trial:   Y = D + x + e,   x ~ N(0, 1),   P(D = 1) = 1/2

with e ~ N(0, 1).

One covariate of zeros and ones saturates every model, so that regression per arm, inverse
propensities with or without normalisation, and both together are the same comparison within
strata. Effects are 1 and 2: 3/2 on average, 5/3 among the treated, of whom two thirds have x = 1.
Means differ by 7/3 - 1/3 = 2, so that a naive comparison is off by 1/2 and by 1/3.

In the strata each row has the survey weight 1 and the frequency 1: methods that weigh rows weigh
none. In the trial a naive comparison is off by nothing, and whoever adjusts for x by lines, weights
or both has the same influence function: estimates differ by a share of their standard error that
vanishes as 1 / sqrt n. Nothing breaks an assumption, but that effects differ in the strata.
"""

from dataclasses import dataclass

import numpy as np

from cibench import Draw, Estimand, Roles, Scenario, scenario


@dataclass(frozen=True, kw_only=True)
class Strata(Scenario):
    """What both share: all but whose effects are asked for."""

    roles = Roles(covariates=("x",), weights="weight", frequency="count")
    reference = "Imbens and Rubin (2015), Causal Inference, chapter 17 (subclasses)"
    violates = ("no confounding", "constant effects")

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n independent rows."""
        x, chance, e = (rng.random(n) < 0.5).astype(float), rng.random(n), rng.standard_normal(n)
        d = (chance < (1 + x) / 3).astype(float)
        ones, baseline, effects = np.ones(n), x + e, 1 + x
        columns = {"y": baseline + effects * d, "d": d, "x": x, "weight": ones,
                   "count": np.ones(n, np.int64)}  # fmt: skip
        of_treated = self.estimand is Estimand.ATT
        return Draw(columns, baseline, effects, target=d == 1 if of_treated else None)


@scenario("quirks/strata")
class Everybody(Strata):
    """The mean effect on all units."""

    estimand = Estimand.ATE

    def truth(self) -> float:
        """Return the mean effect."""
        return 1.5


@scenario("quirks/strata-att")
class Treated(Strata):
    """The mean effect on the treated."""

    estimand = Estimand.ATT

    def truth(self) -> float:
        """Return the mean effect on the treated."""
        return 5 / 3


@scenario("quirks/trial")
class Trial(Scenario):
    """A coin decides who is treated, and a covariate predicts the outcome."""

    estimand = Estimand.ATE
    roles = Roles(covariates=("x",))
    reference = "Lin (2013), Annals of Applied Statistics 7, section 3"

    def truth(self) -> float:
        """Return the effect, the same for every unit."""
        return 1.0

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n independent rows."""
        x, e = rng.standard_normal((2, n))
        d = (rng.random(n) < 0.5).astype(float)
        return Draw({"y": d + x + e, "d": d, "x": x}, x + e, np.ones(n))
