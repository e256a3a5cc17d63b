"""Does a ranking of estimators rest on one generator? Ranks by generator, and leaving each out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from math import comb
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cibench.model.types import Array
from cibench.utils.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

GENERATOR = re.compile(r"generator ([\w-]+)\.")
ALPHA = 0.05
"""The chance that some pair is said to be decided although it is tied."""


class Order(NamedTuple):
    """Hold the mean relative RMSE of each estimator over some generators, and its error."""

    over: tuple[str, ...]
    value: Array
    se: Array
    reach: float

    def before(self, i: int, j: int) -> bool:
        """Say whether estimator i is better than j beyond Monte Carlo doubt."""
        return bool(self.value[j] - self.value[i] > self.reach * np.hypot(self.se[i], self.se[j]))


class Ranking(NamedTuple):
    """Hold the order of estimators over all generators, by each, and with each left out."""

    estimators: list[str]
    all: Order
    alone: list[Order]
    without: list[Order]

    @property
    def verdict(self) -> str:
        """Say in a sentence what becomes of the ranking where a generator is left out."""
        pairs = combinations(range(len(self.estimators)), 2)
        if not any(self.all.before(i, j) or self.all.before(j, i) for i, j in pairs):
            return "nothing separates these estimators beyond doubt: there is no ranking to survive"
        if self.reversals:
            return "the ranking does not survive leaving any one generator out"
        if self.undecided:
            return "the ranking rests in part on one generator: without it some pairs are tied"
        return "the ranking survives leaving any one generator out"

    @property
    def reversals(self) -> list[tuple[str, str, str]]:
        """Return pairs that stand one way over all generators and the other way without one."""
        pairs = []
        for order, left in zip(self.without, self.all.over, strict=True):
            for i, j in combinations(range(len(self.estimators)), 2):
                if (self.all.before(i, j) and order.before(j, i)) or (
                    self.all.before(j, i) and order.before(i, j)
                ):
                    pairs.append((left, self.estimators[i], self.estimators[j]))
        return pairs

    @property
    def undecided(self) -> list[tuple[str, str, str]]:
        """Return pairs that are decided over all generators and no longer without one."""
        pairs = []
        for order, left in zip(self.without, self.all.over, strict=True):
            for i, j in combinations(range(len(self.estimators)), 2):
                decided = self.all.before(i, j) or self.all.before(j, i)
                if decided and not (order.before(i, j) or order.before(j, i)):
                    pairs.append((left, self.estimators[i], self.estimators[j]))
        return pairs


def ranking(scores: pd.DataFrame, catalogue: Mapping[str, Any]) -> Ranking:
    """Return the ranking of estimators by RMSE on a run's twins, dials at their defaults.

    Each RMSE is divided by the smallest one on the same generator's twin. A pair is decided where
    its difference exceeds so many errors that no tied pair is, over all generators, by each and
    without each, in 95 of 100 runs (Bonferroni's inequality, normal errors). Raises BadInput where
    fewer than three generators have scores of the same estimators.
    """
    table = scores[scores["dial"].isna() & scores["rmse"].notna()]
    families = {name: _family(catalogue, name) for name in table["scenario"].unique()}
    table = table.assign(family=table["scenario"].map(families))
    table = table[table["family"] != ""]
    wide, error = (
        table.pivot_table(index="estimator", columns="family", values=v).dropna()
        for v in ("rmse", "rmse_mcse")
    )
    if wide.shape[1] < 3 or wide.shape[0] < 2:
        raise BadInput(
            f"a ranking takes twins by 3 generators or more and 2 estimators with scores on all; "
            f"there are {wide.shape[1]} and {wide.shape[0]}"
        )
    best = wide.min()
    value, se = (wide / best).to_numpy(), (error / best).to_numpy()
    names = [str(n) for n in wide.columns]
    every = range(len(names))
    decisions = comb(wide.shape[0], 2) * (1 + 2 * len(names))
    reach = NormalDist().inv_cdf(1 - ALPHA / 2 / decisions)
    return Ranking(
        [str(n) for n in wide.index], _order(names, value, se, list(every), reach),
        [_order(names, value, se, [k], reach) for k in every],
        [_order(names, value, se, [k for k in every if k != left], reach) for left in every],
    )  # fmt: skip


def _family(catalogue: Mapping[str, Any], scenario: str) -> str:
    match = GENERATOR.search(catalogue["scenarios"][scenario]["doc"])
    return match[1] if match and scenario.startswith("twin/") else ""


def _order(names: Sequence[str], value: Array, se: Array, chosen: list[int], reach: float) -> Order:
    error = np.sqrt((se[:, chosen] ** 2).sum(axis=1)) / len(chosen)
    return Order(tuple(names[k] for k in chosen), value[:, chosen].mean(axis=1), error, reach)
