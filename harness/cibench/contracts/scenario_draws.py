"""Checks on the data sets a scenario draws: columns, randomness, what rows feel, what dials do."""

from __future__ import annotations

import random
from collections.abc import Mapping

import numpy as np

from cibench.contracts.common import (
    UNITS,
    arrays,
    at_defaults,
    at_home,
    behind,
    difference,
    label,
    moved,
    require,
    same_bits,
    settings,
    small_draw,
)
from cibench.model.design import Scenario, dials
from cibench.model.estimands import Estimand
from cibench.model.streams import seed_global_state, stream, unchanged_random_states
from cibench.model.types import Array, Draw, Roles, Target

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
        require_shapes(at, draw)
        for name, array in arrays(draw).items():
            weights = name.startswith("target") and array.dtype.kind == "f"
            mask = name == "exposed" or (name.startswith("target") and not weights)
            kinds = "b" if mask else "fiu" if name.startswith("column") else "fiub"
            wanted = "boolean" if mask else "numeric"
            require(not weights or (array >= 0).all(), label(at), f"{name} has negative weights")
            require(array.dtype.kind in kinds, label(at), f"{name} is {array.dtype}, not {wanted}")
            if array.dtype.kind == "f":
                require(np.isfinite(array).all(), label(at), f"{name} is not finite everywhere")


def require_shapes(scenario: Scenario, draw: Draw) -> None:
    """Demand arrays of one length of a draw."""
    rows = len(draw.baseline)
    for name, array in arrays(draw).items():
        _check_array(array, rows, f"{label(scenario)}: {name}")


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
        **{f"the outcome in arm {arm}": outcomes for arm, outcomes in draw.arms.items()},
        **{f"latent '{name}'": array for name, array in draw.latent.items()},
    }
    for column in (*roles.covariates, *roles.instruments, *filter(None, (roles.running,))):
        for name, array in hidden.items():
            copied = name != f"latent '{column}'" and _affine(draw.columns[column], array)
            require(not copied, label(scenario), f"column '{column}' gives away {name}")


def _affine(first: Array, other: Array) -> bool:
    a, b = (array - np.mean(array) for array in (first, other))
    varies = np.ptp(a) > 0 and np.ptp(b) > 0
    return bool(varies and abs(a @ b) > COPY * np.sqrt((a @ a) * (b @ b)))


def check_units(scenario: Scenario) -> None:
    """Demand that a draw of n has n units: distinct units of a panel, else rows."""
    for at in settings(scenario):
        for n in (UNITS, 211):  # an odd number too, which halves and thirds do not divide
            require_units(at, small_draw(at, n), n)


def require_units(scenario: Scenario, draw: Draw, n: int) -> None:
    """Demand n units of a draw of n: distinct units of a panel, else rows."""
    unit = scenario.assigned_roles().unit
    count = len(np.unique(draw.columns[unit])) if unit else len(draw.baseline)
    what = "distinct units" if unit else "rows"
    require(count == n, label(scenario), f"a draw of n={n} has {count} {what}")


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


CLOSE = 1e-10
ENOUGH = (300, 3_000, 30_000)
"""Numbers of units at which a dial may show that it is alive."""


def check_outcome(scenario: Scenario) -> None:
    """Demand y = baseline + effects * treatment, or y = baseline + felt where that is given."""
    for at in settings(scenario):
        require_outcome(at, small_draw(at))


def require_outcome(scenario: Scenario, draw: Draw) -> None:
    """Demand of a draw that y = baseline + effects * treatment, or baseline + felt where given."""
    roles = scenario.assigned_roles()
    felt = _own_effect(draw, roles) if draw.felt is None else draw.felt
    what = "effects * treatment" if draw.felt is None else "felt"
    gap = _apart(behind(draw, roles.outcome), draw.baseline + felt)
    require(gap is None, label(scenario), f"the outcome is not baseline + {what} in {gap}")


def check_latent_at_default(scenario: Scenario) -> None:
    """Demand that outcome and treatment are seen without error while every dial is at rest."""
    at = at_defaults(scenario)
    roles, draw = at.assigned_roles(), small_draw(at)
    outcome = "" if roles.event else roles.outcome  # of which some rows are censored
    for column in filter(None, (outcome, roles.treatment)):
        gap = _apart(draw.columns[column], behind(draw, column))
        require(gap is None, label(at), f"'{column}' is not what lies behind it in {gap}")


