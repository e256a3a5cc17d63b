"""Binary outcomes: risk difference, risk ratio and odds ratio under a logistic model.

    P(Y(d) = 1 | X, U) = expit(level + effect d + X + U confounding + curvature X^2)
    P(D = 1 | X, U) = expit(X / 2 + (X^2 - 1) / 3 + confounding U),   X, U ~ N(0, 1)

One uniform draw decides a unit's outcome in both worlds. At the defaults 30.4 % have the event
without treatment and 39.8 % with it: the risk ratio is 1.31, the marginal odds ratio 1.52, the
conditional one e^0.5 = 1.65, since odds ratios do not collapse. `level` makes events rare. The
risks of those who happen to be treated and of the others have the ratio 1.71.

`confounding` is the coefficient of a covariate that nobody sees, in both models: with 1 the
comparison given X alone is off. `curvature` bends the logit, which a model linear in X cannot
follow, and by its square units choose.
"""

import numpy as np

from cibench import Draw, Estimand, Roles, Scenario, Target, dial, parameter, scenario
from cibench.model import Array


@scenario("binary/logistic")
class Logistic(Scenario):
    """An event that treatment makes more likely, by a logit."""

    estimand = (Estimand.RISK_DIFFERENCE, Estimand.RISK_RATIO, Estimand.ODDS_RATIO)
    roles = Roles(covariates=("x",))
    violates = ("no confounding",)
    reference = "Austin (2007), Statistics in Medicine 26, on marginal and conditional odds ratios"

    effect: float = parameter(0.5, within=(-3, 3), unit="log odds ratio given the covariates")
    level: float = parameter(-1.0, within=(-6, 4), unit="log odds without treatment at X = 0")
    confounding: float = dial(
        default=0, grid=(0.5, 1.0), within=(0, 3), breaks="no unobserved confounding",
        unit="log odds of treatment and of the event per s.d. of the hidden covariate",
        truth="moves",
    )  # fmt: skip
    curvature: float = dial(
        default=0, grid=(0.5, 1.0), within=(0, 2), breaks="outcome model correct",
        unit="log odds of the event per squared s.d. of X", truth="moves",
    )  # fmt: skip

    def truth(self) -> dict[Target, float]:
        """Return the three by Gauss-Hermite quadrature over both covariates."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(120)
        x, u = np.meshgrid(nodes, nodes)
        weight = np.outer(weights, weights) / (2 * np.pi)
        with_, without = (float(np.sum(weight * self._risk(d, x, u))) for d in (1, 0))
        odds = with_ / (1 - with_) / (without / (1 - without))
        values = (with_ - without, with_ / without, odds)
        return {Target(e): v for e, v in zip(self.estimand, values, strict=True)}

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n independent units."""
        x, u = rng.standard_normal((2, n))
        chance, threshold = rng.random((2, n))
        index = x / 2 + (x**2 - 1) / 3 + self.confounding * u
        d = (chance < _expit(index)).astype(float)
        with_, without = ((threshold < self._risk(a, x, u)).astype(float) for a in (1, 0))
        y = np.where(d == 1, with_, without)
        return Draw({"y": y, "d": d, "x": x}, without, with_ - without)

    def _risk(self, d: int, x: Array, u: Array) -> Array:
        index = self.level + self.effect * d + x + self.confounding * u
        return _expit(index + self.curvature * x**2)


def _expit(index: Array) -> Array:
    result: Array = 1 / (1 + np.exp(-index))
    return result
