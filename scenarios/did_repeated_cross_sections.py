"""Difference in differences on repeated cross-sections: other people before and after.

    Y_i = l_t + gap G_i + slope x_i + trend G_i t_i + effect D_i + e_i,    D_i = G_i t_i,
    x_i ~ N(imbalance G_i + composition G_i t_i, 1)

Each of the n rows is a person met once, a quarter of them in each group G and period t. Nobody can
be compared with their own past, only a group with its past. A naive difference in means between
treated and untreated rows takes the gap between the groups for an effect: a third of the untreated
are of the treated group, so it is off by 2/3 (gap + slope imbalance), 1.000.

What the dials do to the difference in differences of the four means:
- `composition`: those sampled of the treated group in period 1 have a higher x than those sampled
  before, whether or not anybody is treated. Off by slope composition, 0.5 at 0.5; a regression that
  also holds x is not. The ATT is that of those sampled in period 1.
- `trend`: the treated group would have changed by that much more. Off by 0.5 at 0.5.
"""

import numpy as np

from cibench import Draw, Estimand, Roles, Scenario, dial, parameter, scenario


@scenario("did/repeated-cross-sections")
class RepeatedCrossSections(Scenario):
    """Two groups, two periods, every row another person; n counts rows."""

    estimand = Estimand.ATT
    roles = Roles(covariates=("x",), time="time", cohort="cohort")
    reference = "Hong (2013), Journal of Applied Econometrics 28; Sant'Anna and Xu (2023)"
    violates = ("no confounding",)

    effect: float = parameter(0.5, unit="s.d. of the error")
    gap: float = parameter(1.0, unit="s.d. of the error")
    imbalance: float = parameter(0.5, unit="s.d. of x by which the treated group's x is higher")
    slope: float = parameter(1.0, unit="s.d. of the error for one s.d. of x")
    composition: float = dial(
        default=0, grid=(0.1, 0.2, 0.5), within=(-10, 10), breaks="stable composition",
        unit="s.d. of x by which those sampled of the treated group move",
    )  # fmt: skip
    trend: float = dial(
        default=0, grid=(0.1, 0.2, 0.5), within=(-10, 10), breaks="parallel trends",
        unit="s.d. of the error by which the treated group drifts",
    )  # fmt: skip

    def truth(self) -> float:
        """Return the effect, the same for everybody."""
        return self.effect

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n rows; group and period take turns, so that the four cells are of equal size."""
        l, u, e = rng.normal(size=2), rng.normal(size=n), rng.normal(size=n)  # noqa: E741
        time, group = np.arange(n) % 2, np.arange(n) // 2 % 2
        d = (group * time).astype(float)
        x = u + self.imbalance * group + self.composition * d
        baseline = l[time] + self.gap * group + self.slope * x + self.trend * d + e
        effects = np.full(n, self.effect)
        columns = {"y": baseline + effects * d, "d": d, "x": x, "time": time, "cohort": group}
        return Draw(columns, baseline, effects, d == 1)
