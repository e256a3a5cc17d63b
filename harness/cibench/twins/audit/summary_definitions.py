"""Which summaries of a table there are: functions of means, so that resampling is a product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from cibench.model.types import Array
from cibench.twins.columns import Column, Columns
from cibench.twins.design import Design
from cibench.twins.generators.copulas import Margin

LEAST_SHARE = 0.02
"""Levels that are rarer than this have no summary of their own."""

BESIDE = 0.1
"""The density at a cutoff compares windows that reach this share of s.d. to either side."""

FEW = 15
"""Of a column with up to so many values each value's share is a summary."""


@dataclass(frozen=True, eq=False)
class Definition:
    """Say which summaries there are: thresholds of shares, scores that are correlated, windows.

    `apart` are two columns whose dependence is none of the seed's: a twin unties the outcome from
    the choice of treatment.
    """

    shares: list[tuple[str, str, float]]
    scores: list[tuple[str, str, float]]
    margins: Mapping[str, Margin]
    window: tuple[str, float, float] | None
    apart: tuple[str, ...] = ()

    @property
    def names(self) -> list[tuple[str, str]]:
        """Return each summary's kind and what it is of."""
        words = {"below": "share below", "is": "share of"}
        labels = [("margin", f"{c}: {words[how]} {at:g}") for c, how, at in self.shares]
        labels += [("dependence", f"{a} and {b}") for a, b in self._pair_names]
        return labels + ([("density", self.window[0])] if self.window else [])

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Return the pairs of scores that are correlated: not two of the same column."""
        numbered = combinations([score[0] for score in self.scores], 2)
        places = combinations(range(len(self.scores)), 2)
        return [
            place
            for place, (a, b) in zip(places, numbered, strict=True)
            if a != b and {a, b} != set(self.apart)
        ]

    @property
    def _pair_names(self) -> list[tuple[str, str]]:
        def label(score: tuple[str, str, float]) -> str:
            return f"{score[0]} = {score[2]:g}" if score[1] == "is" else score[0]

        return [(label(self.scores[i]), label(self.scores[j])) for i, j in self.pairs]

    def moments(self, columns: Columns) -> Array:
        """Return rows by moments: the indicators, the scores, their squares and products."""
        indicators = [_indicator(columns[c], how, at) for c, how, at in self.shares]
        scores = [
            _indicator(columns[c], how, at) if how == "is" else _score(columns[c], self.margins[c])
            for c, how, at in self.scores
        ]
        products = [scores[i] * scores[j] for i, j in self.pairs]
        windows = []
        if self.window:
            name, cutoff, h = self.window
            x = columns[name]
            windows = [((x >= cutoff) & (x < cutoff + h)), ((x < cutoff) & (x >= cutoff - h))]
        every = [*indicators, *scores, *(s * s for s in scores), *products, *windows]
        return np.column_stack(every).astype(float)

    def statistics(self, means: Array) -> Array:
        """Return the summaries from the moments' means, whatever stands before the last axis."""
        a, k = len(self.shares), len(self.scores)
        shares, mean = means[..., :a], means[..., a : a + k]
        spread = np.maximum(means[..., a + k : a + 2 * k] - mean**2, 1e-12)
        i, j = np.array(self.pairs, dtype=int).reshape(-1, 2).T
        end = a + 2 * k + len(i)
        cross = means[..., a + 2 * k : end] - mean[..., i] * mean[..., j]
        parts = [shares, cross / np.sqrt(spread[..., i] * spread[..., j])]
        if self.window:
            above, below = means[..., end], means[..., end + 1]
            parts.append(np.log((above + 1e-6) / (below + 1e-6))[..., None])
        return np.concatenate(parts, axis=-1)

    def state(self) -> dict[str, Any]:
        """Return what a file keeps."""
        margins = {n: m.state() for n, m in self.margins.items()}
        return {
            "shares": self.shares, "scores": self.scores, "margins": margins,
            "window": self.window, "apart": self.apart,
        }  # fmt: skip

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Definition:
        """Return the definition that a file kept."""
        margins = {n: Margin.load(m) for n, m in state["margins"].items()}
        shares, scores = ([tuple(s) for s in state[k]] for k in ("shares", "scores"))
        return cls(
            shares,
            scores,
            margins,
            state["window"] and tuple(state["window"]),
            tuple(state["apart"]),
        )


def _indicator(x: Array, how: str, at: float) -> Array:
    return (x == at if how == "is" else x < at).astype(float)


def _score(x: Array, margin: Margin) -> Array:
    """Return mid-ranks among the seed's values, 1/2 where there is no value."""
    right = np.searchsorted(margin.values, x, side="right")
    left = np.searchsorted(margin.values, x, side="left")
    return np.where(np.isnan(x), 0.5, (left + right) / (2 * len(margin.values)))


def define(columns: Columns, known: tuple[Column, ...], design: Design) -> Definition:
    """Choose the summaries of seed columns (NaN where a value is missing)."""
    categories = {c.name for c in known if c.kind == "category"}
    shares: list[tuple[str, str, float]] = []
    scores: list[tuple[str, str, float]] = []
    margins: dict[str, Margin] = {}
    for name, column in columns.items():
        seen = column[~np.isnan(column)]
        values, counts = np.unique(seen, return_counts=True)
        if len(values) < 2:
            continue
        common = values[counts >= LEAST_SHARE * len(column)]
        few = len(values) <= FEW
        if few:
            shares += [(name, "is", float(v)) for v in common[: max(1, len(common) - 1)]]
        else:
            deciles = np.unique(np.quantile(seen, np.arange(1, 10) / 10))
            shares += [(name, "below", float(v)) for v in deciles]
        if name in categories:
            scores += [(name, "is", float(v)) for v in common[: max(1, len(common) - 1)]]
        else:
            scores.append((name, "rank", 0.0))
            grid = np.quantile(seen, (np.arange(1000) + 0.5) / 1000, method="inverted_cdf")
            margins[name] = Margin(np.sort(grid), np.zeros(0), discrete=False)
    window = None
    if design.kind == "rd" and design.cutoff is not None:
        x = columns[design.running]
        window = design.running, design.cutoff, BESIDE * float(x.std())
    chosen = design.fuzzy or design.kind in ("observables", "iv")
    apart = (design.outcome, design.treatment) if chosen else ()
    return Definition(shares, scores, margins, window, apart)
