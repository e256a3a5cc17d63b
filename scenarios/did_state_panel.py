"""Difference in differences with serially correlated errors: placebo laws in a state panel.

    Y_st = a_s + l_t + trend G_s t + effect D_st + e_st,    e_st = rho e_s,t-1 + ...,  Var e = 1,
    D_st = G_s 1[t >= date],   date uniform on 6, ..., 16,   t = 0, ..., 20

After Bertrand, Duflo and Mullainathan (2004): n states over 21 years, a share of them (`treated`,
here half, at least one) pass a law on one date that is drawn anew in each data set. The law does
nothing (effect 0). Estimates are centred, so a naive difference in means is off by 0 on average;
what fails are standard errors.

What the dials do to two-way fixed effects:
- `rho`: errors are correlated over the years. At a nominal 5 % least squares, which take them for
  independent, find an effect in 0.373 of the data sets at 0.8, 0.19 at 0.4, 0.053 at 0 and 0.008
  at -0.4 (published, at most 400 data sets each). Errors clustered by state are honest with many
  states, not with few, and less so with few treated ones: see n and `treated`.
- `trend`: states with the law drift by that much a year. Off by 10.5 trend, 0.525 at 0.05.
"""

import numpy as np

from cibench import Draw, Estimand, Roles, Scenario, dial, parameter, scenario

YEARS = 21
DATES = 6, 16


@scenario("did/state-panel")
class StatePanel(Scenario):
    """States are the clusters: their number is n, `treated` the share of them with the law."""

    estimand = Estimand.ATT
    roles = Roles(unit="unit", time="time", cohort="cohort", cluster="unit")
    reference = "Bertrand, Duflo and Mullainathan (2004), QJE 119, table II"

    effect: float = parameter(0.0, unit="s.d. of the error")
    treated: float = parameter(0.5, within=(0, 1), unit="share of states with the law")
    rho: float = dial(
        default=0, grid=(-0.4, 0.4, 0.8), within=(-0.99, 0.99), breaks="independent errors",
        unit="autocorrelation of a state's errors",
    )  # fmt: skip
    trend: float = dial(
        default=0, grid=(0.01, 0.02, 0.05), within=(-1, 1), breaks="parallel trends",
        unit="s.d. of the error a year by which states with the law drift",
    )  # fmt: skip

    def truth(self) -> float:
        """Return the effect, the same for every state and year."""
        return self.effect

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n states over all years, rows sorted by unit and time."""
        a, l, e = (rng.normal(size=size) for size in ((n, 1), YEARS, (n, YEARS)))  # noqa: E741
        date = rng.integers(DATES[0], DATES[1], endpoint=True)
        for t in range(1, YEARS):
            e[:, t] = self.rho * e[:, t - 1] + np.sqrt(1 - self.rho**2) * e[:, t]
        unit, time = np.indices((n, YEARS))
        group = unit < max(1, round(self.treated * n))
        d = (group & (time >= date)).astype(float)
        baseline = a + l + self.trend * group * time + e
        effects = np.full(baseline.shape, self.effect)
        columns = {"y": baseline + effects * d, "d": d, "unit": unit, "time": time}
        columns["cohort"] = np.where(group, date, 0)
        rows = {name: column.ravel() for name, column in columns.items()}
        return Draw(rows, baseline.ravel(), effects.ravel(), d.ravel() == 1)
