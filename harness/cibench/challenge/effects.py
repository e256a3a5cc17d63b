"""Which effects are planted, and into which data sets: nothing that a vendor could guess."""

from __future__ import annotations

import numpy as np

from cibench.twins.twin import Twin
from cibench.utils.errors import BadInput

EFFECTS, TIMES = 4, 2
"""Unless asked for: so many effects, zero among them, each in so many data sets."""

SIZES = (0.3, 2.0)
"""Drawn effects are these multiples of the seed's estimate, of either sign."""

APART = 0.1
"""No effect lies within this share of the seed's estimate, or half its standard error, of it."""


def parse_effects(text: str) -> tuple[float, ...]:
    """Read "0,500,800"; raises BadInput for what is no number or comes twice."""
    effects: list[float] = []
    for part in text.split(","):
        try:
            value = float(part)
        except ValueError:
            raise BadInput(f"--effects: '{part.strip()}' is not a number") from None
        if not np.isfinite(value):
            raise BadInput(f"--effects: {value:g} is not finite")
        if value in effects:
            raise BadInput(f"--effects: {value:g} comes twice")
        effects.append(value)
    return tuple(effects)


def choose_effects(
    twin: Twin, wanted: tuple[float, ...] | None, rng: np.random.Generator
) -> tuple[float, ...]:
    """Return the effects to plant: those asked for, if they will do, or drawn ones and zero.

    Raises BadInput where zero is not among them, or one is the firm's own estimate.
    """
    estimate, reach = float(twin.seed["effect"]), _reach(twin)
    if wanted is not None:
        if 0 not in wanted:
            raise BadInput("--effects: 0 must be among them, or a vendor who always finds one wins")
        if len(wanted) < 2:
            raise BadInput("--effects: one effect other than 0 at least")
        for value in wanted:
            if value and abs(value - estimate) <= reach:
                raise BadInput(
                    f"--effects: {value:g} is as good as the seed's own estimate {estimate:.6g} "
                    f"(within {reach:.3g}), which may be known; plant another one"
                )
        return wanted
    effects = [0.0]
    while len(effects) < EFFECTS:
        sign = (-1, 1)[len(effects) % 2]  # of either sign, so that a sign can be got wrong
        value = float(f"{sign * rng.uniform(*SIZES) * _scale(twin):.3g}")
        if abs(value - estimate) > reach and value not in effects:
            effects.append(value)
    return tuple(effects)


def _reach(twin: Twin) -> float:
    return max(APART * abs(float(twin.seed["effect"])), float(twin.seed["se"]) / 2)


def _scale(twin: Twin) -> float:
    """Return what an effect worth finding is: the estimate, or what its error leaves of it."""
    scales = abs(float(twin.seed["effect"])), 2 * float(twin.seed["se"])
    return max(scales) or float(twin.structure.sd) / 4


def assign_effects(
    effects: tuple[float, ...], datasets: int | None, rng: np.random.Generator
) -> tuple[float, ...]:
    """Return an effect for each data set, each at least once, in an order that nobody can guess."""
    count = TIMES * len(effects) if datasets is None else datasets
    if count < len(effects):
        raise BadInput(f"--datasets: {count} are too few for {len(effects)} effects")
    times, rest = divmod(count, len(effects))
    more = rng.permutation(np.array(effects))[:rest].tolist()
    return tuple(rng.permutation(np.array([*effects * times, *more])).tolist())
