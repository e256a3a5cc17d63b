"""Checks of a scenario's truths against the effects that it draws.

Where the effects are constant, the truth is their value. Else it is compared with the average over
many independent draws, whose standard error comes from the variation between the draws (units
within a draw may share shocks), or at a cutoff with the limits in `cibench.contracts.pooled_truth`.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import hypot

import numpy as np

from cibench.contracts.common import (
    ContractError,
    at_defaults,
    at_home,
    behind,
    label,
    moved,
    require,
    same_bits,
    settings,
    small_draw,
)
from cibench.contracts.pooled_truth import CLOSE, SIGMAS, ask, averaging, limiting
from cibench.contracts.scenario_functionals import (
    has_functional,
    logarithms,
    recomputing,
    require_possible,
)
from cibench.model.design import Scenario, depends_on_size, dials, truths
from cibench.model.estimands import Estimand
from cibench.model.types import Array, Draw, Target, Truth
from cibench.utils.errors import BadInput

PILOTS = 3


def check_truth_keys(scenario: Scenario) -> None:
    """Demand one finite truth for each population target and none for anything else."""
    for at in settings(scenario):
        try:
            declared = truths(at)
        except BadInput as error:
            raise ContractError(f"scenario {error}") from error
        wanted = {t for t in at.targets() if not t.estimand.of_sample}
        for target in sorted(wanted ^ set(declared), key=str):
            complaint = f"no truth is given for {target!s}, one of its targets"
            if target in declared:
                complaint = f"a truth is given for {target!s}, which is no population target"
            require(False, label(at), complaint)
        for target, truth in declared.items():
            require_possible(target, truth, label(at))


def check_dial_truth(scenario: Scenario) -> None:
    """Demand that the truth stays along a dial that says so and moves along the others."""
    base = at_defaults(scenario)
    rest = truths(base)
    still = {name for name, d in dials(type(scenario)).items() if d.truth == "moves" and rest}
    for name, dial, at in moved(scenario):
        for target, truth in truths(at).items():
            if _agree(truth, rest[target]):
                continue
            still.discard(name)
            values = f"from {rest[target].value:.6g} to {truth.value:.6g}"
            complaint = f"dial '{name}' is declared truth='fixed', but moves {target} {values}"
            require(dial.truth == "moves", label(at), complaint)
    complaint = f"dial {sorted(still)} is declared truth='moves', but the truth stays"
    require(not still or not at_home(scenario), label(scenario), complaint)


def _agree(first: Truth, other: Truth) -> bool:
    scale = max(abs(first.value), abs(other.value))
    return abs(first.value - other.value) <= CLOSE * scale + SIGMAS * hypot(first.mcse, other.mcse)


def check_truth_value(scenario: Scenario) -> None:
    """Demand that the truth is the average of the drawn effects, or their limit at the cutoff.

    Looks at the defaults, at both ends of every dial's grid and at the scenario as given; where a
    setting changes neither the truth nor the effects averaged, it is not simulated once more.
    """
    base, *others = _corners(scenario)
    first = _pilots(base)
    _check_truths(base, first, truths(base))
    for at in others:
        draws, running = _pilots(at), at.assigned_roles().running
        news = {
            target: truth
            for target, truth in truths(at).items()
            if truth != truths(base)[target] or not _same_effects(target, draws, first, running)
        }
        _check_truths(at, draws, news)


def _pilots(scenario: Scenario) -> list[Draw]:
    return [small_draw(scenario, replicate=k) for k in range(PILOTS)]


def _same_effects(target: Target, draws: list[Draw], others: list[Draw], running: str) -> bool:
    located = target.estimand.at_cutoff
    return all(
        _same_outcomes(first, other, target)
        and (not located or same_bits(behind(first, running), behind(other, running)))
        for first, other in zip(draws, others, strict=True)
    )


def _same_outcomes(first: Draw, other: Draw, target: Target) -> bool:
    """Say whether two draws give a target the same truth: the same effects, weights, outcomes."""
    pairs = [(first.averaged(target), other.averaged(target))]
    pairs += zip(*(_weights(draw, target) for draw in (first, other)), strict=False)
    if not target.estimand.averages:
        pairs += zip(first.outcomes(target), other.outcomes(target), strict=True)
    return all(same_bits(one, two) for one, two in pairs)


def _weights(draw: Draw, target: Target) -> list[Array]:
    return [part for part in draw.rows_of(target) if part is not None]


def _check_truths(scenario: Scenario, draws: list[Draw], declared: Mapping[Target, Truth]) -> None:
    uneven = {t: v for t, v in declared.items() if not _is_constant(draws, t, v, scenario)}
    if uneven:
        _check_by_simulation(scenario, draws, uneven)


def _corners(scenario: Scenario) -> list[Scenario]:
    inner = {
        (name, setting)
        for name, dial in dials(type(scenario)).items()
        for setting in sorted((dial.default, *dial.grid))[1:-1]
    }
    visited = [at for name, _, at in moved(scenario) if (name, getattr(at, name)) not in inner]
    every = settings(scenario)
    return [every[0], *visited, *(at for at in every[-1:] if at is scenario)]


def _is_constant(draws: list[Draw], target: Target, truth: Truth, scenario: Scenario) -> bool:
    """Say whether nothing is left to simulate: all effects equal the truth, or a LATE's are open.

    The limit of a LATE at a cutoff can only be checked where the draw marks the compliers.
    """
    if not has_functional(target):
        return True  # a parameter of the model that draws, which no outcomes tell
    if not target.estimand.averages:
        return False
    effects = np.concatenate([draw.averaged(target) for draw in draws])
    unmarked = all(draw.target is None for draw in draws)
    if np.ptp(effects) <= CLOSE * np.abs(effects).max(initial=0):
        if _agree(truth, Truth(float(effects[0]))):
            return True
        if target.estimand.at_cutoff:
            complaint = _complaint(target, truth, "every effect drawn", float(effects[0]), 0)
            require(False, label(scenario), complaint)
    return target.estimand is Estimand.LATE_AT_CUTOFF and unmarked


def _complaint(target: Target, truth: Truth, what: str, value: float, reach: float) -> str:
    statement = f"truth() says {truth.value:.6g} for {target}"
    return f"{statement}, but {what} is {value:.6g}" + (f" +- {reach:.2g}" if reach else "")


def _check_by_simulation(
    scenario: Scenario, pilots: list[Draw], declared: Mapping[Target, Truth]
) -> None:
    """Pool draws until the truths can be told from ones that are off by 2 %, then judge them."""
    unit, pilot = scenario.assigned_roles().unit, pilots[0]
    units = len(np.unique(pilot.columns[unit])) if unit else len(pilot.baseline)
    n = 2_520 if len(pilot.baseline) <= 8 * units else 840  # so that most shares are whole units
    located = {t for t in declared if t.estimand.at_cutoff}
    n = 4 * n if located else n  # there are windows to fill
    if depends_on_size(scenario):
        declared = {target: truths(scenario, n)[target] for target in declared}
    first = small_draw(scenario, n) if located else pilot
    questions = {}
    for target, truth in declared.items():
        if not target.estimand.averages:
            questions[target] = recomputing(target, truth, pilots)
            continue
        spread = float(np.std(np.concatenate([draw.averaged(target) for draw in pilots])))
        if target in located:
            roles = scenario.assigned_roles()
            questions[target] = limiting(target, truth, spread, roles, first)
        else:
            questions[target] = averaging(target, truth, spread)
    for target, readings in ask(scenario, n, questions).items():
        for what, value, reach in filter(questions[target].wrong, readings):
            own = questions[target].truth if not target.estimand.averages else declared[target]
            complaint = _complaint(target, own, what, value, reach)
            require(False, label(scenario), complaint + logarithms(target))
