"""Estimators and diagnostics: what one declares, when it declines, and the two decorators."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from typing import Any, Literal, Protocol

from cibench.model import registry
from cibench.model.design import Scenario
from cibench.model.estimands import Estimand
from cibench.model.types import ROLE_NAMES, SUBDIVISIONS, Diagnosis, Estimate, Target
from cibench.utils.errors import unknown

Fit = Callable[..., Estimate | Mapping[Target, Estimate] | Diagnosis]

PIP_NAMES = {"sklearn": "scikit-learn", "diff_diff": "diff-diff"}
"""What to install for an import name, where the two differ."""

GIVES = ("value", "se", "limits")
OF_MANY = ("effects", "weights")
"""Parts of an answer with a number for each unit that is asked about, and for each row."""


class Elsewhere(Protocol):
    """Say what is known of the process in which an estimator answers that is no Python here."""

    def prepare(self) -> object:
        """Start the process, before any clock is; raises BadInput where it does not start."""

    def lacking(self) -> list[str]:
        """Return the packages that are not installed there; raises BadInput where none starts."""

    def versions(self) -> dict[str, str]:
        """Return the versions of the language and of the packages there, by what they are of."""


@dataclass(frozen=True, eq=False)
class Estimator:
    """Describe a method: the function, what it targets, needs, assumes and uses.

    An assumption may have alternatives, "outcome model correct or propensity model correct": it
    fails where all of them are broken. `targets` are the estimands it answers, a family where it
    answers all members, `horizons` those that it answers per horizon; `by` says whether it answers
    by "group", "contrast" or "label" too. `needs` are names of roles, `uses` names of libraries,
    `options` the defaults of what `fit` takes by keyword. `gives` says which of value, se, limits,
    effects (of single units) and weights (of rows that it chose) its answers hold;
    `moments=False` that its estimates have no finite variance,
    `oracle=True` that it sees the whole draw. A diagnostic answers with a `Diagnosis` and `tests`
    the named assumptions. `elsewhere` is the process of a method that is no Python of this one,
    `imported` the source of answers that somebody handed in, of a method that cannot be asked.

    >>> from cibench import find_estimator, find_scenario
    >>> method = find_estimator("rdrobust/robust")
    >>> method.needs, method.declines(find_scenario("did/two-group")())
    (('running', 'cutoff'), 'answers ATE_AT_CUTOFF, not ATT')
    """

    name: str
    fit: Fit
    targets: tuple[Estimand, ...] = ()
    horizons: tuple[Estimand, ...] = ()
    needs: tuple[str, ...] = ()
    assumes: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    gives: tuple[str, ...] = GIVES
    tests: tuple[str, ...] = ()
    oracle: bool = False
    moments: bool = True
    kind: Literal["estimate", "diagnostic"] = "estimate"
    options: Mapping[str, Any] = field(default_factory=dict)
    elsewhere: Elsewhere | None = None
    imported: str = ""
    by: tuple[str, ...] = ()

    def targets_of(self, scenario: Scenario) -> tuple[Target, ...]:
        """Return the scenario's targets that this estimator is asked for, none of a diagnostic."""
        return tuple(self._words(scenario))

    def parts_of(self, target: Target) -> tuple[str, ...]:
        """Return which of what it gives is in its answer to a target.

        Of single units it is effects alone, if it gives any, and of anything else all but these.
        """
        if target.estimand.of_units and "effects" in self.gives:
            return ("effects",)
        return tuple(part for part in self.gives if part != "effects")

    def questions(self, scenario: Scenario) -> tuple[Target, ...]:
        """Return `targets_of` in the estimator's own words, one for each.

        Where the scenario has methods for a population's average asked for that of the units at
        hand, such a method is asked what it declares to answer.
        """
        return tuple(self._words(scenario).values())

    def _words(self, scenario: Scenario) -> dict[Target, Target]:
        wanted = scenario.targets()
        words = {}
        for target in wanted:
            population = scenario.answered_by.get(target.estimand)
            if self._answers(target):
                words[target] = target
            elif population is not None:
                question = target._replace(estimand=population)
                if question not in wanted and self._answers(question):
                    words[target] = question
        return words

    def _answers(self, target: Target) -> bool:
        """Say whether it declares to answer a question in these words."""
        own = self.targets if target.horizon is None else self.horizons
        if Estimand.ANY in own:
            return True
        return (target.estimand in own or target.estimand.family in own) and all(
            getattr(target, part) is None or part in self.by for part in SUBDIVISIONS
        )

    def declines(self, scenario: Scenario) -> str | None:
        """Return why this estimator is not for the scenario, None where it is.

        Decided by declaration alone: estimand, roles, installed libraries.
        """
        if self.kind == "estimate" and not self.targets_of(scenario):
            own = ", ".join((*self.targets, *(f"{h} per horizon" for h in self.horizons)))
            own += "".join(f", by {part}" for part in self.by)
            wanted = ", ".join(dict.fromkeys(_question(t) for t in scenario.targets()))
            return f"answers {own}, not {wanted}"
        roles = scenario.assigned_roles()
        if lacking := [role for role in self.needs if role not in roles.filled]:
            return f"needs the role {', '.join(lacking)}, which {scenario.name} lacks"
        if self.elsewhere is not None:
            there = ", ".join(self.elsewhere.lacking())
            return f"is not installed where it is asked: {there}" if there else None
        needed = () if _installed_elsewhere.get() else self.uses
        if missing := [PIP_NAMES.get(u, u) for u in needed if not installed(u)]:
            return f"is not installed: pip install {' '.join(missing)}"
        return None


