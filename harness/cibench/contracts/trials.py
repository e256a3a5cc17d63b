"""The fits that the checks look at: few, and each made once for all checks."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from unittest import SkipTest

from cibench import registry
from cibench.contracts.common import label, same_bits
from cibench.contracts.fitting import Fit, data, fit
from cibench.design import Scenario
from cibench.method import Estimator

REPLICATES = 3
once = lru_cache(maxsize=1024)


def accepted(estimator: Estimator) -> list[Scenario]:
    """Return the registered scenarios, at their defaults, that the estimator does not decline.

    Raises SkipTest where a missing library alone keeps it from accepting any.
    """
    scenarios = [entry.value() for entry in registry.entries("scenario").values()]
    found = [each for each in scenarios if estimator.declines(each) is None]
    free = replace(estimator, uses=())
    lost = [each for each in scenarios if free.declines(each) is None]
    if lost and not found:
        raise SkipTest(f"{label(estimator)} {estimator.declines(lost[0])}")
    return found


def trials(estimator: Estimator) -> tuple[Fit, ...]:
    """Return the first answered fit for each kind of scenario, or the last one that was tried.

    Scenarios are of one kind when they fill the same roles and ask for the same targets; of each
    up to three data sets are tried.
    """
    kinds: dict[object, list[Scenario]] = {}
    for scenario in accepted(estimator):
        kind = scenario.assigned_roles().given, estimator.asked(scenario)
        kinds.setdefault(kind, []).append(scenario)
    return tuple(_first_answered(estimator, tuple(alike)) for alike in kinds.values())


@once
def _first_answered(estimator: Estimator, scenarios: tuple[Scenario, ...]) -> Fit:
    for scenario in scenarios:
        for replicate in range(REPLICATES):
            problem, _ = data(estimator, scenario, replicate)
            last = fit(estimator, scenario, problem, replicate)
            if last.error is None:
                return last
    return last


def first_answered(estimator: Estimator) -> Fit:
    """Return a fit that came to an answer; raises SkipTest where there is none to look at."""
    for trial in trials(estimator):
        if trial.error is None:
            return trial
    raise SkipTest(f"{label(estimator)}: it answered nothing that could be looked at")


@once
def refit(estimator: Estimator, trial: Fit) -> tuple[Fit, str | None]:
    """Fit once more from the same address; return also what of the data the fit has changed."""
    problem, draw = data(estimator, trial.scenario, trial.replicate)
    columns = {name: column.copy() for name, column in problem.columns.items()}
    frame = problem.frame.copy()
    again = fit(estimator, trial.scenario, problem, trial.replicate)
    for name, column in columns.items():
        if not same_bits(column, problem.columns[name]) or not same_bits(
            column, draw.columns[name]
        ):
            return again, f"writes into column '{name}'"
    changed = not frame.equals(problem.frame)
    return again, "changes problem.frame; work on a copy of it" if changed else None
