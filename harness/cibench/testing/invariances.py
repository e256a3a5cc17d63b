"""What must not matter to an answer: order of rows and columns, index, types, units, the level.

Each equivalence changes a problem in a way that leaves the question as it was and says what becomes
of the answer. Whether it holds exactly is theory's business: folds and draws that are dealt to rows
in their order move with the order, a prior has a unit. Such exceptions live with the caller.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import inf, isnan
from types import MappingProxyType

import numpy as np

from cibench.contracts.common import THOUSAND, ContractError, outcome_times, recast
from cibench.model.method import Estimator
from cibench.model.streams import seed_global_state
from cibench.model.types import Declined, Diagnosis, Estimate, Problem, Target

Answer = Mapping[tuple[str, str], float]
LINEAR = ("value", "se", "low", "high", "band_low", "band_high")
PARTS = (*LINEAR, "p_value", "statistic", "passed")
LEVELS = (0.8, 0.9, 0.99)


@dataclass(frozen=True)
class Equivalence:
    """Hold a change of the problem and the factor by which estimates and errors change with it."""

    change: Callable[[Problem], Problem]
    factor: float = 1.0


def answer(estimator: Estimator, problem: Problem, **options: object) -> Answer:
    """Return the numbers of one fit, by target and part; empty where it declines."""
    seed_global_state(("equivalences",))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            returned = estimator.fit(problem, np.random.default_rng(0), **options)
        except Declined:
            return {}
    if isinstance(returned, Mapping):
        return {
            k: v
            for t in problem.targets
            if t in returned
            for k, v in _parts(t, returned[t]).items()
        }
    return _parts(next(iter(problem.targets), None), returned)


def _parts(target: Target | None, returned: Estimate | Diagnosis) -> dict[tuple[str, str], float]:
    parts = ((part, getattr(returned, part, None)) for part in PARTS)
    return {(str(target), part): float(value) for part, value in parts if value is not None}


def distance(before: Answer, after: Answer, factor: float = 1.0) -> float:
    """Return how far apart two answers are at most, in the first one's standard errors.

    Infinite where one answers and the other does not, or one is infinite; what has no standard
    error is measured by its limits' distance, else by its own size.
    """
    if before.keys() != after.keys():
        return inf
    worst = 0.0
    for (target, part), value in before.items():
        linear = part in LINEAR
        expected = factor * value if linear else value
        scale = abs(factor) * _scale(before, target) if linear else max(abs(value), 1e-3)
        worst = max(worst, _apart(expected, after[target, part]) / scale)
    return worst


def _apart(first: float, other: float) -> float:
    if first == other or (isnan(first) and isnan(other)):
        return 0.0
    return inf if isnan(first) or isnan(other) else abs(first - other)


def _scale(numbers: Answer, target: str) -> float:
    se = numbers.get((target, "se"), 0.0)
    reach = numbers.get((target, "high"), 0.0) - numbers.get((target, "low"), 0.0)
    for scale in (se, reach, abs(numbers.get((target, "value"), 0.0))):
        if 0 < scale < inf:
            return scale
    return 1.0


def shuffled(problem: Problem, seed: int = 1) -> Problem:
    """Put the rows in another order."""
    order = np.random.default_rng(seed).permutation(problem.outcome.size)
    return recast(problem, lambda _, column: column[order])


def columns_shuffled(problem: Problem) -> Problem:
    """Put the columns of the data frame in another order."""
    names = list(problem.columns)[::-1]
    return replace(problem, columns=MappingProxyType({n: problem.columns[n] for n in names}))


def covariates_reversed(problem: Problem) -> Problem:
    """List covariates and instruments the other way round."""
    roles = problem.roles
    other = replace(roles, covariates=roles.covariates[::-1], instruments=roles.instruments[::-1])
    return replace(problem, roles=other)


def index_repeated(problem: Problem) -> Problem:
    """Give every two rows of the data frame one index value."""
    repeated = replace(problem)
    repeated.frame.index = repeated.frame.index // 2
    return repeated


def in_thousandths(problem: Problem) -> Problem:
    """Measure the outcome in thousandths of its unit."""
    return outcome_times(problem, THOUSAND)


def whole_as_doubles(problem: Problem) -> Problem:
    """Hold every column of whole numbers as doubles."""
    return recast(problem, lambda _, column: column.astype(float))


EQUIVALENCES: Mapping[str, Equivalence] = {
    "order of rows": Equivalence(shuffled),
    "order of columns": Equivalence(columns_shuffled),
    "order of covariates": Equivalence(covariates_reversed),
    "repeated index": Equivalence(index_repeated),
    "unit of the outcome": Equivalence(in_thousandths, THOUSAND),
    "type of numbers": Equivalence(whole_as_doubles),
}


def deviations(estimator: Estimator, problem: Problem, **options: object) -> dict[str, float]:
    """Return by how many standard errors each equivalence is missed; 0 where it holds exactly.

    `problem` is a data set as an estimator sees it, `options` go to the estimator. Raises
    ContractError where it declines the data.

    >>> import numpy as np
    >>> from cibench import Problem, find_estimator, find_scenario
    >>> from cibench.testing import deviations
    >>> design = find_scenario("did/two-group")()
    >>> draw = design.draw(30, np.random.default_rng(1))
    >>> problem = Problem.of(draw, design.roles, design.targets())
    >>> max(deviations(find_estimator("panel/twfe"), problem).values()) < 1e-6
    True
    """
    before = answer(estimator, problem, **options)
    if not before:
        raise ContractError(f"{estimator.name} declines the data it is to be tried with")
    return {
        name: distance(before, answer(estimator, one.change(problem), **options), one.factor)
        for name, one in EQUIVALENCES.items()
    }


def level_faults(estimator: Estimator, problem: Problem, **options: object) -> list[str]:
    """Return what is wrong at several levels: estimates that move, limits that do not nest."""
    answers = [answer(estimator, replace(problem, level=level), **options) for level in LEVELS]
    faults = []
    for inner, outer, level in zip(answers, answers[1:], LEVELS[1:], strict=False):
        faults += [f"{level:g}: {fault}" for fault in _not_nested(inner, outer)]
    return faults


def _not_nested(inner: Answer, outer: Answer) -> list[str]:
    if inner.keys() != outer.keys():
        return ["other parts are answered"]
    faults = []
    for (target, part), value in inner.items():
        other = outer[target, part]
        wrong = {"low": other > value, "high": other < value}.get(part, False)
        if part in ("value", "se"):
            wrong = _apart(value, other) > 1e-9 * max(abs(value), 1e-9)
        if part == "high" and other == value and value < inf:
            wrong = True
        if wrong:
            faults.append(f"{part} of {target} is {other:.6g} against {value:.6g}")
    return faults
