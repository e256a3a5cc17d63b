"""Take a stranger's estimator, a function or a class with `fit`, for one of the harness.

A package that knows nothing of cibench says which role goes into which argument and which
attributes hold the answer; nothing of its own has to change.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cibench.model.method import Fit
from cibench.model.types import ROLE_NAMES, Array, Estimate, Problem
from cibench.utils.errors import BadInput, unknown

WHOLE = ("frame", "problem", "level")
"""What an argument can be besides a role's columns: all columns, the problem, the nominal level."""


def adapted(subject: Any, data: Mapping[str, str] | None, gives: Sequence[str]) -> Fit:
    """Return a fit of the harness's form around a function, a class or an object with `fit`.

    `data` maps argument names to roles, "frame", "problem" or "level"; without it the function is
    called as `subject(problem, rng)`, or `subject(problem)` if it takes one argument. The answer is
    an `Estimate`, or a value, a standard error and, if there are, two limits: a tuple of these, or
    the attributes `gives` of what comes back (of an object with `fit`: of the fitted object).
    Raises BadInput for a name that is no role.
    """
    for argument, role in (data or {}).items():
        if role not in (*ROLE_NAMES, *WHOLE):
            problem = unknown("role", role, (*ROLE_NAMES, *WHOLE))
            raise BadInput(f"data: {argument}: {problem}")
    call = _call(subject, data)

    def fit(problem: Problem, rng: np.random.Generator) -> Estimate:
        return answer(call(problem, rng), gives, problem.level)

    fit.__doc__ = inspect.getdoc(subject)
    fit.__module__ = _owner(subject).__module__
    fit.__qualname__ = _owner(subject).__qualname__
    return fit


def _owner(subject: Any) -> Any:
    """Return what has a name: a function or class itself, of an object its class."""
    return subject if hasattr(subject, "__qualname__") else type(subject)


def name_of(subject: Any) -> str:
    """Return the id `own/name` for a function, a class or an object."""
    name = _owner(subject).__name__
    words = "".join(f"-{c.lower()}" if c.isupper() else c for c in name).replace("_", "-")
    parts = [part for part in words.split("-") if part.isalnum()]
    joined = "-".join(parts) or "estimator"
    return f"own/{joined}"


def _call(
    subject: Any, data: Mapping[str, str] | None
) -> Callable[[Problem, np.random.Generator], Any]:
    if hasattr(subject, "fit") and not inspect.isroutine(subject):
        return lambda problem, rng: _fitted(subject, data, problem, rng)
    if data is not None:
        return lambda problem, _: subject(**_arguments(data, problem))
    takes_rng = len(inspect.signature(subject).parameters) > 1
    return lambda problem, rng: subject(problem, rng) if takes_rng else subject(problem)


def _fitted(
    subject: Any, data: Mapping[str, str] | None, problem: Problem, rng: np.random.Generator
) -> Any:
    """Fit a new object, of a class with its defaults, and return it."""
    model: Any = subject() if inspect.isclass(subject) else copy.deepcopy(subject)
    arguments = _arguments(data, problem) if data is not None else {"problem": problem, "rng": rng}
    returned = model.fit(**arguments)
    return model if returned is None else returned


def _arguments(data: Mapping[str, str], problem: Problem) -> dict[str, Any]:
    return {argument: _value(problem, role) for argument, role in data.items()}


def _value(problem: Problem, role: str) -> Any:
    if role in WHOLE:
        return problem if role == "problem" else getattr(problem, role)
    assigned = getattr(problem.roles, role)
    if role == "cutoff":
        return assigned
    if isinstance(assigned, tuple):
        matrix: Array = getattr(problem, role)
        return matrix.copy()
    if not assigned:
        raise ValueError(f"the scenario has no {role}")
    return problem.columns[assigned].copy()


def answer(returned: Any, gives: Sequence[str], level: float) -> Estimate:
    """Turn what came back into an `Estimate`; limits that are not given are the normal ones."""
    if isinstance(returned, Estimate):
        return returned
    if gives:
        returned = tuple(getattr(returned, name) for name in gives)
    if not isinstance(returned, Sequence) or len(returned) not in (2, 4):
        raise TypeError(
            f"returned {type(returned).__name__}: an Estimate, or value and standard error (and "
            "both limits) are wanted; name attributes with gives=(...)"
        )
    value, se, *limits = (float(np.asarray(x).item()) for x in returned)
    if limits:
        return Estimate(value, se, low=limits[0], high=limits[1])
    return Estimate.wald(value, se, level)
