"""The oracle for one treated unit: unbiased, honest, unmoved by dials."""

from dataclasses import replace

import numpy as np
import pytest

import cibench
from cibench import Declined, Problem, find_estimator, find_scenario
from cibench.model.streams import stream

REPLICATES = 400


@pytest.mark.parametrize(
    ("scenario", "n", "parameters", "dials"),
    [
        ("sc/factor-model", 20, {"treated": 1}, {"structural_break": 2.0, "spillover": 1.0}),
        ("business/cold-start", 5, {}, {"gap": 1.0}),
    ],
)
def test_it_is_unbiased_and_honest_with_one_treated_unit(scenario, n, parameters, dials):
    cell = {
        "scenario": scenario, "n": n, "parameters": parameters, "dials": dials, "vary": "crossed",
        "estimators": ["oracle/switchback"],
    }  # fmt: skip
    run = cibench.run({"name": "t", "seed": 1, "replicates": REPLICATES, "cells": [cell]})
    found = run.scores.iloc[0]
    assert found["answered"] == REPLICATES
    assert abs(found["bias"]) < 3 * found["bias_mcse"]
    assert found["coverage"] > 0.95 - 3 * np.sqrt(0.0475 / REPLICATES)


def test_it_tosses_its_coins_and_never_looks_at_the_outcome():
    scenario = find_scenario("sc/factor-model")(treated=1)
    draw = scenario.draw(30, stream("t"))
    problem = replace(Problem.of(draw, scenario.roles, scenario.targets()), draw=draw)
    fit = find_estimator("oracle/switchback").fit
    (first,) = fit(problem, stream("fit")).values()
    blind = {**problem.columns, "y": np.zeros(draw.effects.size)}
    (again,) = fit(replace(problem, columns=blind), stream("fit")).values()
    assert (first.value, first.se) == (again.value, again.se)


def test_a_handful_of_rows_is_declined():
    scenario = find_scenario("business/recall")(weeks=15, recall=12)
    draw = scenario.draw(10, stream("t"))
    problem = replace(Problem.of(draw, scenario.roles, scenario.targets()[:1]), draw=draw)
    with pytest.raises(Declined, match="3 rows to experiment on"):
        find_estimator("oracle/switchback").fit(problem, stream("fit"))
