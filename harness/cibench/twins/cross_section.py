"""Reconstruct cross-sections: regression discontinuity, selection on observables, instruments.

The generated rows hold covariates, running variable and the residual. Scores q, standard normal and
independent of them, decide on treatment, others on the instrument. What dials do to them:

    confounding    residual' = sqrt(1 - c^2) residual + c sd q
    sorting        rows less than `reach` short of the cutoff, highest residuals first, go beyond
    error          the analyst sees x + error sd(x) N(0, 1)
    policy         the outcome of all above the cutoff rises by policy sd
    overlap        log odds of treatment times 1 + overlap, about their mean
    direct         the outcome rises by direct sd for each s.d. of the instrument
    dependence     the instrument's score is correlated with the residual's sign and size
    weakness       the instrument moves the treatment by that share less
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from cibench.model.streams import stream
from cibench.model.types import Array
from cibench.twins.columns import Columns
from cibench.twins.fit.assignment import Mechanism
from cibench.twins.twin import RESIDUAL, Planted, Shift, Twin, planted
from cibench.utils.errors import BadInput

ABOVE = "above the cutoff"
"""The column, 0 or 1, that says on which side of the cutoff a row is treated."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Hold reconstructed rows and all that lies behind them.

    `residual` is what the outcome has beyond the structural part, `expected` the mechanisms' means
    of treatment and instrument, given what they were drawn from.
    """

    columns: Columns
    baseline: Array
    effects: Array
    residual: Array
    expected: Mapping[str, Array]
    target: Array | None = None
    felt: Array | None = None
    exposed: Array | None = None
    latent: Mapping[str, Array] | None = None


@dataclass(frozen=True, eq=False)
class Noise:
    """Hold what was drawn for n rows before any dial did anything to it."""

    units: Columns
    residual: Array
    score: Array
    second: Array
    u: Array

    @classmethod
    def draw(cls, twin: Twin, n: int, rng: np.random.Generator) -> Noise:
        """Draw in an order that no dial changes."""
        units = twin.units(n, rng)
        residual = units.pop(RESIDUAL)
        score, second = rng.standard_normal((2, n))
        return cls(units, residual, score, second, rng.random(n))


def reconstruct(
    twin: Twin, n: int, rng: np.random.Generator, effect: Planted, dials: Mapping[str, float]
) -> Rows:
    """Draw n rows with the effect planted and the dials at these settings."""
    noise = Noise.draw(twin, n, rng)
    return rebuild(twin, noise, effect, dials)


def rebuild(twin: Twin, noise: Noise, effect: Planted, dials: Mapping[str, float]) -> Rows:
    """Return the rows that noise turns into."""
    if twin.design.kind == "rd":
        return _discontinuity(twin, noise, effect, dials)
    if twin.design.kind == "iv":
        return _instrument(twin, noise, effect, dials)
    return _observables(twin, noise, effect, dials)


def rule(twin: Twin, x: Array) -> Array:
    """Return 1 where the running variable is on the treated side of the cutoff, else 0."""
    assert twin.design.cutoff is not None
    above = x >= twin.design.cutoff
    return (above if twin.design.side == "above" else ~above).astype(float)


def sd_of(column: Array) -> float:
    """Return a column's s.d., 1 for a constant."""
    return float(column.std()) or 1.0


def _discontinuity(twin: Twin, noise: Noise, effect: Planted, dials: Mapping[str, float]) -> Rows:
    design, sd, n = twin.design, twin.structure.sd, len(noise.u)
    latent = noise.units[design.running]
    residual = _confounded(noise, sd, dials)
    x = _sorted(twin, latent, noise, dials)
    inside = rule(twin, x)
    columns = {**noise.units, design.running: x}
    target, expected = None, inside
    if design.fuzzy:
        d, expected, target = _take_up(twin.mechanisms["treatment"], columns, inside, noise)
    else:
        d = inside
    at = {**noise.units, twin.treatment: d}
    base = twin.structure.baseline(at, n) + residual
    policy = dials.get("policy", 0) * sd * inside
    measured = x + dials.get("error", 0) * sd_of(latent) * noise.second
    columns = {**columns, design.running: measured}
    rows = _outcome(twin, noise, columns, base, at, d, effect, policy)
    return Rows(
        *rows, residual, {twin.treatment: expected}, target, latent={design.running: latent}
    )


def _confounded(noise: Noise, sd: float, dials: Mapping[str, float]) -> Array:
    share = dials.get("confounding", 0)
    return np.asarray(np.sqrt(1 - share**2) * noise.residual + share * sd * noise.score)


def _sorted(twin: Twin, x: Array, noise: Noise, dials: Mapping[str, float]) -> Array:
    """Return the running variable after those just short of the cutoff have sorted.

    Who sorts lands as far beyond the cutoff as it stood short of it, those with the highest
    residuals first.
    """
    share, cutoff = dials.get("sorting", 0), twin.design.cutoff or 0.0
    short = (rule(twin, x) == 0) & (np.abs(x - cutoff) < dials.get("reach", 0) * sd_of(x))
    rank = np.argsort(np.argsort(noise.residual, kind="stable"), kind="stable") / len(x)
    beyond = 2 * cutoff - x
    beyond = np.nextafter(beyond, -np.inf) if twin.design.side == "below" else beyond
    return np.where(short & (rank >= 1 - share) & (share > 0), beyond, x)


def _take_up(
    mechanism: Mechanism, columns: Columns, inside: Array, noise: Noise
) -> tuple[Array, Array, Array]:
    """Return take-up, its probability and who complies: takes it on one side alone."""
    sides = [np.zeros_like(inside), np.ones_like(inside)]
    low, high = (mechanism.draw({**columns, ABOVE: s}, noise.score) for s in sides)
    high = np.maximum(low, high)  # nobody is driven off by being eligible
    p, q = (mechanism.probability({**columns, ABOVE: s}, len(inside)) for s in sides)
    expected = np.where(inside == 1, np.maximum(p, q), p)
    return np.where(inside == 1, high, low), expected, high > low


