"""Checks of what only some draws have: several arms, groups, censored outcomes."""

from __future__ import annotations

import numpy as np

from cibench.contracts.common import behind, label, require, settings, small_draw
from cibench.model.design import Scenario
from cibench.model.types import Array, Draw, Target

CLOSE = 1e-10


def check_arms(scenario: Scenario) -> None:
    """Demand that each row's outcome is that of its arm, and that targets compare arms there are.

    The first arm is the world where nobody is treated.
    """
    for at in settings(scenario):
        draw, where = small_draw(at), label(at)
        for target in at.targets():
            arms = draw.arms or {0: draw.baseline, 1: draw.baseline}
            for arm in target.contrast or ():
                require(arm in arms, where, f"{target} compares arm {arm}, of which none is drawn")
        if draw.arms:
            _check_own_arm(at, draw)


def _check_own_arm(scenario: Scenario, draw: Draw) -> None:
    roles, where = scenario.assigned_roles(), label(scenario)
    first = next(iter(draw.arms.values()))
    require(_close(first, draw.baseline), where, "the first arm's outcomes are not the baseline")
    outcome, assigned = behind(draw, roles.outcome), behind(draw, roles.treatment)
    exposed = np.zeros(outcome.size, bool) if draw.exposed is None else draw.exposed
    for arm, outcomes in draw.arms.items():
        mine = (assigned == arm) & ~exposed
        gap = np.flatnonzero(mine & ~_near(outcome, outcomes))
        complaint = f"the outcome is not that of arm {arm} in {gap.size} of its rows"
        require(not gap.size, where, complaint)


def check_groups(scenario: Scenario) -> None:
    """Demand that a target of a group averages over rows of that group alone."""
    for at in settings(scenario):
        named = [t for t in at.targets() if t.group is not None]
        if not named:
            continue
        roles, draw, where = at.assigned_roles(), small_draw(at), label(at)
        require(bool(roles.group), where, "targets name groups, but no column has the role group")
        for target in named:
            rows, _ = draw.rows_of(target)
            mine = draw.columns[roles.group] == _number(target, where)
            stray = int(np.sum((np.ones(mine.size, bool) if rows is None else rows) & ~mine))
            complaint = f"{target} averages over {stray} rows of other groups"
            require(not stray, where, complaint)


def _number(target: Target, where: str) -> float:
    try:
        return float(str(target.group))
    except ValueError:
        require(False, where, f"{target}: a group is named by the number that its column has")
        raise


def check_censoring(scenario: Scenario) -> None:
    """Demand that events are seen at their time and that censored rows are seen before it.

    The outcome's column is a time, the latent array of its name the time of the event.
    """
    for at in settings(scenario):
        roles = at.assigned_roles()
        if not roles.event:
            continue
        draw, where = small_draw(at), label(at)
        event = draw.columns[roles.event]
        require(bool(np.isin(event, (0, 1)).all()), where, f"'{roles.event}' is not 0 or 1")
        complaint = f"the draw has no latent '{roles.outcome}', the time of each row's event"
        require(roles.outcome in draw.latent, where, complaint)
        seen, whole = draw.columns[roles.outcome], draw.latent[roles.outcome]
        late = int(np.sum((event == 1) & ~_near(seen, whole)))
        require(not late, where, f"{late} events are not seen at the time of the event")
        early = int(np.sum((event == 0) & (seen > whole * (1 + CLOSE))))
        require(not early, where, f"{early} rows are censored after their event")
        stray = int(np.sum((event == 0) & _near(seen, whole)))
        require(not stray, where, f"{stray} rows count as censored at the time of their event")


def _near(first: Array, other: Array) -> Array:
    scale = max(np.abs(first).max(initial=0), np.abs(other).max(initial=0))
    near: Array = np.abs(first - other) <= CLOSE * scale
    return near


def _close(first: Array, other: Array) -> bool:
    return bool(_near(first, other).all())
