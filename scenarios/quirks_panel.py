"""The plain staggered panel, in every shape that a panel comes in.

    Y_it = a_i + l_t + effect D_it + e_it,   D_it = 1[t >= G_i],   a, l, e ~ N(0, 1),  effect = 2

Six periods, a third of the units each adopt in the third or in the fourth, a third never; the
effect is one for all, so that every weighting of it is the ATT. Nothing here breaks an
assumption; the parameters change the form of the data alone:
- `numbers`: doubles, single precision, or whole numbers (the outcome rounded, in tenths).
- `rows`: sorted by unit and time, backwards, or shuffled.
- `missing`: no row; the last period of every fifth unit (unbalanced); or an untreated period
  between others of every fifth unit (gaps).
- `lonely`: besides the others a cohort of one unit, which adopts in the fifth period.
- `labels`: units 0, 1, ... and periods 1, ..., 6, or identity numbers of ten digits and years.
- `clusters`: the units; twelve groups in which units are nested; or
  crossed, a group per period and half of the units, through which every unit moves.

A naive comparison of treated and untreated rows is off by the l_t, by 0 on average. Errors are
independent, so that clusters of any kind are honest, as far as they are many.
"""

import numpy as np

from cibench import Draw, Estimand, Roles, Scenario, parameter, scenario
from cibench.model import Array

CHOICES = {
    "numbers": ("double", "single", "whole"),
    "rows": ("sorted", "backwards", "shuffled"),
    "missing": ("none", "unbalanced", "gaps"),
    "lonely": (False, True),
    "labels": ("small", "large"),
    "clusters": ("unit", "nested", "crossed"),
}
"""The values that each parameter may take, the default first."""

PERIODS, GROUPS = 6, 12
COHORTS = np.array([3, 4, 0])


@scenario("quirks/panel")
class Panel(Scenario):
    """A short panel with two cohorts, and rows, labels and clusters of any form."""

    estimand = Estimand.ATT
    reference = "no paper: a plain design in awkward forms"
    violates = ("many clusters", "many periods", "adoption at random")

    numbers: str = parameter("double", unit="double, single, whole")
    rows: str = parameter("sorted", unit="sorted, backwards, shuffled")
    missing: str = parameter("none", unit="none, unbalanced, gaps")
    lonely: bool = False
    labels: str = parameter("small", unit="small, large")
    clusters: str = parameter("unit", unit="unit, nested, crossed")

    def __post_init__(self) -> None:
        """Refuse a form that there is none of."""
        super().__post_init__()
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} = {getattr(self, name)!r} is none of {known}")

    def assigned_roles(self) -> Roles:
        """Return the roles; the unit is the cluster unless there are groups."""
        cluster = "unit" if self.clusters == "unit" else "group"
        return Roles(unit="unit", time="time", cohort="cohort", cluster=cluster)

    def truth(self) -> float:
        """Return the effect, in units of the outcome."""
        return 20.0 if self.numbers == "whole" else 2.0

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n units over six periods."""
        a, l, e = (rng.normal(size=size) for size in ((n, 1), PERIODS, (n, PERIODS)))  # noqa: E741
        shuffled = rng.permutation(n * PERIODS)
        unit, period = (index.ravel() for index in np.indices((n, PERIODS)))
        cohort = COHORTS[unit % 3]
        if self.lonely and n > 3:
            cohort = np.where(unit == n - 1, 5, cohort)
        d = ((cohort > 0) & (period + 1 >= cohort)).astype(float)
        baseline, effect = (a + l + e).ravel(), self.truth()
        if self.numbers == "whole":
            baseline = np.rint(10 * baseline)
        group = unit % GROUPS if self.clusters == "nested" else 2 * period + unit % 2
        kept = self._order(shuffled, self._kept(unit, period))
        columns = {
            "y": baseline + effect * d, "d": d, **self._labelled(unit, period + 1, cohort),
            "group": group,
        }  # fmt: skip
        shown = {k: self._typed(k, columns[k][kept]) for k in self.assigned_roles().columns}
        effects = np.full(kept.size, effect)
        left = shown["y"].astype(float) - effect * d[kept]
        return Draw(shown, left, effects, target=d[kept] == 1)

    def _kept(self, unit: Array, period: Array) -> Array:
        lost = {"none": -1, "unbalanced": PERIODS - 1, "gaps": 1}[self.missing]
        return np.asarray(~((unit % 5 == 4) & (period == lost)))

    def _order(self, shuffled: Array, kept: Array) -> Array:
        order = {"sorted": np.arange(kept.size), "backwards": np.arange(kept.size)[::-1]}
        rows = order.get(self.rows, shuffled)
        return np.asarray(rows[kept[rows]])

    def _labelled(self, unit: Array, time: Array, cohort: Array) -> dict[str, Array]:
        if self.labels == "small":
            return {"unit": unit, "time": time, "cohort": cohort}
        years = np.where(cohort > 0, cohort + 1999, 0)
        return {"unit": 3_000_000_019 + 7 * unit, "time": time + 1999, "cohort": years}

    def _typed(self, name: str, column: Array) -> Array:
        if name not in ("y", "d"):
            return column
        return column.astype({"double": float, "single": np.float32, "whole": int}[self.numbers])