def check_exposure(scenario: Scenario) -> None:
    """Demand that only exposed rows feel what others' or a later treatment does to them.

    At the defaults no row is exposed, and a dial that exposes rows says in `felt` what they feel.
    """
    _check_felt(at_defaults(scenario), may_expose=False)
    for name, dial, at in moved(scenario):
        exposes = _check_felt(at, may_expose=True)
        complaint = f"rows are exposed, but dial '{name}' does not say what they have felt"
        require(dial.felt or not exposes, label(at), complaint)
    for name, dial in dials(type(scenario)).items():
        exposed = any(_exposes(small_draw(at)) for other, _, at in moved(scenario) if other == name)
        complaint = f"dial '{name}' says what is felt but exposes no row at any setting"
        require(exposed or not dial.felt or not at_home(scenario), label(scenario), complaint)


def _check_felt(scenario: Scenario, *, may_expose: bool) -> bool:
    """Check one draw's `felt` against its `exposed`; return whether rows are exposed."""
    draw, where = small_draw(scenario), label(scenario)
    exposes = _exposes(draw)
    require(may_expose or not exposes, where, "rows are exposed while every dial is at rest")
    require(draw.felt is not None or not exposes, where, "rows are exposed but `felt` is not given")
    if draw.felt is not None and not draw.arms:
        own = _own_effect(draw, scenario.assigned_roles())
        rest = np.ones(own.size, dtype=bool) if draw.exposed is None else ~draw.exposed
        gap = _apart(draw.felt[rest], own[rest])
        require(gap is None, where, f"felt is not effects * treatment in unexposed {gap}")
    return exposes


def _exposes(draw: Draw) -> bool:
    return draw.exposed is not None and bool(np.any(draw.exposed))


def _own_effect(draw: Draw, roles: Roles) -> Array:
    if not roles.treatment:
        return np.zeros(len(draw.baseline))
    return draw.effects * behind(draw, roles.treatment)


def _apart(left: Array, right: Array) -> str | None:
    """Return "k rows (row i: a against b)" where the arrays are further apart than rounding."""
    scale = max(np.abs(left).max(initial=0), np.abs(right).max(initial=0))
    rows = np.flatnonzero(~(np.abs(left - right) <= CLOSE * scale))
    if not rows.size:
        return None
    first = rows[0]
    return f"{rows.size} rows (row {first}: {left[first]:.6g} against {right[first]:.6g})"


def check_targets(scenario: Scenario) -> None:
    """Demand that each target averages over rows, and an ATT or SATT over treated ones only."""
    at = at_defaults(scenario)
    draw, treatment = small_draw(at), at.assigned_roles().treatment
    known = at.targets()
    for key in draw.target if isinstance(draw.target, Mapping) else ():
        require(key in known, label(at), f"the draw marks rows for {key!s}, which is no target")
    for target in known:
        require(draw.averaged(target).size, label(at), f"no row is averaged for {target}")
        if treatment:
            _check_treated(target, draw, treatment, label(at))


def _check_treated(target: Target, draw: Draw, treatment: str, where: str) -> None:
    on_treated = (Estimand.ATT, Estimand.SATT, Estimand.LIFT)
    if target.estimand not in (*on_treated, Estimand.ATU) or target.horizon is not None:
        return
    mask, _ = draw.rows_of(target)
    treated = behind(draw, treatment) != 0
    right = treated if target.estimand in on_treated else ~treated
    stray = int(np.sum(~right if mask is None else mask & ~right))
    kind = "untreated" if target.estimand in on_treated else "treated"
    require(not stray, where, f"the {target.estimand} averages over {stray} {kind} rows")


def check_dials_alive(scenario: Scenario) -> None:
    """Demand that every grid setting changes some column, while parameters are at defaults."""
    base = at_defaults(scenario)
    for name, _, at in moved(scenario) if at_home(scenario) else ():
        alive = any(_seen_change(base, at, n) for n in ENOUGH)
        require(alive, label(at), f"dial '{name}' is dead: no column changes with it")


def _seen_change(first: Scenario, other: Scenario, n: int) -> bool:
    return difference(small_draw(first, n).columns, small_draw(other, n).columns) is not None


def check_dials_paired(scenario: Scenario) -> None:
    """Demand that a paired dial leaves the stream where the default leaves it: the same noise."""
    rest = _state_after(at_defaults(scenario))
    for name, dial, at in moved(scenario):
        complaint = f"dial '{name}' changes how much noise is drawn; declare it paired=False"
        require(not dial.paired or _state_after(at) == rest, label(at), complaint)


def _state_after(scenario: Scenario) -> str:
    rng = stream("contract", scenario.name, ENOUGH[0], 0)
    scenario.draw(ENOUGH[0], rng)
    return repr(rng.bit_generator.state)
