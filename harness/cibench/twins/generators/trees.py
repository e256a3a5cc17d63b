"""Trees: the first column from its margin, each further one from a tree on those before it.

As in sequential regression trees for synthetic data (Reiter 2005): a row falls into a leaf and
takes the value of a seed row that fell there too, moved to somewhere between its neighbours.
Residuals are drawn apart from the leaf (see `resampling`): a leaf's own would jump at its edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cibench.model.types import Array
from cibench.twins.columns import Columns
from cibench.twins.generators.base import Training, stacked
from cibench.twins.generators.resampling import Residuals, Smoothed

LEAST_LEAF = 10
LEAVES = 40


@dataclass(frozen=True, eq=False)
class Tree:
    """Hold a tree as arrays: children, the feature and threshold of each split, rows by leaf.

    `donors` lists the seed rows leaf by leaf; those of node i are donors[start[i]:stop[i]].
    """

    left: Array
    right: Array
    feature: Array
    threshold: Array
    donors: Array
    start: Array
    stop: Array

    @classmethod
    def grow(cls, x: Array, y: Array, seed: int, *, categorical: bool) -> Tree:
        """Grow a tree of y on x, rows by columns."""
        from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

        least = max(LEAST_LEAF, len(y) // LEAVES)
        kind = DecisionTreeClassifier if categorical else DecisionTreeRegressor
        fitted = kind(min_samples_leaf=least, random_state=seed).fit(x, y)
        tree, leaf = fitted.tree_, fitted.apply(x)
        donors = np.argsort(leaf, kind="stable")
        nodes = np.arange(tree.node_count)
        start, stop = (np.searchsorted(leaf[donors], nodes, side) for side in ("left", "right"))
        left, right = np.array(tree.children_left), np.array(tree.children_right)
        feature, threshold = np.array(tree.feature), np.array(tree.threshold)
        return cls(left, right, feature, threshold, donors, start, stop)

    def leaves(self, x: Array) -> Array:
        """Return the leaf that each row falls into; thresholds are those of 32-bit numbers."""
        x = x.astype(np.float32)
        node = np.zeros(len(x), dtype=np.int64)
        inner = self.left[node] >= 0
        while inner.any():
            at = node[inner]
            goes_left = x[np.nonzero(inner)[0], self.feature[at]] <= self.threshold[at]
            node[inner] = np.where(goes_left, self.left[at], self.right[at])
            inner = self.left[node] >= 0
        return node

    def donor(self, x: Array, rng: np.random.Generator) -> Array:
        """Return a seed row from each row's leaf."""
        leaf = self.leaves(x)
        low, high = self.start[leaf], self.stop[leaf]
        return np.asarray(self.donors[low + (rng.random(len(x)) * (high - low)).astype(int)])

    def state(self) -> dict[str, Any]:
        """Return what a file keeps."""
        return dict(self.__dict__)


@dataclass(frozen=True, eq=False)
class Trees:
    """Draw column after column."""

    columns: Mapping[str, Smoothed]
    trees: Mapping[str, Tree]
    rows: int
    residuals: Residuals

    @classmethod
    def train(cls, training: Training, rng: np.random.Generator) -> Trees:
        """Grow the trees, numbers before categories, whose codes have no order to split by."""
        categories = training.categories
        names = sorted(training.covariates, key=lambda n: n in categories)
        kept = {n: Smoothed.of(training.columns[n], discrete=n in training.discrete) for n in names}
        trees = {}
        for place, name in enumerate(names[1:], 1):
            x = stacked(training.columns, tuple(names[:place]))
            seed = int(rng.integers(2**31))
            trees[name] = Tree.grow(x, training.columns[name], seed, categorical=name in categories)
        return cls(kept, trees, training.rows, Residuals.of(training))

    def sample(self, n: int, rng: np.random.Generator) -> Columns:
        """Draw n rows."""
        drawn: Columns = {}
        for name, column in self.columns.items():
            if name in self.trees:
                rows = self.trees[name].donor(stacked(drawn, tuple(drawn)), rng)
            else:
                rows = rng.integers(0, self.rows, n)
            drawn[name] = column.at(rows, rng)
        return {**drawn, **self.residuals.sample(drawn, n, rng)}

    def state(self) -> dict[str, Any]:
        """Return what a file keeps."""
        return {
            "columns": [[name, column.state()] for name, column in self.columns.items()],
            "trees": {name: tree.state() for name, tree in self.trees.items()},
            "rows": self.rows, "residuals": self.residuals.state(),
        }  # fmt: skip

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Trees:
        """Return the generator that a file kept."""
        columns = {name: Smoothed(**column) for name, column in state["columns"]}
        trees = {name: Tree(**tree) for name, tree in state["trees"].items()}
        return cls(columns, trees, state["rows"], Residuals.load(state["residuals"]))
