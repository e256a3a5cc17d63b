"""A cold start in retail: a promotion's effect in a new store, with few rows of its own.

    Y_jr = a_j + effect_j D_jr + e_jr,   a_j, e_jr ~ N(0, 1),   P(D_jr = 1) = 1 / (1 + exp(-s a_j))
    effect_0 = effect + spread u_0,      effect_j = effect + gap + spread u_j,      u_j ~ N(0, 1)

with s = `selection`. Store 0 has just opened: `rows` rows are known of it, 20 to 500, and `history`
of each of the n - 1 other stores. The covariate `new` marks it. The estimand is the effect in the
new store, on the rows at hand (SATE): effect_0, drawn anew in each data set. Within a store
promotions come at random. Where they come more often sells more, so that a naive difference in
means over all rows is off by 0.4721, the mean difference in a_j between the two kinds of rows.

Whoever looks at the new store alone (no pooling) is right everywhere, with a standard error near
2 / sqrt(rows), 0.28 with 50. Pooling borrows from the other stores. What the dials do to it:
- `spread`: effects differ between stores. Complete pooling answers with the average effect of all:
  right on average, but its limits, made for one effect, cover less and less. Partial pooling learns
  the spread, and weighs by it; its limits stay honest.
- `gap`: the other stores' effects are higher by that much than what the new one's is drawn from.
  Complete and partial pooling take them for its like. With spread 0 both are off by nearly the
  whole gap, and pooling hurts.
"""

import numpy as np

from cibench import Draw, Estimand, Roles, Scenario, dial, parameter, scenario


@scenario("business/cold-start")
class ColdStart(Scenario):
    """Stores with many rows each and a new one with few; the effect in the new one is asked for."""

    estimand = Estimand.SATE
    roles = Roles(unit="store", covariates=("new",))
    reference = "Gelman and Hill (2007), chapter 12; Efron and Morris (1973), JASA 68"
    violates = ("no confounding",)

    effect: float = parameter(0.5, unit="s.d. of the error")
    rows: int = parameter(50, within=(20, 500), unit="rows of the new store")
    history: int = parameter(400, within=(8, 10_000), unit="rows of each other store")
    selection: float = parameter(
        0.5, within=(-5, 5), unit="log odds of a promotion per s.d. of a_j"
    )
    spread: float = dial(
        default=0, grid=(0.1, 0.25, 0.5), within=(0, 10), breaks="the same effect in every unit",
        unit="s.d. of the error, the s.d. of effects between stores",
    )  # fmt: skip
    gap: float = dial(
        default=0, grid=(0.25, 0.5, 1), within=(-10, 10), breaks="exchangeable units",
        unit="s.d. of the error by which the other stores' effects are higher",
    )  # fmt: skip

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n stores, the new one first, rows sorted by store."""
        sizes = np.where(np.arange(n) == 0, self.rows, self.history)
        store = np.repeat(np.arange(n), sizes)
        a, u = rng.normal(size=(2, n))
        e, chance = rng.normal(size=store.size), rng.random(store.size)
        d = (chance < 1 / (1 + np.exp(-self.selection * a[store]))).astype(float)
        new = store == 0
        effects = self.effect + self.spread * u[store] + self.gap * ~new
        baseline = a[store] + e
        columns = {"y": baseline + effects * d, "d": d, "store": store, "new": new.astype(float)}
        return Draw(columns, baseline, effects, new)
