"""Checks on what rows feel, whose effects are averaged, and what the dials do to a draw."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cibench.contracts.common import (
    at_defaults,
    at_home,
    behind,
    difference,
    label,
    moved,
    require,
    settings,
    small_draw,
)
from cibench.design import Scenario, dials
from cibench.model import Array, Draw, Estimand, Roles, Target
from cibench.seeds import stream

CLOSE = 1e-10
ENOUGH = (300, 3_000, 30_000)
"""Numbers of units at which a dial may show that it is alive."""


def check_outcome(scenario: Scenario) -> None:
    """Demand y = baseline + effects * treatment, or y = baseline + felt where that is given."""
    for at in settings(scenario):
        roles, draw = at.assigned_roles(), small_draw(at)
        felt = _own_effect(draw, roles) if draw.felt is None else draw.felt
        what = "effects * treatment" if draw.felt is None else "felt"
        gap = _apart(behind(draw, roles.outcome), draw.baseline + felt)
        require(gap is None, label(at), f"the outcome is not baseline + {what} in {gap}")


def check_latent_at_default(scenario: Scenario) -> None:
    """Demand that outcome and treatment are seen without error while every dial is at rest."""
    at = at_defaults(scenario)
    roles, draw = at.assigned_roles(), small_draw(at)
    for column in filter(None, (roles.outcome, roles.treatment)):
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
        shown = any(_exposes(small_draw(at)) for other, _, at in moved(scenario) if other == name)
        complaint = f"dial '{name}' says what is felt but exposes no row at any setting"
        require(shown or not dial.felt or not at_home(scenario), label(scenario), complaint)


def _check_felt(scenario: Scenario, *, may_expose: bool) -> bool:
    """Check one draw's `felt` against its `exposed`; return whether rows are exposed."""
    draw, where = small_draw(scenario), label(scenario)
    exposes = _exposes(draw)
    require(may_expose or not exposes, where, "rows are exposed while every dial is at rest")
    require(draw.felt is not None or not exposes, where, "rows are exposed but `felt` is not given")
    if draw.felt is not None:
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


def _apart(one: Array, other: Array) -> str | None:
    """Return "k rows (row i: a against b)" where the arrays are further apart than rounding."""
    scale = max(np.abs(one).max(initial=0), np.abs(other).max(initial=0))
    rows = np.flatnonzero(~(np.abs(one - other) <= CLOSE * scale))
    if not rows.size:
        return None
    first = rows[0]
    return f"{rows.size} rows (row {first}: {one[first]:.6g} against {other[first]:.6g})"


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
    if target.estimand not in (Estimand.ATT, Estimand.SATT) or target.horizon is not None:
        return
    mask = draw.target.get(target) if isinstance(draw.target, Mapping) else draw.target
    treated = behind(draw, treatment) != 0
    stray = int(np.sum(~treated if mask is None else mask & ~treated))
    require(not stray, where, f"the {target.estimand} averages over {stray} untreated rows")


def check_dials_alive(scenario: Scenario) -> None:
    """Demand that every grid setting changes some column, while parameters are at defaults."""
    base = at_defaults(scenario)
    for name, _, at in moved(scenario) if at_home(scenario) else ():
        alive = any(_seen_change(base, at, n) for n in ENOUGH)
        require(alive, label(at), f"dial '{name}' is dead: no column changes with it")


def _seen_change(one: Scenario, other: Scenario, n: int) -> bool:
    return difference(small_draw(one, n).columns, small_draw(other, n).columns) is not None


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
