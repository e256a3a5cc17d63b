"""Difference in differences: two groups in a balanced panel, one date of adoption.

    Y_it = a_i + G_i gap + l_t + effect D_it + e_it,   D_it = G_i 1[t >= adoption]

Half of the n units form the treated group G. The errors have variance 1 in every period. A naive
difference in means between treated and untreated rows takes the gap between the groups for an
effect: a third of the untreated rows are the group's own earlier ones, so it is off by 2/3 of
`gap`, 0.667.

What the dials do to two-way fixed effects, with 4 periods before and 4 after adoption:
- `trend`: the group drifts by that much a period, with or without treatment. Off by 0.4 at 0.1.
- `shock`: from adoption on something else moves the group. Off by 0.5 at 0.5: nothing in the data
  tells it from an effect.
- `anticipation`: the group feels that share of the effect one period early. Off by -0.125 at 1.
- `spillover`: the others feel that share of the effect from adoption on. The baseline is the world
  where nobody is ever treated, and the ATT what the policy as a whole does to the treated, compared
  with that world. Off by -0.5 at 1, the whole effect.
- `rho`: e_it is an AR(1) process. Estimates stay centred, but errors that take a unit's rows for
  independent are too small: by a factor of 1.83 at 0.9.
"""

import numpy as np

from cibench import Draw, Estimand, Roles, Scenario, dial, parameter, scenario


@scenario("did/two-group")
class TwoGroup(Scenario):
    """Two groups, `periods` periods; the last `periods - adoption` of them are treated."""

    estimand = Estimand.ATT
    roles = Roles(unit="unit", time="time", cohort="cohort", cluster="unit")
    reference = "Bertrand, Duflo and Mullainathan (2004), QJE 119; Roth et al. (2023), JoE 235"
    violates = ("no confounding",)

    effect: float = parameter(0.5, unit="s.d. of the error")
    gap: float = parameter(1.0, unit="s.d. of the error")
    periods: int = parameter(8, within=(3, 1000), unit="periods")
    adoption: int = parameter(4, within=(2, 999), unit="first treated period, counted from 0")
    trend: float = dial(
        default=0, grid=(0.02, 0.05, 0.1), within=(-1, 1), breaks="parallel trends",
        unit="s.d. of the error a period by which the treated group drifts",
    )  # fmt: skip
    anticipation: float = dial(
        default=0, grid=(0.25, 0.5, 1.0), within=(-2, 2), breaks="no anticipation",
        unit="share of the effect felt one period early",
        felt="the treated group feels a share of its own effect in the period before adoption",
    )  # fmt: skip
    shock: float = dial(
        default=0, grid=(0.1, 0.2, 0.5), within=(-10, 10),
        breaks="no shock to the treated at treatment",
        unit="s.d. of the error that hit the treated group from adoption on",
    )  # fmt: skip
    spillover: float = dial(
        default=0, grid=(0.25, 0.5, 1.0), within=(-2, 2), breaks="no interference",
        unit="share of the effect felt by the other group from adoption on",
        felt="the untreated group feels a share of the effect while the treated are treated",
    )  # fmt: skip
    rho: float = dial(
        default=0, grid=(0.3, 0.6, 0.9), within=(-0.99, 0.99), breaks="independent errors",
        unit="autocorrelation of a unit's errors",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.adoption >= self.periods:
            raise ValueError(f"adoption = {self.adoption} lies after the last period")

    def truth(self) -> float:
        """Return the effect, the same for every treated unit and period."""
        return self.effect

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n units over all periods, rows sorted by unit and time."""
        shape = n, self.periods
        a, l, e = rng.normal(size=(n, 1)), rng.normal(size=self.periods), rng.normal(size=shape)  # noqa: E741
        for t in range(1, self.periods):
            e[:, t] = self.rho * e[:, t - 1] + np.sqrt(1 - self.rho**2) * e[:, t]
        unit, time = np.indices(shape)
        group = unit < n // 2
        d = (group & (time >= self.adoption)).astype(float)
        early, others = group & (time == self.adoption - 1), ~group & (time >= self.adoption)
        baseline = a + l + group * (self.gap + self.trend * time) + e + self.shock * d
        effects = np.full(shape, self.effect)
        spread = self.anticipation * early + self.spillover * others
        felt = effects * (d + spread)
        columns = {"y": baseline + felt, "d": d, "unit": unit, "time": time}
        columns["cohort"] = np.where(group, self.adoption, 0)
        rows = {name: column.ravel() for name, column in columns.items()}
        masks = d.ravel() == 1, felt.ravel(), spread.ravel() != 0
        return Draw(rows, baseline.ravel(), effects.ravel(), *masks)