def _question(target: Target) -> str:
    """Write what is asked, without the values of groups, arms and labels."""
    parts = [f" by {part}" for part in SUBDIVISIONS if getattr(target, part) is not None]
    return f"{target.estimand}{''.join(parts)}"


_installed_elsewhere: ContextVar[bool] = ContextVar("installed_elsewhere", default=False)


@contextmanager
def installed_elsewhere() -> Iterator[None]:
    """Have no estimator decline for a library that is not installed here, since fits are not."""
    token = _installed_elsewhere.set(True)
    try:
        yield
    finally:
        _installed_elsewhere.reset(token)


def installed(module: str) -> bool:
    """Say whether an import name can be found, without importing it."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the parent of a dotted name is missing
        return False


def estimator(  # noqa: PLR0913 - all by keyword, each with a default
    name: str,
    *,
    targets: tuple[Estimand, ...] = (),
    horizons: tuple[Estimand, ...] = (),
    needs: tuple[str, ...] = (),
    assumes: tuple[str, ...] = (),
    uses: tuple[str, ...] = (),
    gives: tuple[str, ...] = GIVES,
    oracle: bool = False,
    moments: bool = True,
    by: tuple[str, ...] = (),
    files: tuple[str, ...] = (),
) -> Callable[[Fit], Estimator]:
    """Register `fit(problem, rng, *, option=default)` as the estimator "family/name".

    `fit` returns an `Estimate`, or a mapping of targets to estimates, or raises `Declined`.
    `files` are names, relative to the folder of the code, of what else it reads there: a script, a
    table. Rows of changed files are never mixed, and a bundle brings them. Raises ValueError where
    the declaration is off (see `Estimator` for its other parts) or a file is not there.

    >>> import numpy as np
    >>> from cibench import Estimand, Estimate, estimator, find_estimator
    >>> @estimator("examples/difference", targets=(Estimand.ATE,), assumes=("no confounding",))
    ... def difference(problem, rng, *, trim=0.0):
    ...     "Compare the means of treated and untreated."
    ...     y, treated = problem.outcome, problem.treatment == 1
    ...     value = y[treated].mean() - y[~treated].mean()
    ...     se = np.sqrt(y[treated].var() / treated.sum() + y[~treated].var() / (~treated).sum())
    ...     return Estimate.wald(value, se, problem.level)
    >>> dict(find_estimator("examples/difference").options)
    {'trim': 0.0}
    """

    def declare(fit: Fit) -> Estimator:
        if not (targets or horizons):
            raise ValueError(f"estimator '{name}' targets no estimand")
        if not {*GIVES, "effects"} & {*gives}:
            raise ValueError(f"estimator '{name}' gives neither value, se nor limits, nor effects")
        for part in by:
            if part not in SUBDIVISIONS:
                raise ValueError(f"estimator '{name}': {unknown('part', part, SUBDIVISIONS)}")
        method = Estimator(
            name, fit, targets, horizons, needs, assumes, uses, gives,
            oracle=oracle, moments=moments, options=_options(name, fit), by=by,
        )  # fmt: skip
        return _register(method, files)

    return declare


def diagnostic(
    name: str,
    *,
    tests: tuple[str, ...],
    needs: tuple[str, ...] = (),
    uses: tuple[str, ...] = (),
    files: tuple[str, ...] = (),
) -> Callable[[Fit], Estimator]:
    """Register `fit(problem, rng, *, option=default) -> Diagnosis` as a test of assumptions.

    `tests` names the assumptions that a data set must look like to pass; `files` as for an
    `estimator`. Raises ValueError where the declaration is off.

    >>> from cibench import Diagnosis, diagnostic
    >>> @diagnostic("examples/balance", tests=("no confounding",))
    ... def balance(problem, rng):
    ...     "Ask whether half of the units are treated."
    ...     return Diagnosis(passed=abs(problem.treatment.mean() - 0.5) < 0.1)
    >>> balance.kind
    'diagnostic'
    """

    def declare(fit: Fit) -> Estimator:
        method = Estimator(
            name, fit, needs=needs, uses=uses, gives=(), tests=tests,
            kind="diagnostic", options=_options(name, fit),
        )  # fmt: skip
        return _register(method, files)

    return declare


def _register(method: Estimator, files: tuple[str, ...]) -> Estimator:
    for role in method.needs:
        if role not in ROLE_NAMES and not role.startswith("extra:"):
            raise ValueError(f"estimator '{method.name}': {unknown('role', role, ROLE_NAMES)}")
    fit: Any = unwrapped(method.fit)
    registry.register("estimator", method.name, method, fit.__module__, fit.__qualname__, files)
    return method


def unwrapped(function: Any) -> Any:
    """Return the function of which some arguments are set already (`functools.partial`)."""
    while isinstance(function, partial):
        function = function.func
    return function


def stream_parameter(function: Callable[..., Any], position: int = 1) -> inspect.Parameter | None:
    """Return the parameter of a fit that takes the random stream, None of one that wants none.

    It is the one called `rng`, else the one at `position`, the problem's being before it, unless
    that has a default, which says that it is an option.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # of C code that does not say
        return None
    for each in parameters:
        if each.name == "rng" and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
            return each
    positional = [
        each for each in parameters
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]  # fmt: skip
    second = positional[position : position + 1]
    return second[0] if second and second[0].default is inspect.Parameter.empty else None


def _options(name: str, fit: Fit) -> dict[str, Any]:
    """Return the defaults of fit's keyword-only options; raises ValueError for another form."""
    first, *rest = inspect.signature(fit).parameters.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    rng, *options = rest or [first]
    if first is rng or first.kind not in positional or rng.kind not in positional:
        raise ValueError(f"estimator '{name}': the form is fit(problem, rng, *, option=default)")
    if stream_parameter(fit) != rng:
        raise ValueError(
            f"estimator '{name}': the random stream would be passed as '{rng.name}'; the form is "
            "fit(problem, rng, *, option=default)"
        )
    for option in options:
        if option.kind is not option.KEYWORD_ONLY or option.default is option.empty:
            raise ValueError(
                f"estimator '{name}': '{option.name}' is not a keyword-only option with a default"
            )
    return {option.name: option.default for option in options}


def find_estimator(name: str) -> Estimator:
    """Return the estimator registered as "family/name"; raises BadInput with a near miss.

    >>> from cibench import find_estimator
    >>> find_estimator("panel/twfe").kind
    'estimate'
    """
    registered: Estimator = registry.entry("estimator", name).value
    return registered
