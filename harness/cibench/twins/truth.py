"""The truth of a planted effect: the number itself, or its average over the estimand's rows."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from cibench.model import Array, Estimand, Target, Truth
from cibench.seeds import stream
from cibench.twins.asked import targets_of
from cibench.twins.cross_section import Noise, rebuild
from cibench.twins.formula import Formula
from cibench.twins.panel import SINCE, rebuild_panel
from cibench.twins.twin import Effect, Twin

UNITS = 200_000
CELLS = 2_000_000
NEAREST = 20_000
"""At a cutoff the truth averages over so many rows nearest to it, moved onto it."""


@lru_cache(maxsize=64)
def truths_of(twin: Twin, effect: Effect, overlap: float = 0.0) -> dict[Target, Truth]:
    """Return the truth of every target of a twin's scenario.

    Of the dials only `overlap` moves who is treated, and so the ATT of a formula.
    """
    targets = targets_of(twin)
    if isinstance(effect, float) and twin.outcome.unbounded:
        return {t: Truth(effect) for t in targets}
    rng = stream("twin-truth", twin.digest, str(effect))
    if twin.panel is not None:
        return _of_panel(twin, effect, targets, rng)
    noise = Noise.draw(twin, UNITS, rng)
    if twin.design.kind == "rd":
        return {targets[0]: _at_cutoff(twin, effect, noise)}
    rows = rebuild(twin, noise, effect, {"overlap": overlap})
    every = np.ones(UNITS, dtype=bool)
    masks = {Estimand.ATE: every, Estimand.COEFFICIENT: every}
    return {t: _mean(rows.effects, masks.get(t.estimand, rows.target)) for t in targets}


def _mean(effects: Array, mask: Array | None) -> Truth:
    chosen = effects if mask is None else effects[mask]
    return Truth(float(chosen.mean()), float(chosen.std() / np.sqrt(len(chosen))))


def _at_cutoff(twin: Twin, effect: Effect, noise: Noise) -> Truth:
    """Return the limit at the cutoff: rows near it, moved onto it."""
    name, cutoff = twin.design.running, twin.design.cutoff
    assert cutoff is not None
    if isinstance(effect, str) and twin.outcome.unbounded and set(Formula(effect).names) <= {name}:
        return Truth(float(Formula(effect)({name: np.array([cutoff])}, 1)[0]))
    near = np.argsort(np.abs(noise.units[name] - cutoff), kind="stable")[:NEAREST]
    units = {n: c[near] for n, c in noise.units.items()}
    at = Noise(
        {**units, name: np.full(NEAREST, cutoff)}, noise.residual[near], noise.score[near],
        noise.second[near], noise.u[near],
    )  # fmt: skip
    rows = rebuild(twin, at, effect, {})
    return _mean(rows.effects, rows.target)


def _of_panel(
    twin: Twin, effect: Effect, targets: tuple[Target, ...], rng: np.random.Generator
) -> dict[Target, Truth]:
    """Return averages over treated cells; the error allows for several cells of a unit."""
    assert twin.panel is not None
    periods = len(twin.panel.times)
    n = min(UNITS, CELLS // periods)
    rows = rebuild_panel(twin, n, rng, effect, {})
    assert rows.target is not None and rows.latent is not None
    since, found = rows.latent[SINCE], {}
    for target in targets:
        mask = rows.target if target.horizon is None else rows.target & (since == target.horizon)
        felt, count = ((v * mask).reshape(n, periods).sum(axis=1) for v in (rows.effects, 1.0))
        value = felt.sum() / count.sum()
        se = np.sqrt(np.sum((felt - value * count) ** 2)) / count.sum()
        found[target] = Truth(float(value), float(se))
    return found
