"""Difference in differences with staggered adoption: three cohorts, 1980 to 2015.

    Y_it = a_i + l_t + gap (3 - c_i) + trend (t - 1980) 1[c_i < 2] + effect_it D_it + noise e_it,
    effect_it = effect - heterogeneity c_i + growth (t - g_i),    D_it = 1[t >= g_i]

After Baker, Larcker and Wang (2022): of 50 units 17 adopt in 1989 (c = 0), 18 in 1998 (c = 1) and
15 in 2007 (c = 2). Other n are split in the same shares, rounded to whole units, after a share
`never` that does not adopt at all (c = 3). `truth_at(n)` weighs the cohorts by the rounded numbers;
an n so small that nobody is left whose effect is asked for is refused.

The estimand is the average effect over the treated unit-years in which some unit is untreated:
those before 2007, or all of them where some never adopt. With `everywhere` it is the average over
all treated unit-years in any case; without never-treated units those from 2007 on can only be
learnt by assuming what effects are like. The same holds for the effects k years after adoption, k
from 0 to `horizons`: up to 8, every cohort that counts has them.

A naive difference in means between treated and untreated rows takes the gaps between the cohorts
for an effect: it is off by 0.319. What the dials do to two-way fixed effects, which compare late
adopters with early ones as if the effects on those stood still:
- `heterogeneity`: each cohort's effect is lower by that much than the one before. At 0.2 effects
  are 0.5, 0.3 and 0.1 and the answer is 0.302620; the ATT is 0.430769, over all treated unit-years
  0.370588.
- `growth`: effects grow with each year since adoption. Off by -0.375 at 0.05 (the ATT is 0.847).
- `trend`: the first two cohorts drift away from the others. Off by 0.088 at 0.05 a year.
- `anticipation`: units feel that share of their effect in the year before adoption. Off by -0.067
  at 1. What is measured from that year on is off by -0.500, the whole effect.
"""

import numpy as np
from numpy.typing import NDArray

from cibench import Draw, Estimand, Roles, Scenario, Target, dial, parameter, scenario

Floats = NDArray[np.float64]
YEARS = np.arange(1980, 2016)
ADOPTED = np.array([1989, 1998, 2007, 9999])
SHARES = np.array([17, 18, 15]) / 50
COHORTS = np.arange(4)[:, None]
SINCE = YEARS - ADOPTED[:, None]


@scenario("did/staggered")
class Staggered(Scenario):
    """Three cohorts over 36 years, with or without units that never adopt."""

    estimand = Estimand.ATT
    roles = Roles(unit="unit", time="time", cohort="cohort", cluster="unit")
    reference = "Baker, Larcker and Wang (2022), JFE 144; Goodman-Bacon (2021), JoE 225"
    violates = ("no confounding",)

    effect: float = parameter(0.5, unit="s.d. of the error, the first cohort's at adoption")
    gap: float = parameter(0.5, unit="s.d. of the error by which a cohort stands above the next")
    noise: float = parameter(1.0, within=(0, 100), unit="s.d. of the error")
    never: float = parameter(0.0, within=(0, 0.99), unit="share of units that never adopt")
    everywhere: bool = parameter(False, unit="average over all treated unit-years if true")
    horizons: int = parameter(8, within=(0, 17), unit="last year after adoption that is asked for")
    heterogeneity: float = dial(
        default=0, grid=(0.05, 0.1, 0.2), within=(-10, 10), breaks="constant effects",
        unit="s.d. of the error by which a cohort's effect is lower than the last one's",
        truth="moves",
    )  # fmt: skip
    growth: float = dial(
        default=0, grid=(0.01, 0.02, 0.05), within=(-1, 1), breaks="constant effects",
        unit="s.d. of the error a year by which effects grow after adoption", truth="moves",
    )  # fmt: skip
    trend: float = dial(
        default=0, grid=(0.01, 0.02, 0.05), within=(-1, 1), breaks="parallel trends",
        unit="s.d. of the error a year by which the first two cohorts drift",
    )  # fmt: skip
    anticipation: float = dial(
        default=0, grid=(0.25, 0.5, 1.0), within=(-2, 2), breaks="no anticipation",
        unit="share of the effect felt one year early",
        felt="units feel a share of their own effect in the year before they adopt",
    )  # fmt: skip

    def targets(self) -> tuple[Target, ...]:
        """Return the ATT over all years and k years after adoption."""
        later = (Target(Estimand.ATT, k) for k in range(self.horizons + 1))
        return Target(Estimand.ATT), *later

    def truth(self) -> dict[Target, float]:
        """Return averages of the cells' effects, weighted by the cohorts' shares."""
        return self._averages(np.append(SHARES, 0))

    def truth_at(self, n: int) -> dict[Target, float]:
        """Return the same averages, weighted by the numbers of units that adopt among n."""
        return self._averages(self._sizes(n).astype(float))

    def _averages(self, weights: Floats) -> dict[Target, float]:
        effects = self._effects()
        cells = {t: weights[:, None] * marked for t, marked in self._counted().items()}
        return {t: float((effects * w).sum() / w.sum()) for t, w in cells.items()}

    def _sizes(self, n: int) -> NDArray[np.int_]:
        """Return how many of n units are in each cohort; raises ValueError where too few are."""
        ends = np.round(np.cumsum(SHARES) * (1 - self.never) * n).astype(int)
        sizes = np.diff(ends, prepend=0, append=n)
        for target, marked in self._counted().items():
            if not sizes[marked.any(axis=1)].any():
                raise ValueError(f"n = {n}: in these shares no unit is left for {target}")
        return sizes

    def _effects(self) -> Floats:
        growing = self.growth * np.maximum(SINCE, 0)
        return np.asarray(self.effect - self.heterogeneity * COHORTS + growing)

    def _counted(self) -> dict[Target, NDArray[np.bool_]]:
        """Return the cells, cohorts by years, that each target averages over."""
        alone = self.never == 0 and not self.everywhere
        cells = (SINCE >= 0) & (SINCE[2] < 0) if alone else SINCE >= 0
        later = {t: cells & (t.horizon == SINCE) for t in self.targets()[1:]}
        return {Target(Estimand.ATT): cells, **later}

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n units over all years, rows sorted by unit and time."""
        shape = n, YEARS.size
        a, l, e = rng.normal(size=(n, 1)), rng.normal(size=YEARS.size), rng.normal(size=shape)  # noqa: E741
        cohort = np.repeat(np.arange(4), self._sizes(n))
        drift = self.trend * (YEARS - YEARS[0]) * (COHORTS < 2)
        untreated = self.gap * (3 - COHORTS) + drift
        baseline = a + l + untreated[cohort] + self.noise * e
        d, early = SINCE >= 0, self.anticipation * (SINCE == -1)
        effects = self._effects()
        felt = (effects * (d + early))[cohort]
        rows = {"y": baseline + felt, "d": d[cohort].astype(float)}
        rows["unit"], rows["time"] = np.indices(shape)
        rows["time"] = rows["time"] + YEARS[0]
        rows["cohort"] = np.repeat(np.where(cohort < 3, ADOPTED[cohort], 0), YEARS.size)
        return Draw(
            {name: column.ravel() for name, column in rows.items()},
            baseline.ravel(), effects[cohort].ravel(),
            {target: marked[cohort].ravel() for target, marked in self._counted().items()},
            felt.ravel(), (early != 0)[cohort].ravel(),
        )  # fmt: skip
