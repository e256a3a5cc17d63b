"""Planted faults of the new nouns: each is caught by the check that is meant for it, and no other.

A fault is a change of one draw, truth or declaration of a scenario that keeps to its contract.
"""

from functools import partial

import numpy as np
import pytest

from cibench import Draw, Estimand, Estimate, Roles, Scenario, Target, Truth, find_scenario
from cibench.contracts import SCENARIO_CHECKS, preflight
from cibench.contracts.common import ContractError
from cibench.model.design import truths

CHECKS = {check.__name__: check for check in SCENARIO_CHECKS}


def changed(name, truth=None, draw=None, targets=None):
    """Return an instance of a scenario with some of its parts changed."""
    base = find_scenario(name)

    class Faulty(base):
        def truth(self):
            known = dict(super().truth())
            return {t: (truth or (lambda _, v: v))(t, v) for t, v in known.items()}

        def draw(self, n, rng):
            drawn = super().draw(n, rng)
            return draw(drawn) if draw else drawn

        def targets(self):
            return targets(super().targets()) if targets else super().targets()

    return Faulty()


def with_columns(drawn: Draw, **columns) -> Draw:
    from dataclasses import replace

    return replace(drawn, columns={**drawn.columns, **columns})


def off(factor, only=None):
    return lambda t, v: v * factor if only in (None, str(t.estimand)) else v


def permuted(drawn):
    d = drawn.columns["d"]
    return with_columns(drawn, d=np.where(d == 1, 2, np.where(d == 2, 1, d)))


def censored_as_events(drawn):
    return with_columns(drawn, event=np.ones_like(drawn.columns["event"]))


def groups_swapped(drawn):
    return with_columns(drawn, g=1 - drawn.columns["g"])


def seen_late(drawn):
    y, event = drawn.columns["y"], drawn.columns["event"]
    return with_columns(drawn, y=np.where(event == 0, drawn.latent["y"] * 1.1, y))


def leaked(drawn):
    return with_columns(drawn, x=drawn.arms[3] * 2 + 1)


