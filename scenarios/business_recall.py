"""A product recall: one product of a category is called back, in all stores, on a known date.

    Y_ist = a_is + s_st + w_t + gap G_i + e_ist + effect_t G_i P_t,
    effect_t = depth 2^(-(t - recall) / half_life),                 P_t = 1[t >= recall]

Y is log weekly sales of product i in store s. The first of the `products` is recalled (G = 1), the
next `substitutes` serve the same need, the others do not. A unit is a product in a store; n units
are n / products stores, the last with part of the range. a, s, w and e are normal with s.d. 0.5,
0.1, 0.2 and 0.5. Sales drop by `depth` at the recall and recover along a curve that halves what is
missing every `half_life` weeks. The estimand is the average over the product's weeks from the
recall on, -0.2750, and the effect in each of them.

A naive difference in means takes the best-seller's lead for an effect: one in 19 untreated rows is
its own earlier one, so that it is off by 18/19 of `gap`, 0.947. Effects change from week to week;
with one date two-way fixed effects average them all the same.

What the dials do to differences in differences, with 12 weeks before and 12 after:
- `substitution`: each substitute gains that share of what the product loses. The baseline is the
  world without a recall, and the ATT what the recall as a whole does to the product, compared with
  that world. Off by substitution 3/9 of the ATT, -0.0458 at 0.5.
- `leakage`: the news leaks, and that share of the first week's effect is felt two weeks early. Off
  by leakage 2/12 of 0.6, 0.1 at 1; what is measured from the week before alone is off by 0.6.
- `stockout`: from the date on a competitor is out of stock in that share of the stores, and its
  customers buy the recalled product: 0.4 more there. Off by 0.4 stockout, 0.2 at 0.5. Nothing in
  the data tells it from an effect.
"""

import numpy as np

from cibench import Draw, Estimand, Roles, Scenario, Target, dial, parameter, scenario
from cibench.model import Array

STORE_SD, SHOCK_SD, WEEK_SD, NOISE_SD = 0.5, 0.1, 0.2, 0.5
GAIN = 0.4
EARLY = 2


@scenario("business/recall")
class Recall(Scenario):
    """Products by stores by weeks; the first product is recalled in week `recall`."""

    estimand = Estimand.ATT
    roles = Roles(unit="unit", time="time", cohort="cohort", cluster="store")
    reference = "van Heerde, Helsen and Dekimpe (2007), Marketing Science 26 (a recall's losses)"
    violates = ("no confounding", "constant effects")

    depth: float = parameter(-0.6, unit="log points in the week of the recall")
    half_life: float = parameter(4.0, within=(0.1, 1000), unit="weeks in which half is recovered")
    gap: float = parameter(1.0, unit="log points by which the product outsells the others")
    products: int = parameter(10, within=(3, 1000), unit="products in a store")
    substitutes: int = parameter(3, within=(0, 998), unit="products that serve the same need")
    weeks: int = parameter(24, within=(4, 1000), unit="weeks")
    recall: int = parameter(12, within=(3, 999), unit="week of the recall, counted from 0")
    substitution: float = dial(
        default=0, grid=(0.1, 0.25, 0.5), within=(-2, 2), breaks="no interference",
        unit="share of the product's loss that each substitute gains",
        felt="substitutes in the same store gain a share of what the recalled product loses",
    )  # fmt: skip
    leakage: float = dial(
        default=0, grid=(0.25, 0.5, 1.0), within=(-2, 2), breaks="no anticipation",
        unit="share of the first week's effect felt in the two weeks before",
        felt="the recalled product feels a share of its first week's effect two weeks early",
    )  # fmt: skip
    stockout: float = dial(
        default=0, grid=(0.1, 0.25, 0.5), within=(0, 1),
        breaks="no shock to the treated at treatment",
        unit="share of stores in which a competitor is out of stock from the recall on",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.recall >= self.weeks:
            raise ValueError(f"recall = {self.recall} lies after the last week")
        if self.substitutes > self.products - 2:
            raise ValueError(f"{self.substitutes} substitutes leave no product to compare with")

    def targets(self) -> tuple[Target, ...]:
        """Return the ATT over all weeks from the recall on and in each of them."""
        later = (Target(Estimand.ATT, k) for k in range(self.weeks - self.recall))
        return Target(Estimand.ATT), *later

    def truth(self) -> dict[Target, float]:
        """Return the recovery curve and its average, the same in every store."""
        curve = self._curve()
        later = {Target(Estimand.ATT, k): float(effect) for k, effect in enumerate(curve)}
        return {Target(Estimand.ATT): float(curve.mean()), **later}

    def _curve(self) -> Array:
        since = np.arange(self.weeks - self.recall)
        return np.asarray(self.depth * 0.5 ** (since / self.half_life))

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw n products in stores over all weeks, rows sorted by unit and time."""
        stores, shape = -(-n // self.products), (n, self.weeks)
        noise = rng.normal(scale=STORE_SD, size=(n, 1)) + rng.normal(scale=NOISE_SD, size=shape)
        shocks = rng.normal(scale=SHOCK_SD, size=(stores, self.weeks))
        season, empty = rng.normal(scale=WEEK_SD, size=self.weeks), rng.random(stores)
        unit, time = np.indices(shape)
        store, product = unit // self.products, unit % self.products
        group, after = product == 0, time >= self.recall
        crowd = GAIN * group * after * (empty < self.stockout)[store]
        baseline = noise + shocks[store, time] + season + self.gap * group + crowd
        effects = np.broadcast_to(np.concatenate([np.zeros(self.recall), self._curve()]), shape)
        early = self.leakage * self.depth * group * (time >= self.recall - EARLY) * ~after
        gained = (product > 0) * (product <= self.substitutes) * self.substitution * after
        d = (group & after).astype(float)
        felt = effects * d + early - effects * gained
        columns = {"y": baseline + felt, "d": d, "unit": unit, "time": time, "store": store}
        columns["cohort"] = np.where(group, self.recall, 0)
        rows = {name: column.ravel() for name, column in columns.items()}
        counted = {t: (group & self._in(t, time)).ravel() for t in self.targets()}
        exposed = ((early != 0) | (gained != 0)).ravel()
        return Draw(rows, baseline.ravel(), effects.ravel(), counted, felt.ravel(), exposed)

    def _in(self, target: Target, time: Array) -> Array:
        """Return which weeks the target averages over."""
        if target.horizon is None:
            return np.asarray(time >= self.recall)
        return np.asarray(time == self.recall + target.horizon)
