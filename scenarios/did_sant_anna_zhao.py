"""Difference in differences with covariates: the four designs of Sant'Anna and Zhao (2020).

    Y_i0 = f(W_i) + v_i + e_i0,       Y_i1 = 2 f(W_i) + v_i + trend D_i + effect D_i + e_i1,
    f(W) = 210 + 27.4 W1 + 13.7 (W2 + W3 + W4),   P(D = 1) = p(W'),   v_i ~ N(D_i f(W_i), 1),
    p(W) = logistic(0.75 (-W1 + 0.5 W2 - 0.25 W3 - 0.1 W4)),   X ~ N(0, I),   e ~ N(0, 1)

Z is a nonlinear map of X, standardised, and all that the analyst sees. (W, W') is (Z, Z), (Z, X),
(X, Z) and (X, X) in designs 1 to 4: methods that are linear in Z for the outcome and logistic in Z
for the treatment have both models right in 1, the outcome model in 2, the propensity in 3, neither
in 4. The effect is 0. Trends depend on f, and those treated have a lower f: two-way fixed effects,
to which covariates that do not change make no difference, are off by -20.9, -19.3, -13.1 and
-16.4 in designs 1 to 4. A naive difference in means between treated and untreated rows also takes
the gap in v for an effect: it is off by 245, 248, 258 and 253.

Under `trend` the treated change by that much more than others of equal X, and every method is off
by so much more. Its settings are negative, as is the bias that most wrong models bring. Design 1
also has `outcome_misfit` and `propensity_misfit`, which put X for Z step by step: at 1 they make
design 3 and design 2. Outcome regression is off by -1.384 in the former; IPW by 2.010, and with
normalised weights by -0.794, in the latter (as published).

DoubleML's make_did_SZ2020 has another Z4, standardises within the sample and is another design.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cibench import Draw, Estimand, Roles, Scenario, dial, parameter, scenario

OUTCOME, PROPENSITY = "outcome model correct", "propensity model correct"
ALWAYS = ("trends do not depend on covariates", "no confounding")
Floats = NDArray[np.float64]
MEANS = np.array([np.exp(0.125), 10.0, 0.21887, 402.0])
SDS = np.array([np.sqrt((np.exp(0.25) - 1) * np.exp(0.25)), 0.54164, 0.04453, 56.63891])


def observed(x: Floats) -> Floats:
    """Return Z, units by four, standardised with the published means and standard deviations."""
    x1, x2, x3, x4 = x.T
    raw = np.exp(x1 / 2), x2 / (1 + np.exp(x1)) + 10, (x1 * x3 / 25 + 0.6) ** 3, (x1 + x4 + 20) ** 2
    return np.asarray((np.column_stack(raw) - MEANS) / SDS)


def regression(w: Floats) -> Floats:
    """Return f(W), the expected outcome without treatment in period 0."""
    return np.asarray(210 + w @ np.array([27.4, 13.7, 13.7, 13.7]))


def propensity(w: Floats) -> Floats:
    """Return the probability of treatment."""
    index = 0.75 * (w @ np.array([-1, 0.5, -0.25, -0.1]))
    return np.asarray(1 / (1 + np.exp(-index)))


@dataclass(frozen=True, kw_only=True)
class SantAnnaZhao(Scenario):
    """What the four designs share: all but which of X and Z drives outcome and treatment."""

    estimand = Estimand.ATT
    roles = Roles(
        covariates=("z1", "z2", "z3", "z4"),
        unit="unit", time="time", cohort="cohort", cluster="unit",
    )  # fmt: skip
    reference = "Sant'Anna and Zhao (2020), Journal of Econometrics 219, section 4.1"

    effect: float = parameter(0.0, unit="outcome units")
    trend: float = dial(
        default=0, grid=(-0.2, -0.5, -2), within=(-100, 100), breaks="parallel trends",
        unit="outcome units by which the treated drift",
    )  # fmt: skip

    def truth(self) -> float:
        """Return the effect, the same for everybody."""
        return self.effect

    def driven_by_x(self) -> tuple[float, float]:
        """Return the shares of X, beside Z, in the outcome and in the index of the propensity."""
        raise NotImplementedError

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n units over both periods, rows sorted by unit and time."""
        x, v, e = rng.normal(size=(n, 4)), rng.normal(size=n), rng.normal(size=(n, 2))
        u = rng.random(n)
        z, (outcome, treatment) = observed(x), self.driven_by_x()
        f = regression((1 - outcome) * z + outcome * x)
        group = u < propensity((1 - treatment) * z + treatment * x)
        unit, time = np.indices((n, 2))
        d = (group[:, None] * time).astype(float)
        baseline = (1 + time) * f[:, None] + (group * f + v)[:, None] + self.trend * d + e
        effects = np.full((n, 2), self.effect)
        columns = {"y": baseline + effects * d, "d": d, "unit": unit, "time": time}
        rows = {name: column.ravel() for name, column in columns.items()}
        rows["cohort"] = np.repeat(group.astype(int), 2)
        rows |= {f"z{k}": np.repeat(z[:, k - 1], 2) for k in (1, 2, 3, 4)}
        return Draw(rows, baseline.ravel(), effects.ravel(), d.ravel() == 1)


@scenario("did/sant-anna-zhao-1")
class BothRight(SantAnnaZhao):
    """Design 1: what the analyst sees drives both outcome and treatment."""

    violates = ALWAYS

    outcome_misfit: float = dial(
        default=0, grid=(0.1, 0.5, 1.0), within=(0, 1), breaks=OUTCOME,
        unit="share of X in what drives the outcome, the rest is Z",
    )  # fmt: skip
    propensity_misfit: float = dial(
        default=0, grid=(0.25, 0.5, 1.0), within=(0, 1), breaks=PROPENSITY,
        unit="share of X in what drives the treatment, the rest is Z",
    )  # fmt: skip

    def driven_by_x(self) -> tuple[float, float]:
        """Return the dials."""
        return self.outcome_misfit, self.propensity_misfit


@scenario("did/sant-anna-zhao-2")
class OutcomeRight(SantAnnaZhao):
    """Design 2: a propensity that is logistic in Z is wrong."""

    violates = (PROPENSITY, *ALWAYS)

    def driven_by_x(self) -> tuple[float, float]:
        """Return that X drives the treatment."""
        return 0.0, 1.0


@scenario("did/sant-anna-zhao-3")
class PropensityRight(SantAnnaZhao):
    """Design 3: an outcome that is linear in Z is wrong."""

    violates = (OUTCOME, *ALWAYS)

    def driven_by_x(self) -> tuple[float, float]:
        """Return that X drives the outcome."""
        return 1.0, 0.0


@scenario("did/sant-anna-zhao-4")
class NeitherRight(SantAnnaZhao):
    """Design 4: neither model in Z is right; no method that uses them is valid."""

    violates = (OUTCOME, PROPENSITY, *ALWAYS)

    def driven_by_x(self) -> tuple[float, float]:
        """Return that X drives both."""
        return 1.0, 1.0
