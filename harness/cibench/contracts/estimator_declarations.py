"""Checks on what an estimator declares: form, texts, names, and whether anything is for it."""

from __future__ import annotations

import inspect

from cibench.contracts.common import (
    assumed_assumptions,
    broken_assumptions,
    label,
    module_doc,
    named_assumptions,
    require,
    slips,
)
from cibench.contracts.trial_fits import accepted
from cibench.model import registry
from cibench.model.estimands import Estimand
from cibench.model.method import GIVES, OF_MANY, Estimator, stream_parameter
from cibench.model.types import ROLE_NAMES
from cibench.utils.errors import near_miss


def check_documented(estimator: Estimator) -> None:
    """Demand that the function and its module say in a docstring what the method is."""
    where, fit = label(estimator), estimator.fit
    require((fit.__doc__ or "").strip(), where, "its function has no docstring")
    require(module_doc(fit.__module__), where, f"its module {fit.__module__} has no docstring")


def check_form(estimator: Estimator) -> None:
    """Demand the form fit(problem, rng, *, option=default), with those options declared."""
    where, signature = label(estimator), inspect.signature(estimator.fit)
    try:
        filled = signature.bind("problem", "rng").arguments
    except TypeError as error:
        require(False, where, f"fit(problem, rng) cannot be called: {error}")
    second = [p for name, p in signature.parameters.items() if filled.get(name) == "rng"]
    passed = f"the random stream would be passed as '{second[0].name}'" if second else ""
    require(not second or second[0] == stream_parameter(estimator.fit), where, passed)
    options = {name: p for name, p in signature.parameters.items() if name not in filled}
    for name, option in options.items():
        keyword = option.kind is option.KEYWORD_ONLY
        require(keyword, where, f"option '{name}' of its function is not keyword-only")
    defaults = {name: option.default for name, option in options.items()}
    require(dict(estimator.options) == defaults, where, "its options are not those of its function")


def check_declaration(estimator: Estimator) -> None:
    """Demand roles, estimands and parts of an answer that exist."""
    where = label(estimator)
    for role in estimator.needs:
        hint = near_miss(role, ROLE_NAMES)
        require(role in ROLE_NAMES, where, f"needs the role '{role}', which does not exist{hint}")
    for part in estimator.gives:
        known = (*GIVES, *OF_MANY)
        hint = near_miss(part, known)
        require(part in known, where, f"gives '{part}', which is none of {', '.join(known)}{hint}")
    for target in (*estimator.targets, *estimator.horizons):
        require(isinstance(target, Estimand), where, f"targets {target!r}, which is no Estimand")
    if estimator.kind == "diagnostic":
        require(estimator.tests, where, "tests no assumption")


def check_assumption_names(estimator: Estimator) -> None:
    """Demand that no assumption of its is nearly the name that a dial has for it."""
    broken, verb = broken_assumptions(), "assumes" if estimator.assumes else "tests"
    for own, other in slips(named_assumptions(estimator), broken, broken & assumed_assumptions()):
        complaint = f"{verb} '{own}', but a dial breaks '{other}': one spelling, please"
        require(False, label(estimator), complaint)


def check_accepts_some(estimator: Estimator) -> None:
    """Demand a registered scenario that it does not decline; skip where it lacks a library."""
    if accepted(estimator):
        return
    scenarios = [entry.value() for entry in registry.entries("scenario").values()]
    reasons = sorted({str(estimator.declines(each)) for each in scenarios})
    complaint = f"declines all {len(scenarios)} registered scenarios: {'; '.join(reasons[:3])}"
    require(False, label(estimator), complaint)