def _observables(twin: Twin, noise: Noise, effect: Planted, dials: Mapping[str, float]) -> Rows:
    mechanism, n = twin.mechanisms["treatment"], len(noise.u)
    factor = 1 + dials.get("overlap", 0)
    d = mechanism.draw(noise.units, noise.score, factor)
    residual = _confounded(noise, twin.structure.sd, dials)
    base = twin.structure.baseline(noise.units, n) + residual
    expected = mechanism.probability(noise.units, n, factor) if mechanism.binary else (
        mechanism.mean(noise.units, n)
    )  # fmt: skip
    outcome = _outcome(twin, noise, noise.units, base, noise.units, d, effect)
    return Rows(*outcome, residual, {twin.treatment: expected}, d == 1)


def _instrument(twin: Twin, noise: Noise, effect: Planted, dials: Mapping[str, float]) -> Rows:
    first, law = twin.mechanisms["treatment"], twin.mechanisms["instrument"]
    units, n, name = noise.units, len(noise.u), twin.design.instrument
    sd, tie = twin.structure.sd, dials.get("dependence", 0)
    drive = noise.residual / sd
    z = law.draw(units, tie * drive + np.sqrt(1 - tie**2) * noise.second)
    mean = law.mean(units, n)
    pull = 1 - dials.get("weakness", 0)
    at = {**units, name: mean + pull * (z - mean)}
    d = first.draw(at, noise.score)
    scale = np.sqrt(np.mean(mean * (1 - mean))) if law.binary else sd_of(z - mean)
    residual = _confounded(noise, sd, dials)
    base = twin.structure.baseline(units, n) + residual
    base = base + dials.get("direct", 0) * sd * (z - mean) / scale
    target = None
    if first.binary and law.binary:
        low, high = (first.draw({**units, name: mean + pull * (v - mean)}, noise.score)
                     for v in (np.zeros(n), np.ones(n)))  # fmt: skip
        target = low != high
    outcome = _outcome(twin, noise, {**units, name: z}, base, units, d, effect)
    return Rows(*outcome, residual, {name: mean, twin.treatment: first.mean(at, n)}, target)


def _outcome(
    twin: Twin, noise: Noise, columns: Columns, base: Array, at: Columns, d: Array,
    effect: Planted, policy: Array | float = 0.0,
) -> tuple[Columns, Array, Array]:  # fmt: skip
    """Return the columns with treatment and outcome, the baseline and the effects.

    Another `policy` adds to the outcome with and without treatment; where there is a link that is
    as much as it adds to the baseline, so that effects do not depend on it.
    """
    may = twin.outcome
    if may.link is not None:
        plain = may.realise(base, noise.u)
        if isinstance(effect, str):
            treated = may.within(plain + planted(effect, at, twin.known, len(d)), noise.u)
        else:
            shift = effect.by if isinstance(effect, Shift) else shift_of(twin, effect)
            treated = may.realise(base + shift, noise.u)
        added = may.realise(base + policy, noise.u) - plain
        baseline = np.maximum(plain + added, may.low)
        effects = np.maximum(treated + added, may.low) - baseline
    else:
        assert not isinstance(effect, Shift)
        baseline, effects = base + policy, planted(effect, at, twin.known, len(d))
        if not may.free:
            felt, before = effects, baseline
            baseline = may.realise(before, noise.u)
            effects = may.realise(before + felt, noise.u) - baseline
    y = baseline + effects * d
    return {**columns, twin.treatment: d, twin.design.outcome: y}, baseline, effects


UNITS = 200_000
NEAREST = 20_000
"""At a cutoff averages are over so many rows nearest to it, moved onto it."""

FURTHEST = 20.0
"""Scores are shifted by this at most: whatever is between the ends of a distribution is crossed."""


def moved_to_cutoff(twin: Twin, noise: Noise) -> Noise:
    """Return the rows nearest to the cutoff, moved onto it."""
    name, cutoff = twin.design.running, twin.design.cutoff
    assert cutoff is not None
    near = np.argsort(np.abs(noise.units[name] - cutoff), kind="stable")[:NEAREST]
    units = {n: c[near] for n, c in noise.units.items()}
    return Noise(
        {**units, name: np.full(len(near), cutoff)}, noise.residual[near], noise.score[near],
        noise.second[near], noise.u[near],
    )  # fmt: skip


@lru_cache(maxsize=256)
def shift_of(twin: Twin, effect: float) -> float:
    """Return the shift of scores by which the outcome moves by an effect, on average.

    The average is that of the estimand, without dials: over all rows, or at the cutoff. Raises
    BadInput for an effect that the outcome's range has no room for.
    """
    from scipy.optimize import brentq

    if effect == 0:
        return 0.0
    noise = Noise.draw(twin, UNITS, stream("twin-shift", twin.digest))
    if twin.design.kind == "rd":
        noise = moved_to_cutoff(twin, noise)

    def average(shift: float) -> float:
        rows = rebuild(twin, noise, Shift(shift), {})
        counted = twin.design.kind == "rd" and rows.target is not None
        return float(rows.effects[rows.target].mean() if counted else rows.effects.mean())

    end = float(np.copysign(FURTHEST, effect))
    reached = average(end)
    if abs(reached) <= abs(effect):
        raise BadInput(
            f"effect {effect:g}: '{twin.design.outcome}' moves by {reached:.4g} on average at most"
        )
    return float(brentq(lambda shift: average(shift) - effect, 0.0, end, xtol=1e-7))
