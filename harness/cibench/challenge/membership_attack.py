"""Attack a twin as an outsider would, who asks whether somebody is among its seed rows.

Shadow twins are trained, by the same procedure and with the same limits, on random halves of the
seed. For each unit the attacker takes the distance to the closest drawn row; a unit that stands
alone is far from everything, so its mean over the shadows that had not seen it is taken off (the
difficulty calibration of Watson and others 2022; the shadow models of Carlini and others 2022). The
control is a planted leak that the attack must find: a quarter of the members, copied into what is
drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from cibench.challenge.anonymise import released
from cibench.challenge.disclosure import Limits
from cibench.metrics.core import Score, mean_score
from cibench.model.streams import stream
from cibench.model.types import Array
from cibench.twins.columns import MISSING, Column, Columns
from cibench.twins.fit.fitting import train_twin
from cibench.twins.fit.seed_data import Seed
from cibench.twins.fit.user_structure import UserStructure
from cibench.twins.sample import drawn_from
from cibench.twins.twin import Twin
from cibench.utils.errors import BadInput


@dataclass(frozen=True, eq=False)
class Space:
    """Turn columns into points, a row for each unit; every coordinate has the seed's s.d.

    A panel's unit has its outcomes in all periods, the number of treated ones and its covariates. A
    category has a coordinate for each level; a missing value lies in the middle, beside its
    indicator.
    """

    seed: Seed
    periods: int

    @classmethod
    def of(cls, seed: Seed, twin: Twin) -> Space:
        """Return the space of a seed's rows."""
        return cls(seed, 1 if twin.panel is None else len(twin.panel.times))

    def _parts(self, columns: Columns) -> list[Array]:
        design, known = self.seed.design, {c.name: c for c in self.seed.known}
        left = {design.unit, design.time, design.cohort, *(d.name for d in self.seed.derived)}
        parts = list[Array]()
        for name in self.seed.columns:
            if name in left:
                continue
            wide = columns[name].reshape(-1, self.periods)
            if name == design.outcome and self.periods > 1:
                parts += list(wide.T)
            elif name == design.treatment and self.periods > 1:
                parts.append(wide.sum(axis=1))
            elif name in known and known[name].levels:
                parts += [(wide[:, 0] == k) / np.sqrt(2) for k in range(len(known[name].levels))]
            else:
                parts.append(_filled(columns, name, known).reshape(wide.shape)[:, 0])
        return parts

    def points(self, columns: Columns) -> Array:
        """Return units by coordinates."""
        parts = np.column_stack(self._parts(columns))
        return parts / self._scale

    @property
    def _scale(self) -> Array:
        spread = np.column_stack(self._parts(self.seed.columns)).std(axis=0)
        return np.where(spread > 0, spread, 1.0)

    @property
    def units(self) -> int:
        """Return how many units the seed has."""
        return self.seed.rows // self.periods


def _filled(columns: Columns, name: str, known: Mapping[str, Column]) -> Array:
    indicator = known[name].indicator if name in known else ""
    if name.startswith(MISSING) or not indicator or indicator not in columns:
        return columns[name]
    gone = columns[indicator] == 1
    return np.where(gone, columns[name].mean(), columns[name])


def ordered(seed: Seed) -> Seed:
    """Return a seed whose units can be taken apart: a panel sorted, without the always treated."""
    design = seed.design
    if design.kind != "did":
        return seed
    order = np.lexsort((seed.columns[design.time], seed.columns[design.unit]))
    columns = {n: c[order] for n, c in seed.columns.items()}
    periods = len(np.unique(columns[design.time]))
    if design.treatment:
        first = columns[design.treatment].reshape(-1, periods)[:, 0] == 1
    else:
        cohort = columns[design.cohort].reshape(-1, periods)[:, 0]
        first = (cohort > 0) & (cohort <= columns[design.time].min())
    keep = np.repeat(~first, periods)
    return replace(seed, columns={n: c[keep] for n, c in columns.items()})


def taken(seed: Seed, units: Array, periods: int) -> Seed:
    """Return the seed with these units alone."""
    rows = (units[:, None] * periods + np.arange(periods)).ravel()
    return replace(seed, columns={n: c[rows] for n, c in seed.columns.items()})


SHADOWS = 16
MOST = 800
"""So many units take part at most: with more of them each is hidden better."""

TIMES = 8
"""The attacker holds so many drawn units for each one that the shadow was trained on."""

COPIED, PLANTED = 0.25, "a quarter of the members copied into its rows"
REFUSED = "resampling"
ALARMS = 0.01


class Shadow(NamedTuple):
    """Hold of one half: who was in, each unit's score, and how close drawn rows come to either."""

    inside: Array
    score: Array
    closer: float
    nearest: float


@dataclass(frozen=True, eq=False)
class Attack:
    """Hold how well members are told from others, and how close drawn rows are to either.

    `auc` is 1/2 where the attacker may as well toss a coin; `hits` is the share of members that are
    found where 1 in 100 others is suspected; `closer` the share of drawn rows that lie closer to
    the half that was trained on than to the other, 1/2 where nothing leaks; `nearest` the closest
    twentieth of drawn rows' distance to it, over that of the rows that were held out.
    """

    generator: str
    auc: Score
    hits: Score
    closer: Score
    nearest: Score
    inside: Array
    outside: Array
    failed: int


