"""What must not matter does not, for any estimator; and a method for which it does is caught."""

import importlib.util
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pytest

from cibench import Declined, Estimand, Estimate, find_estimator, find_scenario
from cibench.contracts.common import ContractError
from cibench.model import registry
from cibench.model.design import configure
from cibench.model.method import Estimator
from cibench.model.types import Problem
from cibench.testing.invariances import (
    EQUIVALENCES,
    answer,
    deviations,
    distance,
    level_faults,
    shuffled,
)
from cibench.testing.option_suites import open_forms

PATH = Path(__file__).with_name("quirks_suite.py")
SPEC = importlib.util.spec_from_file_location("quirks_suite", PATH)
quirks = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(quirks)

ROUNDING = 1e-6
"""What rounding may move an answer by, in its standard errors; solvers stop at 1e-8 of theirs."""

THEORY = {
    ("doubleml/[ipr]*", "order of rows"): "folds are dealt to rows, of panels to units, in order",
    ("bayes/experiment", "unit of the outcome"): "the prior of its effect has one",
    ("iv/plausibly-exogenous", "unit of the outcome"): "the direct effect it allows has one",
    ("pysyncon/robust", "unit of the outcome"): "its ridge penalty has one",
    ("binary/*", "unit of the outcome"): "an event has none",
    ("lifelines/*", "unit of the outcome"): "tau has one, and a ratio of hazards none",
}
"""Where theory does not say that it holds: estimator, equivalence, why."""

MINE = [
    name
    for name, entry in registry.entries("estimator").items()
    if entry.built_in and not entry.value.oracle and not name.startswith("pysyncon/augm")
]  # its penalty by cross-validation takes seconds a fit


def problem_of(method, **form):
    """Return data of the place where the suite has the estimator, and quick options."""
    place = quirks.place_of(method)
    forms = {name: values[0] for name, values in open_forms(method, place).items()} | form
    scenario = configure(find_scenario(place.scenario), forms)
    draw = scenario.draw(place.n, np.random.default_rng(5))
    options = quirks.first(quirks.VALUES, method.name) or {}
    given = Problem.of(draw, scenario.assigned_roles(), method.targets_of(scenario), 0.9)
    return given, {key: values[0] for key, values in options.items()}


def excused(name, equivalence):
    return any(fnmatchcase(name, glob) and equivalence == e for glob, e in THEORY)


@pytest.mark.parametrize("name", MINE)
def test_what_must_not_matter_does_not(name):
    method = find_estimator(name)
    given, options = problem_of(method)
    found = deviations(method, given, **options)
    assert found.keys() == EQUIVALENCES.keys()
    moved = {k: v for k, v in found.items() if v > ROUNDING and not excused(name, k)}
    assert not moved
    for equivalence, by in found.items():  # an excuse that is not needed goes stale
        assert not excused(name, equivalence) or by > ROUNDING
    assert not level_faults(method, given, **options)


AWKWARD = {
    "covariates": ("discrete", "category"), "missing": ("unbalanced", "gaps"), "numbers": ("whole",)
}  # fmt: skip
"""Forms in which rows are alike (at a cutoff, their running variables), or units miss some."""


def awkward(method):
    """Return which of those forms are open to an estimator, one at a time."""
    place = quirks.place_of(method)
    there = open_forms(method, place)
    return [
        {k: v}
        for k, values in AWKWARD.items()
        for v in values
        if v in there.get(k, ()) and (k != "numbers" or place.scenario == "quirks/rd")
    ]


ORDERED = [
    (name, form)
    for name in MINE
    for form in awkward(find_estimator(name))
    if not excused(name, "order of rows")
]


@pytest.mark.parametrize(("name", "form"), ORDERED, ids=str)
def test_the_order_of_rows_does_not_matter_where_rows_are_alike_or_missing(name, form):
    method = find_estimator(name)
    given, options = problem_of(method, **form)
    for way in ({}, {"unbalanced": "drop"} if "unbalanced" in options else {}):
        before = answer(method, given, **options | way)
        for seed in (1, 2):
            after = answer(method, shuffled(given, seed), **options | way)
            assert distance(before, after) <= ROUNDING


