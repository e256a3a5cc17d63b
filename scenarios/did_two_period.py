"""Difference in differences: two groups, two periods and a covariate that does not change.

    Y_it = a_i + l_t + G_i gap + x_i + 1[t = 1] (covariate_trend x_i + trend G_i)
           + effect D_it + e_it,      D_it = G_i 1[t = 1],   x_i ~ N(G_i imbalance, 1)

Half of the n units form the treated group G, in which x is higher by `imbalance`: the propensity of
treatment is logistic in x. A naive difference in means between treated and untreated rows takes the
gap between the groups for an effect: a third of the untreated rows are the group's own earlier
ones, so it is off by 2/3 (gap + imbalance), 1.333.

What the dials do to two-way fixed effects without covariates:
- `trend`: the treated group would have changed by that much more. Off by 0.5 at 0.5.
- `covariate_trend`: who has a higher x changes by more, and that is the treated. Off by 0.5 at 0.5;
  methods that compare units of equal x are not.
- `anticipation`: the group feels that share of the effect in period 0. Off by -0.5 at 1.
- `spillover`: the others feel that share in period 1. The baseline is the world where nobody is
  ever treated, and the ATT what the policy as a whole does to the treated, compared with that
  world. Off by -0.5 at 1, the whole effect.
A shock to the treated in period 1 would be the same as a trend: see did/two-group for both.
"""

import numpy as np

from cibench import Draw, Estimand, Roles, Scenario, dial, parameter, scenario


@scenario("did/two-period")
class TwoPeriod(Scenario):
    """Two groups before and after; trends may depend on a covariate that differs by group."""

    estimand = Estimand.ATT
    roles = Roles(covariates=("x",), unit="unit", time="time", cohort="cohort", cluster="unit")
    reference = "Roth, Sant'Anna, Bilinski and Poe (2023), JoE 235, sections 2 and 4"
    violates = ("no confounding",)

    effect: float = parameter(0.5, unit="s.d. of the error")
    gap: float = parameter(1.0, unit="s.d. of the error")
    imbalance: float = parameter(1.0, unit="s.d. of x by which the treated group's x is higher")
    trend: float = dial(
        default=0, grid=(0.1, 0.2, 0.5), within=(-10, 10), breaks="parallel trends",
        unit="s.d. of the error by which the treated group drifts",
    )  # fmt: skip
    covariate_trend: float = dial(
        default=0, grid=(0.1, 0.2, 0.5), within=(-10, 10),
        breaks="trends do not depend on covariates",
        unit="s.d. of the error by which a unit drifts for one s.d. of x",
    )  # fmt: skip
    anticipation: float = dial(
        default=0, grid=(0.25, 0.5, 1.0), within=(-2, 2), breaks="no anticipation",
        unit="share of the effect felt one period early",
        felt="the treated group feels a share of its own effect in the period before adoption",
    )  # fmt: skip
    spillover: float = dial(
        default=0, grid=(0.25, 0.5, 1.0), within=(-2, 2), breaks="no interference",
        unit="share of the effect felt by the other group from adoption on",
        felt="the untreated group feels a share of the effect while the treated are treated",
    )  # fmt: skip

    def truth(self) -> float:
        """Return the effect, the same for every treated unit."""
        return self.effect

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n units over both periods, rows sorted by unit and time."""
        a, u, l, e = (rng.normal(size=s) for s in ((n, 1), (n, 1), 2, (n, 2)))  # noqa: E741
        unit, time = np.indices((n, 2))
        group = unit < n // 2
        x = u + self.imbalance * group
        d = (group & (time == 1)).astype(float)
        drift = time * (self.covariate_trend * x + self.trend * group)
        baseline = a + l + group * self.gap + x + drift + e
        effects = np.full((n, 2), self.effect)
        spread = self.anticipation * (group * (1 - time)) + self.spillover * (~group * time)
        felt = effects * (d + spread)
        columns = {"y": baseline + felt, "d": d, "x": x, "unit": unit, "time": time}
        rows = {name: column.ravel() for name, column in columns.items()}
        rows["cohort"] = group.ravel().astype(int)
        masks = d.ravel() == 1, felt.ravel(), spread.ravel() != 0
        return Draw(rows, baseline.ravel(), effects.ravel(), *masks)