def attack(
    twin: Twin, seed: Seed, limits: Limits | None, shadows: int, say: Callable[[str], object]
) -> tuple[Attack, Attack]:
    """Attack shadows of a twin, and the same ones with a leak planted: (attack, control).

    Without limits the shadows are made by resampling, which no bundle may use: what that would
    give away. Raises BadInput where too few shadows can be fitted.
    """
    space = Space.of(seed, twin)
    rng = stream("bundle-attack", twin.digest)
    pool = np.sort(rng.permutation(space.units)[:MOST])
    space = Space(taken(seed, pool, space.periods), space.periods)
    own, control = list[Shadow](), list[Shadow]()
    for number in range(shadows):
        shadow = _shadow(twin, space, limits, number)
        if shadow:
            own.append(shadow[0])
            control.append(shadow[1])
        say(f"shadow twin {number + 1} of {shadows}")
    failed = shadows - len(own)
    if len(own) < max(4, shadows // 2):
        raise BadInput(f"{failed} of {shadows} shadow twins cannot be fitted to half of the seed")
    name = twin.family if limits else REFUSED
    return _summed(name, own, failed), _summed(f"{name}, {PLANTED}", control, failed)


def _shadow(
    twin: Twin, space: Space, limits: Limits | None, number: int
) -> tuple[Shadow, Shadow] | None:
    """Train on a random half and look at what is drawn; None where that cannot be done."""
    from threadpoolctl import threadpool_limits

    rng = stream("bundle-shadow", twin.digest, number)
    half = rng.permutation(space.units) < space.units // 2
    own = taken(space.seed, np.nonzero(half)[0], space.periods)
    family = twin.family if limits else REFUSED
    try:
        with threadpool_limits(1):
            trained, _ = train_twin(own, family, _user_structure(twin), number, rng)
            trained = released(trained, limits, rng).twin if limits else trained
    except (BadInput, ValueError, np.linalg.LinAlgError):
        return None
    rows = TIMES * own.rows
    drawn = space.points(drawn_from(trained, rows, float(trained.seed["effect"]), rng).columns)
    real = space.points(space.seed.columns)
    copied = real[half & (rng.random(space.units) < COPIED)]
    return _look(drawn, real, half), _look(np.concatenate([copied, drawn]), real, half)


def _look(drawn: Array, real: Array, half: Array) -> Shadow:
    """Return how close drawn rows come to members and to others."""
    from scipy.spatial import cKDTree

    near = cKDTree(drawn).query(real)[0]
    trees = [cKDTree(real[side]) for side in (half, ~half)]
    some = drawn[: 2 * len(real)]
    to_in, to_out = (tree.query(some)[0] for tree in trees)
    typical = np.quantile(trees[0].query(real[~half])[0], 0.05)
    closer = float(np.mean((to_in < to_out) + (to_in == to_out) / 2))
    nearest = float(np.quantile(to_in, 0.05) / typical) if typical > 0 else np.nan
    return Shadow(half, -np.log(near + 1e-9), closer, nearest)


def _user_structure(twin: Twin) -> UserStructure | None:
    """Return the structure that the user gave, None where it was estimated."""
    if not twin.structure.known:
        return None
    laws = {name: law.formula for name, law in twin.mechanisms.items()}
    return UserStructure(
        twin.structure.formula, twin.structure.effect_formula, laws.get("treatment", ""),
        laws.get("instrument", ""),
    )  # fmt: skip


def _summed(generator: str, shadows: list[Shadow], failed: int) -> Attack:
    inside, score = (np.array([getattr(s, n) for s in shadows]) for n in ("inside", "score"))
    calibrated = score - _usual(inside, score)
    pairs = [(c[i], c[~i]) for c, i in zip(calibrated, inside, strict=True)]
    hits = [float(np.mean(a > np.quantile(b, 1 - ALARMS))) for a, b in pairs]
    return Attack(
        generator, _with_limits([auc(a, b) for a, b in pairs]), _with_limits(hits),
        _with_limits([s.closer for s in shadows]), _with_limits([s.nearest for s in shadows]),
        calibrated[inside], calibrated[~inside], failed,
    )  # fmt: skip


def _usual(inside: Array, score: Array) -> Array:
    """Return each unit's mean score over the other shadows that had not seen it."""
    out = ~inside
    total, count = (out * score).sum(axis=0), out.sum(axis=0)
    total, count = total - out * score, count - out
    every = (score.sum(axis=0) - score) / (len(score) - 1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), every))


def auc(inside: Array, outside: Array) -> float:
    """Return the chance that a member's score exceeds another's, ties counted half."""
    from scipy.stats import rankdata

    ranks = rankdata(np.r_[inside, outside])[: len(inside)]
    n, m = len(inside), len(outside)
    return float((ranks.sum() - n * (n + 1) / 2) / (n * m))


def _with_limits(values: list[float]) -> Score:
    """Return the mean over shadows with its error and Student's limits at 95 %."""
    from scipy.stats import t

    score = mean_score(np.array(values))
    reach = float(t.ppf(0.975, len(values) - 1)) * score.mcse
    return Score(score.value, score.mcse, score.value - reach, score.value + reach)
