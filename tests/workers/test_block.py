"""Rows carry the truth of their own number of units."""

import numpy as np
import pytest

import cibench
from cibench import Estimand, Target, find_scenario
from cibench.suite import parse_suite
from cibench.utils.errors import UndrawnData

CELL = {
    "scenario": "did/staggered", "parameters": {"never": 0.25, "horizons": 1},
    "dials": {"heterogeneity": [0.2]}, "estimators": ["panel/twfe"],
}  # fmt: skip


def rows_of(sizes, **parameters):
    cell = {**CELL, "n": sizes, "parameters": {**CELL["parameters"], **parameters}}
    spec = {"name": "sizes", "seed": 3, "replicates": 2, "cells": [cell]}
    return cibench.run(parse_suite(spec)).replicates


def test_the_truth_of_a_row_is_the_mean_effect_among_its_units():
    rows = rows_of([10, 14, 200])
    scenario = find_scenario("did/staggered")(never=0.25, horizons=1, heterogeneity=0.2)
    overall = rows[(rows["horizon"].isna()) & (rows["dial"].notna())]
    for n, truth in overall.groupby("n")["truth"]:
        drawn = scenario.draw(n, np.random.default_rng(1)).averaged(Target(Estimand.ATT))
        assert truth.to_numpy() == pytest.approx(drawn.mean(), abs=1e-12)
    assert overall["truth"].nunique() == 3


def test_too_few_units_are_told_as_what_the_scenario_could_not_draw():
    with pytest.raises(UndrawnData, match="n = 3: in these shares no unit is left for ATT"):
        rows_of([3], never=0.9)
