"""Selection on observables, and neighbours who feel each other's treatment.

    D_i = 1[X_i + l_i > 0],   l ~ logistic,   X ~ N(0, 1)
    Y_i = X_i + E_i + effect D_i + spillover effect (1 - D_i) S_i,   E ~ N(0, 1)

Units live on a ring, and S_i is the share of treated among unit i's two neighbours. The baseline
is the world where nobody is treated. Treatment adds `effect` to whoever gets it, and the estimand
(ATE) is what it adds to a unit while nobody else is treated. Under `spillover` an untreated unit
feels that share of the effect if both neighbours are treated and half of it if one is; the treated,
who have it all already, feel nothing from others. So y is the baseline plus what was felt, and unit
by unit it is not baseline + effect D.

Half of the units are treated, whatever those next to them do: methods that go by X take a world in
which half of everybody's neighbours are treated for one without treatment, and are off by
-spillover effect / 2, -0.25 at 0.5. The naive difference in means is off by 0.826 at the default.
Adjusting for X leaves the errors of units that share a neighbour a little correlated, too.
"""

import numpy as np

from cibench import Draw, Estimand, Roles, Scenario, dial, parameter, scenario


@scenario("observables/neighbours")
class Neighbours(Scenario):
    """One covariate, a constant effect, and units on a ring in the order of the rows."""

    estimand = Estimand.ATE
    roles = Roles(covariates=("x",))
    reference = "Hudgens and Halloran (2008), JASA 103; Forastiere and others (2021), JASA 116"
    violates = ("no confounding",)

    effect: float = parameter(1.0, unit="s.d. of the error")
    spillover: float = dial(
        default=0, grid=(0.1, 0.25, 0.5), within=(-2, 2), breaks="no interference",
        unit="share of the effect felt by the untreated with two treated neighbours",
        felt="the untreated feel a share of the effect in proportion to their treated neighbours",
    )  # fmt: skip

    def truth(self) -> float:
        """Return the effect, the same for every unit."""
        return self.effect

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n units, the last a neighbour of the first."""
        (x, e), noise = rng.standard_normal((2, n)), rng.logistic(size=n)
        d = (x + noise > 0).astype(float)
        around = (np.roll(d, 1) + np.roll(d, -1)) / 2
        from_others = self.spillover * self.effect * (1 - d) * around
        baseline, effects = x + e, np.full(n, self.effect)
        felt = effects * d + from_others
        return Draw(
            {"y": baseline + felt, "d": d, "x": x}, baseline, effects,
            felt=felt, exposed=from_others != 0,
        )  # fmt: skip
