"""Several arms: a trial of four treatments against none, with effects that differ by group.

    Y(k) = e_k (1 + spread (2 G - 1)) + X / 2 + noise,   X, noise ~ N(0, 1),  G ~ Bernoulli(1/2)
    e = (0, 0.1, 0.2, 0.3, 0.4) effect

Every unit is in each of five arms with the chance of a fifth. The targets are the effect of every
arm against the first, of all units and of both groups: twelve means, of which one method answers
all, so that their limits can be asked to hold at once.

`selection` lets units choose: the log odds of every treated arm against the first grow by it per
unit of X, which raises outcomes, so that a comparison of means is off. With the covariate
adjusted for, it is not.
"""

import numpy as np

from cibench import Draw, Estimand, Roles, Scenario, Target, dial, parameter, scenario
from cibench.model import Array
from cibench.model.types import Arm

SHARES = (0.1, 0.2, 0.3, 0.4)


@scenario("arms/trial")
class Trial(Scenario):
    """Four treatments and a control, with two groups."""

    estimand = Estimand.ATE
    roles = Roles(covariates=("x",), group="g")
    reference = "Dunnett (1955), Journal of the American Statistical Association 50"

    effect: float = parameter(1.0, unit="s.d. of the noise, in the best arm 0.4 of it")
    spread: float = parameter(0.5, within=(-1, 1), unit="share of an arm's effect")
    selection: float = dial(
        default=0, grid=(0.5, 1.0), within=(0, 3), breaks="no confounding",
        unit="log odds of every treated arm per s.d. of X",
    )  # fmt: skip

    def targets(self) -> tuple[Target, ...]:
        """Return every arm against the first, of all units and of each group."""
        return tuple(
            Target(Estimand.ATE, group=group, contrast=(arm, 0))
            for group in (None, "0", "1")
            for arm in range(1, 5)
        )

    def truth(self) -> dict[Target, float]:
        """Return the effects, which a group's sign of `spread` raises or lowers."""
        sign = {None: 0, "0": -1, "1": 1}
        return {
            t: self.effect * share * (1 + self.spread * sign[t.group])
            for t, share in zip(self.targets(), 3 * SHARES, strict=True)
        }

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n independent units."""
        x, noise = rng.standard_normal((2, n))
        chance, coin = rng.random((2, n))
        g = (coin < 0.5).astype(int)
        odds = np.exp(self.selection * x)
        above = (chance * (1 + 4 * odds) - 1) / odds  # uniform from 0 to 4 among the treated
        d = np.where(above < 0, 0, 1 + np.clip(above, 0, 3.999).astype(int))
        own = x / 2 + noise
        part = self.effect * (1 + self.spread * (2 * g - 1))
        arms: dict[Arm, Array] = {
            0: own,
            **{k: own + share * part for k, share in enumerate(SHARES, 1)},
        }
        y = np.choose(d, list(arms.values()))
        groups = {
            t: np.ones(n, bool) if t.group is None else g == int(t.group) for t in self.targets()
        }
        return Draw.of_arms({"y": y, "d": d, "x": x, "g": g}, arms, target=groups)
