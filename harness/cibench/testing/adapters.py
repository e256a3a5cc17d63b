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

from cibench.model.method import Fit, stream_parameter, unwrapped
from cibench.model.types import ROLE_NAMES, Array, Estimate, Problem
from cibench.utils.errors import BadInput, unknown

WHOLE = ("frame", "problem", "level", "rng")
"""What an argument can be besides a role's columns."""


def adapted(subject: Any, data: Mapping[str, str] | None, gives: Sequence[str]) -> Fit:
    """Return a fit of the harness's form around a function, a class or an object with `fit`.

    `data` maps argument names to roles, "frame", "problem", "level" or "rng", the random stream.
    Without it the function gets the problem, and the stream where it asks for one: by a parameter
    called `rng`, or by a second one without a default. The answer is an `Estimate`, or a value, a
    standard error and, if there are, two limits: a tuple of these, or the attributes `gives` of
    what comes back (of an object with `fit`: of the fitted object). Raises BadInput for a name that
    is no role, and for a function that cannot be called so.
    """
    for argument, role in (data or {}).items():
        if role not in (*ROLE_NAMES, *WHOLE):
            problem = unknown("role", role, (*ROLE_NAMES, *WHOLE))
            raise BadInput(f"data: {argument}: {problem}")
    call = _call(subject, data)

    def fit(problem: Problem, rng: np.random.Generator) -> Estimate:
        return answer(call(problem, rng), gives, problem)

    fit.__doc__ = inspect.getdoc(subject)
    fit.__module__ = _owner(subject).__module__
    fit.__qualname__ = _owner(subject).__qualname__
    own: Any = fit
    own.__signature__ = inspect.signature(fit)
    own.__wrapped__ = _code(subject)  # where its exceptions are looked for
    return fit


def _code(subject: Any) -> Any:
    """Return what holds a subject's own code: of a class or an object its method `fit`."""
    owner = _owner(subject)
    return getattr(owner, "fit", owner) if inspect.isclass(owner) else owner


def _owner(subject: Any) -> Any:
    """Return what has a name: a function or class itself, of an object its class.

    Of a function whose arguments are partly set (`functools.partial`) it is the function.
    """
    whole = unwrapped(subject)
    return whole if hasattr(whole, "__qualname__") else type(whole)


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
        _arguments_of(subject.fit, data, of_class=_unbound(subject))
        return lambda problem, rng: _fitted(subject, data, problem, rng)
    arguments = _arguments_of(subject, data)

    def call(problem: Problem, rng: np.random.Generator) -> Any:
        positional, named = arguments(problem, rng)
        return subject(*positional, **named)

    return call


def _fitted(
    subject: Any, data: Mapping[str, str] | None, problem: Problem, rng: np.random.Generator
) -> Any:
    """Fit a new object, of a class with its defaults, and return it."""
    model: Any = subject() if inspect.isclass(subject) else copy.deepcopy(subject)
    positional, named = _arguments_of(model.fit, data)(problem, rng)
    returned = model.fit(*positional, **named)
    return model if returned is None else returned


def _unbound(subject: Any) -> bool:
    """Say whether `fit` of a class still lacks the object, its first argument."""
    return inspect.isclass(subject) and inspect.isfunction(inspect.getattr_static(subject, "fit"))


Arguments = Callable[[Problem, np.random.Generator], tuple[tuple[Any, ...], dict[str, Any]]]


def _arguments_of(
    function: Callable[..., Any], data: Mapping[str, str] | None, *, of_class: bool = False
) -> Arguments:
    """Return what a function is called with; of a class's method, `self` is not there yet.

    Raises BadInput where its parameters do not allow that.
    """
    itself = (None,) if of_class else ()
    if data is not None:
        _require_callable(function, itself, data, "data")
        return lambda problem, rng: ((), {k: _value(problem, v, rng) for k, v in data.items()})
    stream = stream_parameter(function, 1 + len(itself))
    by_name = stream is not None and stream.kind is not stream.POSITIONAL_ONLY
    name = stream.name if stream is not None else ""
    before = (*itself, None, *([None] if name and not by_name else []))
    _require_callable(function, before, {name: ""} if by_name else {}, "the form")

    def arguments(
        problem: Problem, rng: np.random.Generator
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if not name:
            return (problem,), {}
        return ((problem,), {name: rng}) if by_name else ((problem, rng), {})

    return arguments


def _require_callable(
    function: Callable[..., Any], positional: Sequence[Any], named: Mapping[str, Any], what: str
) -> None:
    """Raise BadInput where a function does not take these arguments."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of C code that does not say
        return
    try:
        signature.bind(*positional, **named)
    except TypeError as error:
        name = getattr(_owner(function), "__qualname__", "the function")
        raise BadInput(
            f"{what}: {name}{signature} is called with "
            f"{', '.join(named) if what == 'data' else 'the problem and, if wanted, rng'}: {error}"
        ) from error


def _value(problem: Problem, role: str, rng: np.random.Generator) -> Any:
    if role == "rng":
        return rng
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


def answer(returned: Any, gives: Sequence[str], problem: Problem) -> Estimate:
    """Turn what came back into an `Estimate`; limits that are not given are the normal ones.

    Of a ratio they are so on the logarithm, whose standard error is asked for.
    """
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
    return Estimate.on_scale(value, se, problem.level, problem.targets[0].estimand)
