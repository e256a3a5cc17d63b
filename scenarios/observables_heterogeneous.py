"""Selection on observables: effects that differ, so that each average of them is another number.

    D = 1[-1 + X1 + X2 / 2 + a U + l > 0],   l ~ logistic,   X ~ N(0, I3)
    Y = X1 + X2 + X3 + E + D (effect + spread X1),   E = sqrt(r) U + sqrt(1 - r) E'

Three in ten units are treated, mostly those with a high X1, who gain most. The mean effect (ATE)
is `effect`, 1 in observables/heterogeneous; that of the treated (ATT) is effect + spread E[X1 L] /
E[L], 1.561 in observables/heterogeneous-att, L the probability of treatment. A naive difference in
means is off by 1.781 for the ATE and by 1.219 for the ATT. Least squares with X but without
interactions estimates neither: it weights effects by the variance of treatment and is off by 0.32
for the ATE.

`confounding` is r, the partial R2 of an unobserved U with the latent index of treatment, a^2 =
(pi^2 / 3) r / (1 - r), and with the outcome without treatment, given X. Methods that go by X are
off by 0.180 at 0.1 for the ATE. It also changes who is treated, and with them the ATT, to 1.529.
"""

from dataclasses import dataclass

import numpy as np

from cibench import Draw, Estimand, Roles, Scenario, dial, parameter, scenario
from cibench.model import Array


@dataclass(frozen=True, kw_only=True)
class Selection(Scenario):
    """What both have in common: all but whose effects are averaged."""

    roles = Roles(covariates=("x1", "x2", "x3"))
    reference = "Angrist (1998), Econometrica 66, section 3; Imbens (2004), REStat 86"
    violates = ("no confounding", "constant effects")

    effect: float = parameter(1.0, unit="s.d. of the error")
    spread: float = parameter(1.0, unit="s.d. of the error by which one s.d. of x1 adds to it")
    confounding: float = dial(
        default=0, grid=(0.02, 0.05, 0.1), within=(0, 0.99), breaks="no unobserved confounding",
        unit="partial R2 of the confounder with the treatment's index, and with the outcome",
    )  # fmt: skip

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n independent units."""
        normal, noise = rng.standard_normal((5, n)), rng.logistic(size=n)
        (x1, x2, x3), (u, e) = self.covariates_of(normal[:3]), normal[3:]
        r = self.confounding
        pull = np.sqrt(np.pi**2 / 3 * r / (1 - r))
        treated = x1 + x2 / 2 - 1 + pull * u + noise > 0
        baseline = x1 + x2 + x3 + np.sqrt(r) * u + np.sqrt(1 - r) * e
        effects = self.effect + self.spread * x1
        d = treated.astype(float)
        columns = {"y": baseline + effects * d, "d": d, "x1": x1, "x2": x2, "x3": x3}
        return Draw(columns, baseline, effects, treated if self.estimand is Estimand.ATT else None)

    def covariates_of(self, normal: Array) -> Array:
        """Return the covariates of normal draws; other designs make others of them."""
        return normal


@scenario("observables/heterogeneous")
class Heterogeneous(Selection):
    """Three covariates, one of which moderates the effect; the mean effect is asked for."""

    estimand = Estimand.ATE

    def truth(self) -> float:
        """Return the mean effect; X1 has mean zero."""
        return self.effect


@scenario("observables/heterogeneous-att")
class HeterogeneousAtt(Selection):
    """The same, but asked for the mean effect of the treated."""

    estimand = Estimand.ATT
    confounding: float = dial(
        default=0, grid=(0.02, 0.05, 0.1), within=(0, 0.99), breaks="no unobserved confounding",
        unit="partial R2 of the confounder with the treatment's index, and with the outcome",
        truth="moves",
    )  # fmt: skip

    def truth(self) -> float:
        """Return the mean effect of the treated, from a product of Gauss-Hermite rules.

        The index less its own noise is normal; given it, X1 is normal with a mean in proportion.
        """
        pull2 = np.pi**2 / 3 * self.confounding / (1 - self.confounding)
        variance = 1.25 + pull2
        nodes, weights = np.polynomial.hermite_e.hermegauss(120)
        chance = weights / (1 + np.exp(1 - np.sqrt(variance) * nodes))
        mean = np.sum(chance * nodes) / np.sum(chance) / np.sqrt(variance)
        return float(self.effect + self.spread * mean)