def test_a_tie_that_is_broken_by_the_order_of_rows_is_caught_by_discrete_covariates_alone():
    def first_match(problem, rng):
        """Match each treated row with the nearest untreated one that comes first in the file."""
        x, d, y = problem.covariates, problem.treatment, problem.outcome
        apart = np.abs(x[d == 1][:, None] - x[d == 0]).sum(axis=2)
        gaps = y[d == 1] - y[d == 0][apart.argmin(axis=1)]
        return Estimate.wald(float(gaps.mean()), float(gaps.std() / 10), problem.level)

    method = Estimator("planted/first-match", first_match, targets=(Estimand.ATE,))
    for covariates, caught in (("continuous", False), ("discrete", True)):
        given = arms(covariates=covariates)
        moved = distance(answer(method, given), answer(method, shuffled(given)))
        assert (moved > 0.01) is caught


def planted(fault):
    """Return a difference in means with a fault of the kind that ships."""

    def fit(problem, rng):
        frame = problem.frame
        y, d = frame[problem.roles.outcome], frame[problem.roles.treatment] == 1
        if fault == "order of rows":
            y, d = y.iloc[:-1], d.iloc[:-1]
        if fault == "repeated index":
            y = y.groupby(level=0).first().reindex(y.index)
        if fault == "order of columns":
            y = frame[frame.columns[0]]
        if fault == "order of covariates":
            y = y * (1 + 0.1 * frame[problem.roles.covariates[0]])
        if fault == "type of numbers" and problem.treatment.dtype.kind == "i":
            y = y // 100 * 100  # whole numbers divided as such
        se = np.sqrt(y[d].var() / d.sum() + y[~d].var() / (~d).sum())
        se = max(se, 1.0) if fault == "unit of the outcome" else se
        level = 0.95 if fault == "level" else problem.level
        return Estimate.wald(float(y[d].mean() - y[~d].mean()), float(se), level)

    return Estimator("planted/fault", fit, targets=(Estimand.ATE,))


def arms(**forms):
    scenario = find_scenario("quirks/arms")(**forms)
    draw = scenario.draw(200, np.random.default_rng(5))
    return Problem.of(draw, scenario.assigned_roles(), scenario.targets(), 0.9)


@pytest.mark.parametrize("fault", EQUIVALENCES)
def test_a_planted_fault_is_caught_by_its_equivalence_alone(fault):
    given = arms(numbers="whole") if fault == "type of numbers" else arms()
    found = deviations(planted(fault), given)
    assert found[fault] > 1e-3
    spared = {"type of numbers": {"unit of the outcome"}}.get(fault, set())  # it makes doubles, too
    assert all(by < ROUNDING for name, by in found.items() if name not in {fault, *spared})
    clean = deviations(planted("none"), given)
    assert max(clean.values()) < ROUNDING and not level_faults(planted("none"), given)


def test_limits_that_do_not_heed_the_level_are_caught():
    faults = level_faults(planted("level"), arms())
    assert faults and "high of ATE" in faults[0]


def test_distances_are_in_standard_errors_and_infinite_where_one_does_not_answer():
    one = {("ATE", "value"): 2.0, ("ATE", "se"): 0.5}
    assert distance(one, {("ATE", "value"): 2.1, ("ATE", "se"): 0.5}) == pytest.approx(0.2)
    assert distance(one, {("ATE", "value"): 2000.0, ("ATE", "se"): 500.0}, 1000.0) == 0
    assert distance(one, {}) == np.inf
    assert distance(one, {("ATE", "value"): np.nan, ("ATE", "se"): 0.5}) == np.inf


def test_data_that_is_declined_cannot_be_tried():
    def fit(problem, rng):
        raise Declined("never")

    method = Estimator("planted/declines", fit, targets=(Estimand.ATE,))
    assert answer(method, arms()) == {}
    with pytest.raises(ContractError, match="declines the data"):
        deviations(method, arms())
