"""Survival: a trial with censoring, by Weibull times.

    T(0) = E^(1/shape),   T(1) = (E exp(-effect))^(1/(shape (1 + crossing))),   E ~ exponential
    log C = log(follow_up) + dependence log E + sqrt(1 - dependence^2) log E',   D a fair coin

The time min(T, C) is seen, and whether the event came first. At the defaults hazards are
proportional and e^-0.5 = 0.61 times as high with treatment, the mean time up to 1 is 0.11 longer,
and 38 % are censored; censoring tells nothing.

`dependence` is the correlation of log C with log T: who would die soon leaves soon, and whoever
takes the censored for typical of those at risk sees too long lives, in both arms: of their
difference little is left. Cox's coefficient is off by -0.12 at 0.6. `crossing` lets the hazards'
ratio change with time: there is no one hazard ratio then, and the truth is what Cox's model settles
on without censoring, which no censored sample shows; the restricted mean asks for no such thing.
"""

import numpy as np

from cibench import Draw, Estimand, Roles, Scenario, Target, dial, parameter, scenario
from cibench.model import Array

TAU = 1.0


@scenario("survival/weibull")
class Weibull(Scenario):
    """Times until an event in two arms, some of them censored."""

    estimand = (Estimand.RMST_DIFFERENCE(TAU), Estimand.RMST_RATIO(TAU), Estimand.LOG_HAZARD_RATIO)
    roles = Roles(event="event")
    reference = "Royston and Parmar (2013), BMC Medical Research Methodology 13, 152"

    effect: float = parameter(-0.5, within=(-2, 2), unit="log hazard ratio")
    shape: float = parameter(1.2, within=(0.3, 4), unit="Weibull shape")
    follow_up: float = parameter(2.0, within=(0.3, 20), unit="times, scale of the censoring")
    dependence: float = dial(
        default=0, grid=(0.3, 0.6), within=(-0.95, 0.95), breaks="independent censoring",
        unit="correlation of the logarithms of censoring and event times",
    )  # fmt: skip
    crossing: float = dial(
        default=0, grid=(0.5, 1.0), within=(-0.6, 2), breaks="proportional hazards",
        unit="relative change of the Weibull shape by treatment", truth="moves",
    )  # fmt: skip

    def truth(self) -> dict[Target, float]:
        """Return the estimands of the times at 200,000 evenly spaced quantiles."""
        points = (np.arange(200_000) + 0.5) / 200_000
        without, with_ = self._times(-np.log1p(-points))
        return {Target(e): e.value_of(with_, without) for e in self.estimand}

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n independent units."""
        own, other = rng.exponential(size=(2, n))
        d = rng.integers(0, 2, n).astype(float)
        without, with_ = self._times(own)
        rest = np.sqrt(1 - self.dependence**2)
        leaves = self.follow_up * np.exp(self.dependence * np.log(own) + rest * np.log(other))
        time = np.where(d == 1, with_, without)
        event = (time <= leaves).astype(int)
        columns = {"y": np.minimum(time, leaves), "d": d, "event": event}
        return Draw(columns, without, with_ - without, latent={"y": time})

    def _times(self, exponential: Array) -> tuple[Array, Array]:
        shapes = self.shape, self.shape * (1 + self.crossing)
        return exponential ** (1 / shapes[0]), (exponential * np.exp(-self.effect)) ** (
            1 / shapes[1]
        )
