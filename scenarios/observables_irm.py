"""Selection on observables: the interactive regression model of double machine learning.

    T = X'b / s.d.(X'b) ~ N(0, 1),   b_j = 1 / j^2,   X ~ N(0, 0.5^|j-k|), 20 columns
    D = 1[s (T + propensity_misfit q(T)) + a U + l > 0],   l ~ logistic,   q(t) = (t^2 - 1)/sqrt(2)
    Y(0) = E,   Y(1) = theta + T + outcome_misfit q(T) + E,   E = sqrt(r) U + sqrt(1 - r) E'

so that X explains half of what outcomes with treatment vary, as in DoubleML's make_irm_data. The
effects differ and their mean, the estimand, is theta. Those with a larger effect are likelier to be
treated: the naive difference in means is off by 0.444. In twenty dimensions nobody has a near
match.

The dials:
- `overlap`: the effective sample share of the treated, Kish's (sum w)^2 / (n sum w^2) for weights
  w = 1 / P(D = 1 | X). It is 2 / (1 + exp(s^2 / 2)) for large n, the same for the untreated, and
  sets s: 1.11 at the default of 0.7; DoubleML's design has s = 1.81 and a share of 0.324. Weighting
  stays consistent, but weights get so uneven that averages are far from normal at any usual n.
- `confounding`: an unobserved U has the partial R2 r with the latent index of treatment, a^2 =
  (pi^2 / 3) r / (1 - r), and with both potential outcomes, given X. Methods that go by X are off by
  E[E[E | D = 1, X] - E[E | D = 0, X]], 0.179 at 0.1.
- `outcome_misfit`: effects curved in T. Linear outcome models are off; weights are not.
- `propensity_misfit`: the index of treatment curved in T. Logistic weights are off; outcome models
  are not. Doubly robust methods bear either.
"""

import numpy as np

from cibench import Draw, Estimand, Roles, Scenario, dial, parameter, scenario

COVARIATES = tuple(f"x{j + 1}" for j in range(20))
WEIGHTS = 1 / np.arange(1, 21) ** 2
TOEPLITZ = 0.5 ** np.abs(np.subtract.outer(np.arange(20), np.arange(20)))
INDEX = WEIGHTS / np.sqrt(WEIGHTS @ TOEPLITZ @ WEIGHTS)


@scenario("observables/irm")
class Interactive(Scenario):
    """Twenty correlated covariates for a binary treatment whose effect they moderate."""

    estimand = Estimand.ATE
    roles = Roles(covariates=COVARIATES)
    reference = "Chernozhukov and others (2018), Econometrics Journal 21; DoubleML, make_irm_data"
    violates = ("no confounding", "constant effects", "close matches")

    theta: float = parameter(0.5, unit="s.d. of the error")
    overlap: float = dial(
        default=0.7, grid=(0.3, 0.1, 0.02), within=(0.001, 1.0), breaks="overlap",
        unit="effective sample share of the treated, by Kish",
    )  # fmt: skip
    confounding: float = dial(
        default=0, grid=(0.02, 0.05, 0.1), within=(0, 0.99), breaks="no unobserved confounding",
        unit="partial R2 of the confounder with the treatment's index, and with the outcomes",
    )  # fmt: skip
    outcome_misfit: float = dial(
        default=0, grid=(0.25, 0.5, 1.0), within=(-10, 10), breaks="outcome model correct",
        unit="s.d. of the error by which the effect is curved in the covariates",
    )  # fmt: skip
    propensity_misfit: float = dial(
        default=0, grid=(-0.25, -0.5, -1.0), within=(-10, 10), breaks="propensity model correct",
        unit="curved part of the index of treatment, in s.d. of its linear part",
    )  # fmt: skip

    def truth(self) -> float:
        """Return the mean effect; T and q(T) have mean zero."""
        return self.theta

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n independent units."""
        x, (u, e) = rng.standard_normal((20, n)), rng.standard_normal((2, n))
        noise = rng.logistic(size=n)
        for j in range(1, 20):
            x[j] = 0.5 * x[j - 1] + np.sqrt(0.75) * x[j]
        t, r = INDEX @ x, self.confounding
        curved = (t**2 - 1) / np.sqrt(2)
        steep = np.sqrt(2 * np.log(2 / self.overlap - 1))
        pull = np.sqrt(np.pi**2 / 3 * r / (1 - r))
        d = (steep * (t + self.propensity_misfit * curved) + pull * u + noise > 0).astype(float)
        baseline = np.sqrt(r) * u + np.sqrt(1 - r) * e
        effects = self.theta + t + self.outcome_misfit * curved
        columns = {"y": baseline + effects * d, "d": d, **dict(zip(COVARIATES, x, strict=True))}
        return Draw(columns, baseline, effects)