FAULTS = {
    "a risk ratio off by 2 %": (
        "binary/logistic", {"truth": off(1.02, "RISK_RATIO")}, "check_truth_value",
    ),
    "an odds ratio off by 2 %": (
        "binary/logistic", {"truth": off(0.98, "ODDS_RATIO")}, "check_truth_value",
    ),
    "a ratio of zero": ("binary/logistic", {"truth": off(0.0, "RISK_RATIO")}, "check_truth_keys"),
    "a restricted mean off by 2 %": (
        "survival/weibull", {"truth": off(1.02, "RMST_DIFFERENCE(1)")}, "check_truth_value",
    ),
    "a hazard ratio off by 2 %": (
        "survival/weibull", {"truth": off(1.02, "LOG_HAZARD_RATIO")}, "check_truth_value",
    ),
    "an arm's effect off by 2 %": ("arms/trial", {"truth": off(1.02)}, "check_truth_value"),
    "arm labels permuted": ("arms/trial", {"draw": permuted}, "check_arms"),
    "groups swapped": ("arms/trial", {"draw": groups_swapped}, "check_groups"),
    "an arm in a covariate": ("arms/trial", {"draw": leaked}, "check_no_leak"),
    "an arm that nobody drew": (
        "arms/trial",
        {"targets": lambda ts: (*ts[:-1], Target(Estimand.ATE, contrast=(7, 0)))},
        "check_arms",
    ),
    "censored rows counted as events": (
        "survival/weibull", {"draw": censored_as_events}, "check_censoring",
    ),
    "rows censored after their event": ("survival/weibull", {"draw": seen_late}, "check_censoring"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught_by_the_check_meant_for_it(fault):
    name, parts, check = FAULTS[fault]
    with pytest.raises((ContractError, KeyError)) as caught:
        CHECKS[check](changed(name, **parts))
    assert isinstance(caught.value, ContractError), caught.value


@pytest.mark.parametrize("name", ["binary/logistic", "survival/weibull", "arms/trial"])
def test_without_a_fault_the_checks_are_silent(name):
    for check in ("check_arms", "check_groups", "check_censoring", "check_null", "check_no_leak"):
        CHECKS[check](changed(name))


def test_a_wrong_value_of_no_effect_is_caught():
    wrong = Estimand.define(
        "TEST_WRONG_NULL", "a ratio of means whose no effect is said to be zero", unit="ratio",
        functional=Estimand.RISK_RATIO.definition.functional,
    )  # fmt: skip
    base = find_scenario("binary/logistic")
    ours = changed(
        "binary/logistic", truth=lambda t, v: v,
        targets=lambda ts: tuple(t._replace(estimand=wrong) for t in ts[1:2]),
    )  # fmt: skip
    assert isinstance(ours, Scenario) and base is not type(ours)
    with pytest.raises(ContractError, match="no effect is said to be 0, but its functional"):
        CHECKS["check_null"](ours)


GROSSLY = {
    "ratio": ("binary/logistic", off(1.2, "RISK_RATIO")),
    "restricted mean": ("survival/weibull", off(1.5, "RMST_DIFFERENCE(1)")),
}


@pytest.mark.parametrize("what", [*GROSSLY, "right"])
def test_a_run_looks_at_functionals_before_it_begins(what):
    name, truth = GROSSLY.get(what, ("binary/logistic", None))
    instance = changed(name, truth=truth)
    for target, value in instance.truth().items():
        gross = truth is not None and value != truths(find_scenario(name)())[target].value
        check = partial(preflight._require_truth, instance, 400, target, Truth(value), np.inf)
        if gross:
            with pytest.raises(ContractError, match="the estimand of the outcomes drawn"):
                check()
        else:
            check()


UNITS = "units"


def of_units(effects=None, expected=None, propensity=None, points=None):
    """Return a design whose units' effects are asked, with some of its parts changed."""
    from dataclasses import replace

    class Units(Scenario):
        """tau = X, with a coin of each unit's own beside it; D follows a logit of X."""

        name = UNITS
        estimand = (Estimand.ATE, Estimand.CATE)
        roles = Roles(covariates=("x",))
        reference = "here"
        points = 200

        def truth(self):
            return {Target(Estimand.ATE): 0.0}

        def draw(self, n, rng):
            x, e = rng.standard_normal((2, n))
            if points is not None and n == self.points:
                x = points
            coin = 0.5 * (2.0 * rng.integers(0, 2, n) - 1)
            chance = 1 / (1 + np.exp(-x))
            d = (rng.random(n) < chance).astype(float)
            own = Draw({"y": e + (x + coin) * d, "d": d, "x": x}, e, x + coin)
            own = replace(own, expected=x, propensity=chance)
            changes = {"effects": effects, "expected": expected, "propensity": propensity}
            return replace(own, **{k: f(getattr(own, k)) for k, f in changes.items() if f})

    return Units()


def test_units_that_are_what_is_said_of_them_pass():
    for name in ("check_unit_effects", "check_points"):
        CHECKS[name](of_units())


@pytest.mark.parametrize(
    "change",
    [
        {"expected": lambda v: 1.02 * v},
        {"expected": lambda v: v + 0.02},
        {"expected": lambda v: -v},
        {"propensity": lambda v: 1 - v},
        {"propensity": lambda v: 0.98 * v},
    ],
)
def test_effects_and_chances_of_units_that_are_off_are_told(change):
    with pytest.raises(ContractError, match="differ"):
        CHECKS["check_unit_effects"](of_units(**change))


def test_points_that_are_rows_of_the_data_are_told(monkeypatch):
    from cibench.contracts import scenario_units

    honest = of_units()
    leaked = scenario_units.small_draw(honest).columns["x"][:200]
    leaked = np.resize(leaked, 200)
    with pytest.raises(ContractError, match="points are rows of the data"):
        CHECKS["check_points"](of_units(points=leaked))


@pytest.mark.parametrize(
    ("gives", "words"),
    [
        (("value", "se", "limits", "effects"), ""),
        (("value", "se", "limits"), "gives effects, but does not declare it"),
        (("value", "se", "limits", "effects", "weights"), "declares that it gives weights"),
    ],
)
def test_effects_of_units_are_declared_as_they_are_given(gives, words):
    from types import SimpleNamespace

    from cibench.contracts.estimator_fits import _check_answer
    from cibench.model.method import Estimator

    scenario = of_units()
    mean = Estimate.wald(0.1, 0.2, 0.95)
    units = Estimate(None, effects=np.zeros(200))
    if "effects" not in gives:
        units = Estimate(0.1, 0.2, -1.0, 1.0, effects=np.zeros(200))
    both = (Estimand.ATE, Estimand.CATE)
    method = Estimator("units/both", lambda problem, rng: None, both, gives=gives)
    answer = {Target(Estimand.ATE): mean, Target(Estimand.CATE): units}
    trial = SimpleNamespace(scenario=scenario, answer=answer)
    if not words:
        _check_answer(method, trial, "here")
        return
    with pytest.raises(ContractError, match=words):
        _check_answer(method, trial, "here")


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_rounding_of_large_effects_is_no_difference(scale):
    from cibench.contracts.scenario_units import _require_noise

    values = scale * np.linspace(1, 2, 50)
    along = np.column_stack([np.ones(50), values])
    _require_noise(of_units(), [(np.full(50, 1e-15 * scale), along)], "differ")
    with pytest.raises(ContractError, match="differ"):
        _require_noise(of_units(), [(np.full(50, 1e-9 * scale), along)], "differ")
