"""Repeated cross-sections whose trends depend on a covariate, and how it does.

    Y_i = l_t + gap G_i + slope x_i + t_i (drift x_i + misfit (x_i^2 - 1) / sqrt(2)) + effect D_i
          + e_i,      D_i = G_i t_i,      x_i ~ N(imbalance G_i, 1),      l, e ~ N(0, 1)

Each of the n rows is a person met once, a quarter of them in each group G and period t. Those of
the treated group have a higher x, and outcomes of people with a higher x grow faster: trends are
parallel given x, and given x alone. Whether somebody is of the treated group goes by x as a
logistic line says, exactly. With `covariate` = "factor" x is a whole number instead, 0, 1 or 2,
with the odds 1 : exp(imbalance) : exp(2 imbalance) among the treated and alike among the others,
and the analyst sees two columns of zeros and ones: a model with both is right whatever the misfit.
There the naive bias is 2/3 (gap + slope m + drift) + drift m, m = 0.458 being the difference in
means.

A naive difference in means between treated and untreated rows takes the gap between the groups for
an effect, and the trend: it is off by 2/3 (gap + slope imbalance) + drift imbalance, 1.542. The
difference in differences of the four means is off by drift imbalance, 0.375.

- `misfit`: the trend is curved in x. A line in x for the trends of the untreated is off by
  imbalance^2 misfit / sqrt(2), 0.199 at 0.5; weights by the propensity are not, nor
  is who has both.
"""

import numpy as np

from cibench import Draw, Estimand, Roles, Scenario, dial, parameter, scenario
from cibench.model import Array


@scenario("did/conditional-cross-sections")
class ConditionalCrossSections(Scenario):
    """Two groups, two periods, other people in each, and trends that go by a covariate."""

    estimand = Estimand.ATT
    reference = "Sant'Anna and Zhao (2020), Journal of Econometrics 219, section 2.2"
    violates = ("no confounding", "trends do not depend on covariates")

    effect: float = parameter(0.5, unit="s.d. of the error")
    gap: float = parameter(1.0, unit="s.d. of the error")
    imbalance: float = parameter(0.75, unit="s.d. of x by which the treated group's x is higher")
    slope: float = parameter(1.0, unit="s.d. of the error for one s.d. of x")
    drift: float = parameter(0.5, unit="s.d. of the error that one s.d. of x adds to the trend")
    covariate: str = parameter("continuous", unit="continuous, factor")
    misfit: float = dial(
        default=0, grid=(0.1, 0.2, 0.5), within=(-10, 10), breaks="outcome model correct",
        unit="s.d. of the error by which the trend is curved in x",
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Refuse a covariate that there is none of."""
        super().__post_init__()
        if self.covariate not in {"continuous", "factor"}:
            raise ValueError(f"covariate = {self.covariate!r} is neither continuous nor factor")

    def assigned_roles(self) -> Roles:
        """Return the roles; a factor is shown as columns for its second and third level."""
        covariates = ("x",) if self.covariate == "continuous" else ("second", "third")
        return Roles(covariates=covariates, time="time", cohort="cohort")

    def truth(self) -> float:
        """Return the effect, the same for everybody."""
        return self.effect

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n rows; group and period take turns, so that the four cells are of equal size."""
        l, e = rng.normal(size=2), rng.normal(size=n)  # noqa: E741
        time, group = np.arange(n) % 2, np.arange(n) // 2 % 2
        d = (group * time).astype(float)
        x = self._covariate(n, group, rng)
        trend = self.drift * x + self.misfit * (x**2 - 1) / np.sqrt(2)
        baseline = l[time] + self.gap * group + self.slope * x + time * trend + e
        effects = np.full(n, self.effect)
        shown = {"x": x} if self.covariate == "continuous" else {
            "second": (x == 1).astype(float), "third": (x == 2).astype(float),
        }  # fmt: skip
        columns = {"y": baseline + effects * d, "d": d, **shown, "time": time, "cohort": group}
        return Draw(columns, baseline, effects, d == 1)

    def _covariate(self, n: int, group: Array, rng: np.random.Generator) -> Array:
        if self.covariate == "continuous":
            return np.asarray(rng.normal(size=n) + self.imbalance * group)
        odds = np.exp(self.imbalance * np.outer([0, 1], np.arange(3)))
        below = np.cumsum(odds / odds.sum(1, keepdims=True), axis=1)
        return np.asarray((rng.random(n)[:, None] > below[group, :2]).sum(1).astype(float))
