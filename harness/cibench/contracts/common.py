"""What all contract checks share: their error, the draws they look at, the names they compare."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from difflib import SequenceMatcher
from types import MappingProxyType
from typing import TypeVar
from unittest import SkipTest

import numpy as np

from cibench.model import registry
from cibench.model.catalogue import alternatives
from cibench.model.design import Dial, Scenario, dials, values_of, with_points
from cibench.model.method import Estimator
from cibench.model.streams import stream
from cibench.model.types import Array, Draw, Problem

UNITS = 300
ALIKE = 0.8
"""How alike two assumptions' names may be (difflib's ratio) before one passes for a slip."""

THOUSAND = 1000.0
"""How many times as small the other unit of the outcome is."""

S = TypeVar("S", bound=Scenario)
T = TypeVar("T")


class ContractError(AssertionError):
    """Say in one line what breaks the contract, and where."""


def require(condition: object, where: str, complaint: str) -> None:
    """Raise ContractError with "where: complaint" unless the condition holds."""
    if not condition:
        raise ContractError(f"{where}: {complaint}")


def run_all(checks: Iterable[Callable[[T], None]], subject: T) -> None:
    """Run every check on the subject; one that skips does not keep the others from running."""
    for check in checks:
        try:
            check(subject)
        except SkipTest:
            continue


def label(subject: Scenario | Estimator) -> str:
    """Name a scenario, with the dials that are off their defaults, or an estimator."""
    if not isinstance(subject, Scenario):
        return f"{subject.kind.replace('estimate', 'estimator')} {subject.name}"
    off = [
        f"{name}={getattr(subject, name):g}"
        for name, dial in dials(type(subject)).items()
        if getattr(subject, name) != dial.default
    ]
    return f"scenario {subject.name or type(subject).__name__}" + (
        f" at {', '.join(off)}" if off else ""
    )


def at_defaults(scenario: S) -> S:
    """Return the scenario with its parameters kept and every dial at its default."""
    return replace(scenario, **{name: d.default for name, d in dials(type(scenario)).items()})


def at_home(scenario: Scenario) -> bool:
    """Say whether its parameters are the defaults; others, an effect of 0, may still its dials."""
    return at_defaults(scenario) == type(scenario)()


def moved(scenario: S) -> Iterator[tuple[str, Dial, S]]:
    """Yield the scenario at each grid setting of each dial, the others at their defaults."""
    base = at_defaults(scenario)
    for name, dial in dials(type(scenario)).items():
        for setting in dial.grid:
            yield name, dial, replace(base, **{name: setting})


def settings(scenario: S) -> list[S]:
    """Return the scenario at the defaults of its dials, at each grid setting and as it was given.

    The defaults come first.
    """
    seen = [at_defaults(scenario), *(at for _, _, at in moved(scenario))]
    own = values_of(scenario, Dial)
    known = [values_of(each, Dial) for each in seen]
    return seen if own in known else [*seen, scenario]


def small_draw(scenario: Scenario, n: int = UNITS, replicate: int = 0) -> Draw:
    """Draw n units from an address that has no dial in it, as the harness does."""
    draw = scenario.draw(n, stream("contract", scenario.name, n, replicate))
    return with_points(scenario, draw, "contract points", scenario.name, replicate)


def recast(problem: Problem, change: Callable[[str, Array], Array]) -> Problem:
    """Put every column of a problem through a function of its name and values."""
    columns = {name: change(name, column) for name, column in problem.columns.items()}
    return replace(problem, columns=MappingProxyType(columns))


def outcome_times(problem: Problem, factor: float) -> Problem:
    """Measure the outcome in a unit that is `factor` times as small."""
    mine = problem.roles.outcome
    return recast(problem, lambda name, c: factor * c.astype(float) if name == mine else c)


def behind(draw: Draw, column: str) -> Array:
    """Return what lies behind a column: the latent array of its name, else the column itself."""
    return draw.latent.get(column, draw.columns[column])


def arrays(draw: Draw) -> dict[str, Array]:
    """Return every array of a draw under the name a complaint calls it by."""
    targets = draw.target if isinstance(draw.target, Mapping) else {"": draw.target}
    named = {
        **{f"column '{name}'": column for name, column in draw.columns.items()},
        **{f"latent '{name}'": array for name, array in draw.latent.items()},
        **{part: getattr(draw, part) for part in ("baseline", "effects", "felt", "exposed")},
        **{f"target {key}".strip(): mask for key, mask in targets.items()},
        **{f"arm {arm}": outcomes for arm, outcomes in draw.arms.items()},
    }
    return {name: array for name, array in named.items() if array is not None}


def difference(first: Mapping[str, Array], other: Mapping[str, Array]) -> str | None:
    """Return the name of the first array in which the two differ by a bit, None where none does."""
    for name in (*first, *other):
        if name not in first or name not in other or not same_bits(first[name], other[name]):
            return name
    return None


def same_bits(first: Array, other: Array) -> bool:
    """Say whether two arrays agree in type, shape and every bit."""
    a, b = np.asarray(first), np.asarray(other)
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return a.tolist() == b.tolist() if a.dtype == object else a.tobytes() == b.tobytes()


def module_doc(module: str) -> str:
    """Return the docstring of an imported module, "" where there is none."""
    return (getattr(sys.modules.get(module), "__doc__", None) or "").strip()


def broken_assumptions() -> set[str]:
    """Return the names of the assumptions that the registered scenarios or their dials break."""
    classes = [entry.value for entry in registry.entries("scenario").values()]
    by_dial = {dial.breaks for cls in classes for dial in dials(cls).values()}
    return by_dial.union(*(cls.violates for cls in classes))


def assumed_assumptions() -> set[str]:
    """Return the names of the assumptions that the registered estimators assume or test."""
    estimators = (entry.value for entry in registry.entries("estimator").values())
    return {name for each in estimators for name in named_assumptions(each)}


def named_assumptions(estimator: Estimator) -> tuple[str, ...]:
    """Return the names of what it assumes or tests, the two sides of an "or" apart."""
    declared = (*estimator.assumes, *estimator.tests)
    return tuple(name for assumption in declared for name in alternatives(assumption))


def slips(own: Iterable[str], known: set[str], settled: set[str]) -> list[tuple[str, str]]:
    """Return the pairs of an own and a known name that are nearly but not quite the same.

    Two names that are both `settled`, used by some dial and some estimator, are two assumptions.
    """
    return [
        (name, other)
        for name in own
        for other in sorted(known - {name})
        if SequenceMatcher(None, name, other).ratio() > ALIKE and not {name, other} <= settled
    ]
