"""Checks on the data sets a scenario draws: columns, sizes, where the randomness comes from."""

from __future__ import annotations

import random

import numpy as np

from cibench.contracts.common import (
    UNITS,
    arrays,
    at_defaults,
    difference,
    label,
    require,
    same_bits,
    settings,
    small_draw,
)
from cibench.design import Scenario
from cibench.model import Array, Draw
from cibench.seeds import seed_global_state, unchanged_random_states

COPY = 1 - 1e-9
"""From which correlation on a column counts as a copy of a latent array."""


def check_roles(scenario: Scenario) -> None:
    """Demand that the columns drawn are those that have a role: none is missing, none is extra."""
    for at in settings(scenario):
        roles, drawn = at.assigned_roles(), small_draw(at).columns
        for role in ("covariates", "instruments"):
            require(
                isinstance(getattr(roles, role), tuple), label(at), f"role {role} is not a tuple"
            )
        for column in roles.columns:
            require(column in drawn, label(at), f"a role names column '{column}', never drawn")
        for column in drawn:
            require(column in roles.columns, label(at), f"column '{column}' has no role: a leak?")
        located = [t for t in at.targets() if t.estimand.at_cutoff]
        known = roles.running and roles.cutoff is not None
        require(known or not located, label(at), "its estimand needs the roles running and cutoff")


def check_arrays(scenario: Scenario) -> None:
    """Demand arrays of one length, columns numeric and finite, masks boolean."""
    for at in settings(scenario):
        draw = small_draw(at)
        rows = len(draw.baseline)
        for name, array in arrays(draw).items():
            _check_array(array, rows, f"{label(at)}: {name}")
            mask = name == "exposed" or name.startswith("target")
            kinds = "b" if mask else "fiu" if name.startswith("column") else "fiub"
            wanted = "boolean" if mask else "numeric"
            require(array.dtype.kind in kinds, label(at), f"{name} is {array.dtype}, not {wanted}")
            if array.dtype.kind == "f":
                require(np.isfinite(array).all(), label(at), f"{name} is not finite everywhere")


def _check_array(array: object, rows: int, where: str) -> None:
    require(isinstance(array, np.ndarray), where, f"is a {type(array).__name__}, not an array")
    assert isinstance(array, np.ndarray)
    require(array.shape == (rows,), where, f"has shape {array.shape}, the baseline ({rows},)")


def check_no_leak(scenario: Scenario) -> None:
    """Demand that no covariate, instrument or running variable is a potential outcome in disguise.

    Nor may one be an affine map of a latent array; what lies behind it, under its own name, may.
    """
    roles, draw = scenario.assigned_roles(), small_draw(scenario)
    hidden = {
        "the outcome without treatment": draw.baseline,
        "the outcome with treatment": draw.baseline + draw.effects,
        **{f"latent '{name}'": array for name, array in draw.latent.items()},
    }
    for column in (*roles.covariates, *roles.instruments, *filter(None, (roles.running,))):
        for name, array in hidden.items():
            copied = name != f"latent '{column}'" and _affine(draw.columns[column], array)
            require(not copied, label(scenario), f"column '{column}' gives away {name}")


def _affine(one: Array, other: Array) -> bool:
    a, b = (array - np.mean(array) for array in (one, other))
    varies = np.ptp(a) > 0 and np.ptp(b) > 0
    return bool(varies and abs(a @ b) > COPY * np.sqrt((a @ a) * (b @ b)))


def check_units(scenario: Scenario) -> None:
    """Demand that a draw of n has n units: distinct units of a panel, else rows."""
    for at in settings(scenario):
        unit = at.assigned_roles().unit
        for n in (UNITS, 211):  # an odd number too, which halves and thirds do not divide
            draw = small_draw(at, n)
            count = len(np.unique(draw.columns[unit])) if unit else len(draw.baseline)
            what = "distinct units" if unit else "rows"
            require(count == n, label(at), f"a draw of n={n} has {count} {what}")


def check_treatment_varies(scenario: Scenario) -> None:
    """Demand that at the defaults the treatment takes two values or more."""
    at = at_defaults(scenario)
    treatment = at.assigned_roles().treatment
    if treatment:
        values = np.unique(small_draw(at).columns[treatment])
        require(len(values) > 1, label(at), f"the treatment is always {values[0]:g}")


def check_repeatable(scenario: Scenario) -> None:
    """Demand the same draw from the same address, to the bit, and another from another."""
    for at in settings(scenario):
        with unchanged_random_states():
            first, again = _seeded(at, "same"), _seeded(at, "same")
        differs = difference(arrays(first), arrays(again))
        require(differs is None, label(at), f"{differs} differs when drawn twice from one address")
        other, outcome = small_draw(at, replicate=1), at.assigned_roles().outcome
        same = same_bits(first.columns[outcome], other.columns[outcome])
        require(not same, label(at), f"column '{outcome}' is the same from two addresses")


def check_own_randomness(scenario: Scenario) -> None:
    """Demand that a draw neither reads nor moves `random` and `numpy.random`, only its rng."""
    for at in settings(scenario):
        with unchanged_random_states():
            first, again, other = (_seeded(at, seed) for seed in ("same", "same", "other"))
            seed_global_state(("same",))
            before = _states()
            small_draw(at)
            moved = before != _states()
        steady = difference(arrays(first), arrays(again)) is None
        read = difference(arrays(first), arrays(other)) if steady else None
        require(read is None, label(at), f"{read} depends on a global random state, not on rng")
        require(not moved, label(at), "drawing moves a global random state")


def _seeded(scenario: Scenario, seed: str) -> Draw:
    seed_global_state((seed,))
    return small_draw(scenario)


def _states() -> tuple[object, ...]:
    _, keys, *rest = np.random.get_state()  # noqa: NPY002 - what is guarded
    return random.getstate(), np.asarray(keys).tobytes(), *rest
