"""Estimators and diagnostics: what one declares, when it declines, and the two decorators."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal

from cibench.model import registry
from cibench.model.design import Scenario
from cibench.model.types import ROLE_NAMES, Diagnosis, Estimand, Estimate, Target
from cibench.utils.errors import unknown

Fit = Callable[..., Estimate | Mapping[Target, Estimate] | Diagnosis]

PIP_NAMES = {"sklearn": "scikit-learn", "diff_diff": "diff-diff"}
"""What to install for an import name, where the two differ."""

GIVES = ("value", "se", "limits")


@dataclass(frozen=True, eq=False)
class Estimator:
    """Describe a method: the function, what it targets, needs, assumes and uses.

    An assumption may have alternatives, "outcome model correct or propensity model correct": it
    fails where all of them are broken. `targets` are the estimands it answers, `horizons` those
    that it answers per horizon. `needs` are names of roles, `uses` import names of libraries,
    `options` the defaults of what `fit` takes by keyword. `gives` says which of value, se and
    limits its answers hold; `moments=False` that its estimates have no finite variance,
    `oracle=True` that it sees the whole draw. A diagnostic answers with a `Diagnosis` and `tests`
    the named assumptions.

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

    def targets_of(self, scenario: Scenario) -> tuple[Target, ...]:
        """Return the scenario's targets that this estimator is asked for, none of a diagnostic."""
        return tuple(
            t
            for t in scenario.targets()
            if t.estimand in (self.targets if t.horizon is None else self.horizons)
        )

    def declines(self, scenario: Scenario) -> str | None:
        """Return why this estimator is not for the scenario, None where it is.

        Decided by declaration alone: estimand, roles, installed libraries.
        """
        if self.kind == "estimate" and not self.targets_of(scenario):
            own = ", ".join((*self.targets, *(f"{h} per horizon" for h in self.horizons)))
            wanted = ", ".join(dict.fromkeys(t.estimand for t in scenario.targets()))
            return f"answers {own}, not {wanted}"
        roles = scenario.assigned_roles()
        if lacking := [role for role in self.needs if role not in roles.filled]:
            return f"needs the role {', '.join(lacking)}, which {scenario.name} lacks"
        if missing := [PIP_NAMES.get(u, u) for u in self.uses if not installed(u)]:
            return f"is not installed: pip install {' '.join(missing)}"
        return None


def installed(module: str) -> bool:
    """Say whether an import name can be found, without importing it."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the parent of a dotted name is missing
        return False


def estimator(
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
) -> Callable[[Fit], Estimator]:
    """Register `fit(problem, rng, *, option=default)` as the estimator "family/name".

    `fit` returns an `Estimate`, or a mapping of targets to estimates, or raises `Declined`.
    Raises ValueError where the declaration is off (see `Estimator` for its parts).

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
        if "se" not in gives and "limits" not in gives and "value" not in gives:
            raise ValueError(f"estimator '{name}' gives neither value, se nor limits")
        method = Estimator(
            name, fit, targets, horizons, needs, assumes, uses, gives,
            oracle=oracle, moments=moments, options=_options(name, fit),
        )  # fmt: skip
        return _register(method)

    return declare


def diagnostic(
    name: str,
    *,
    tests: tuple[str, ...],
    needs: tuple[str, ...] = (),
    uses: tuple[str, ...] = (),
) -> Callable[[Fit], Estimator]:
    """Register `fit(problem, rng, *, option=default) -> Diagnosis` as a test of assumptions.

    `tests` names the assumptions that a data set must look like to pass. Raises ValueError where
    the declaration is off.

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
        return _register(method)

    return declare


def _register(method: Estimator) -> Estimator:
    for role in method.needs:
        if role not in ROLE_NAMES:
            raise ValueError(f"estimator '{method.name}': {unknown('role', role, ROLE_NAMES)}")
    fit: Any = method.fit
    registry.register("estimator", method.name, method, fit.__module__, fit.__qualname__)
    return method


def _options(name: str, fit: Fit) -> dict[str, Any]:
    """Return the defaults of fit's keyword-only options; raises ValueError for another form."""
    first, *rest = inspect.signature(fit).parameters.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    rng, *options = rest or [first]
    if first is rng or first.kind not in positional or rng.kind not in positional:
        raise ValueError(f"estimator '{name}': the form is fit(problem, rng, *, option=default)")
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
