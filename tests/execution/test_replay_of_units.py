"""Replay fits whose answers are about units beside the rows: the bundle holds these too."""

import numpy as np
import pandas as pd
import pytest

from cibench.execution import RunSettings, execute, replay_bundle, replays
from cibench.execution.replays import FitAddress
from cibench.suite.parse import parse_suite

PLUGIN = """
import numpy as np
from cibench import Draw, Estimand, Estimate, Roles, Scenario, estimator, scenario

@scenario("units/linear")
class Linear(Scenario):
    "The effect is the first covariate."

    estimand = Estimand.CATE
    roles = Roles(covariates=("x", "w"))
    points, cost, reference = 40, 0.25, "made for this test"

    def draw(self, n, rng):
        x, w, e = rng.standard_normal((3, n))
        d = np.arange(n) % 2
        return Draw({"y": w + x * d + e, "d": d, "x": x, "w": w}, w + e, x)

@estimator("units/nearest", targets=(Estimand.CATE,), gives=("effects",), assumes=())
def nearest(problem, rng):
    "Say what the points add up to, so that any other points are seen."
    effects = problem.points @ np.array([1.0, 0.5]) + problem.outcome.mean() - problem.cost
    return Estimate(None, effects=effects)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("units")
    (folder / "units.py").write_text(PLUGIN)
    cell = {"scenario": "units/linear", "n": 30, "estimators": ["units/nearest"]}
    spec = {"name": "units", "seed": 4, "replicates": 2, "plugins": [str(folder / "units.py")]}
    execute(parse_suite({**spec, "cells": [cell]}), folder / "run", RunSettings(workers=1))
    return folder / "run"


def test_the_units_of_a_bundle_are_those_that_were_drawn(run, tmp_path):
    made = replays.replay(run, FitAddress("units/linear", "units/nearest", 1, 30, {}))
    assert (made.differences, made.changed) == ([], [])
    folder = replay_bundle.write_bundle(made, tmp_path / "bundle")
    points = pd.read_csv(folder / "points.csv")
    assert list(points) == ["x", "w"]
    outcome = pd.read_parquet(folder / "data.parquet")["y"]
    effects = points @ np.array([1.0, 0.5]) + outcome.mean() - 0.25
    pehe = pd.read_parquet(run / "replicates").query("replicate == 1")["pehe"].iloc[0]
    assert pehe == pytest.approx(np.sqrt(np.mean((effects - points["x"]) ** 2)), rel=1e-12)
    text = (folder / "output.txt").read_text()
    printed = text[text.index("effects=array([") + 15 :].split("]")[0]
    assert [float(v) for v in printed.split(",")] == pytest.approx(list(effects), abs=1e-6)
