from dataclasses import replace

import numpy as np
import pytest

import cibench
from cibench import Declined, Problem, find_estimator, find_scenario
from cibench.model.streams import stream

REPLICATES = 300


def scores(scenario, n, dials):
    cell = {
        "scenario": scenario, "n": n, "dials": dials, "vary": "crossed",
        "estimators": ["oracle/experiment", "baseline/zero"],
    }  # fmt: skip
    run = cibench.run({"name": "t", "seed": 1, "replicates": REPLICATES, "cells": [cell]})
    return run.scores.set_index("estimator")


@pytest.mark.parametrize(
    ("scenario", "n", "dials"),
    [
        ("rd/cct-2", 300, {"sorting": 0.4, "heaping": 0.4}),
        ("did/two-group", 40, {"trend": 0.1, "anticipation": 1.0, "rho": 0.9}),
    ],
)
def test_the_oracle_is_unbiased_and_honest_whatever_is_broken(scenario, n, dials):
    found = scores(scenario, n, dials).loc["oracle/experiment"]
    assert abs(found["bias"]) < 3 * found["bias_mcse"]
    assert found["coverage"] == pytest.approx(0.95, abs=3 * np.sqrt(0.05 * 0.95 / REPLICATES))
    assert found["se_ratio"] == pytest.approx(1, abs=3 * found["se_ratio_mcse"])


def test_the_zero_baseline_is_off_by_the_effect():
    found = scores("did/two-group", 10, {"rho": 0.0}).loc["baseline/zero"]
    assert (found["bias"], found["empirical_se"]) == (-0.5, 0.0)
    assert np.isnan(found["coverage"]) and found["answered"] == REPLICATES


def test_the_oracle_faces_the_same_numbers_at_every_setting():
    oracle = find_estimator("oracle/experiment")
    given = set()
    for sorting in (0.0, 0.4):
        scenario = find_scenario("rd/cct-1")(sorting=sorting)
        drawn = scenario.draw(200, stream("t"))
        problem = Problem.of(drawn, scenario.roles, scenario.targets())
        problem = replace(problem, draw=drawn)
        (estimate,) = oracle.fit(problem, stream("fit")).values()
        given.add((estimate.value, estimate.se))
    assert len(given) == 1


def test_too_few_units_to_experiment_on_are_declined():
    scenario = find_scenario("did/two-group")()
    drawn = scenario.draw(4, stream("t"))
    problem = Problem.of(drawn, scenario.roles, scenario.targets())
    problem = replace(problem, draw=drawn)
    with pytest.raises(Declined, match="2 units to experiment on"):
        find_estimator("oracle/experiment").fit(problem, stream("fit"))


def test_the_oracle_tosses_its_coins_and_never_looks_at_the_outcome():
    for name in ("rd/loyalty", "rd/fuzzy"):
        scenario = find_scenario(name)()
        draw = scenario.draw(2000, stream("test", name))
        problem = Problem.of(draw, scenario.roles, scenario.targets())
        fit = find_estimator("oracle/experiment").fit
        (first,) = fit(replace(problem, draw=draw), stream("fit")).values()
        blind = {**problem.columns, "y": np.zeros(2000)}
        (again,) = fit(replace(problem, draw=draw, columns=blind), stream("fit")).values()
        assert first.value == again.value and first.se == again.se
        assert abs(first.value - scenario.truth()) < 4 * first.se
