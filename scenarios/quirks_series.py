"""One series: treatment and errors that hang together over time, in every shape of a time column.

    Y_t = effect D_t + e_t,   D_t = D_t-1 / 2 + u_t,   e_t = x_t + v_t,   v_t = v_t-1 / 2 + w_t

with u, w, x ~ N(0, 1), both series stationary. Least squares is right on average, and so is a naive
regression of levels; but errors that take rows for independent are too small: with x among the
covariates the coefficient's variance is (1 + r) / (1 - r) = 5/3 of what they say, r = 1/4 being the
product of both autocorrelations; without it 1 + (4/7) (2/3) = 1.38 times, since v has 4/7 of the
error's variance. Nothing breaks an assumption of errors that allow for it, by any kernel.

- `numbers`: doubles, single precision, or whole numbers (hundredths).
- `rows`: sorted by time, backwards, or shuffled.
- `labels`: periods 1, 2, ..., or dates of eight digits, which are no distances.
- `covariates`: x, or none at all.
"""

import numpy as np

from cibench import Draw, Estimand, Roles, Scenario, parameter, scenario
from cibench.model import Array

CHOICES = {
    "numbers": ("double", "single", "whole"),
    "rows": ("sorted", "backwards", "shuffled"),
    "labels": ("small", "dates"),
    "covariates": ("one", "none"),
}
"""The values that each parameter may take, the default first."""

MEMORY = 0.5


@scenario("quirks/series")
class Series(Scenario):
    """A time series whose errors hang together, and a time column of any form."""

    estimand = Estimand.COEFFICIENT
    roles = Roles(time="time", covariates=("x",))
    reference = "Newey and West (1987), Econometrica 55 (the errors that are right here)"
    violates = ("independent errors",)

    numbers: str = parameter("double", unit="double, single, whole")
    rows: str = parameter("sorted", unit="sorted, backwards, shuffled")
    labels: str = parameter("small", unit="small, dates")
    covariates: str = parameter("one", unit="one, none")

    def __post_init__(self) -> None:
        """Refuse a form that there is none of."""
        super().__post_init__()
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} = {getattr(self, name)!r} is none of {known}")

    def assigned_roles(self) -> Roles:
        """Return the roles; the covariate is there where it is asked for."""
        return Roles(time="time", covariates=("x",) if self.covariates == "one" else ())

    def truth(self) -> float:
        """Return the coefficient, the same in every period."""
        return 1.0

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n periods."""
        (u, w), x = rng.standard_normal((2, n)), rng.standard_normal(n)
        d, v, shuffled = _remembered(u), _remembered(w), rng.permutation(n)
        if self.numbers == "whole":
            d, v, x = (np.rint(100 * part) for part in (d, v, x))
        kind = {"double": float, "single": np.float32, "whole": np.int64}[self.numbers]
        order = {"sorted": np.arange(n), "backwards": np.arange(n)[::-1]}.get(self.rows, shuffled)
        drawn = {"y": x + v + d, "d": d, "x": x}
        columns = {name: column[order].astype(kind) for name, column in drawn.items()}
        columns["time"] = self._labelled(np.arange(n))[order]
        kept = {name: columns[name] for name in self.assigned_roles().columns}
        left = kept["y"].astype(float) - kept["d"].astype(float)
        return Draw(kept, left, np.ones(n))

    def _labelled(self, period: Array) -> Array:
        if self.labels == "small":
            return period + 1
        month, year = period % 12, period // 12
        return np.asarray(10_000 * (1900 + year) + 100 * (month + 1) + 1)


def _remembered(shocks: Array) -> Array:
    """Return a stationary series that keeps half of its last value."""
    series = shocks.copy()
    series[:1] /= np.sqrt(1 - MEMORY**2)
    for t in range(1, series.size):
        series[t] += MEMORY * series[t - 1]
    return series
