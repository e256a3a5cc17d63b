"""Checks on what a scenario says of itself: texts, defaults, names, who can answer it."""

from __future__ import annotations

from dataclasses import replace
from unittest import SkipTest

from cibench.contracts.common import (
    assumed_assumptions,
    broken_assumptions,
    label,
    module_doc,
    require,
    slips,
)
from cibench.model import registry
from cibench.model.design import Scenario, dials
from cibench.utils.errors import unknown


def check_documented(scenario: Scenario) -> None:
    """Demand a name, a reference, a class docstring and a module docstring with the equations."""
    cls, where = type(scenario), label(scenario)
    require(scenario.name, where, "has no name; declare it with @scenario('family/name')")
    text = (cls.__dict__.get("__doc__") or "").strip()
    written = text and not text.startswith(f"{cls.__name__}(")  # else dataclass wrote it
    require(written, where, "has no docstring that says what it draws")
    require(
        module_doc(cls.__module__),
        where,
        f"its module {cls.__module__} has no docstring with the equations and the naive bias",
    )
    require(scenario.reference.strip(), where, "states no reference")


def check_defaults(scenario: Scenario) -> None:
    """Demand that each default lies in its own valid range and that all of them make a scenario."""
    cls = type(scenario)
    for name, spec in cls.specs.items():
        if spec.within is None:
            continue
        low, high = spec.within
        require(
            low <= spec.default <= high,
            label(scenario),
            f"the default {spec.default!r} of '{name}' lies outside {low:g} to {high:g}",
        )
    try:
        cls()
    except (TypeError, ValueError) as error:
        require(False, label(scenario), f"its defaults make no scenario: {error}")


def check_assumption_names(scenario: Scenario) -> None:
    """Demand that no assumption it breaks is nearly the name that an estimator has for it."""
    assumed, cls = assumed_assumptions(), type(scenario)
    breaks = [(f"dial '{name}' breaks", dial.breaks) for name, dial in dials(cls).items()]
    for who, name in breaks + [("its defaults break", name) for name in cls.violates]:
        for own, other in slips([name], assumed, assumed & broken_assumptions()):
            complaint = f"{who} '{own}', but an estimator assumes '{other}'"
            require(False, label(scenario), f"{complaint}: one spelling, please")


def check_prior(scenario: Scenario) -> None:
    """Demand that the estimator from whose prior it draws is one that answers it."""
    name = type(scenario).prior_of
    if not name:
        return
    every = registry.entries("estimator")
    known = unknown("estimator", name, every)
    require(name in every, label(scenario), f"prior_of: {known}")
    why = replace(every[name].value, uses=()).declines(scenario)
    require(why is None, label(scenario), f"prior_of names '{name}', which declines it: {why}")


def check_accepted(scenario: Scenario) -> None:
    """Demand an estimator that does not decline it; skip where those that would lack a library.

    Neither a diagnostic counts nor an oracle nor a baseline that gives no error and no limits.
    """
    every = [entry.value for entry in registry.entries("estimator").values()]
    every = [each for each in every if each.kind == "estimate"]
    candidates = [each for each in every if not each.oracle and each.gives != ("value",)]
    if any(estimator.declines(scenario) is None for estimator in candidates):
        return
    if any(replace(estimator, uses=()).declines(scenario) is None for estimator in candidates):
        raise SkipTest(f"{label(scenario)}: the estimators that accept it lack a library")
    require(False, label(scenario), "every registered estimator declines it")
