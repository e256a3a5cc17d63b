"""Posteriors are judged where every parameter comes from their own prior, and rightly."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstwo, norm

import cibench
from cibench.analysis.calibration import ALPHA, CALIBRATION, uniformity

PLUGIN = '''
"""A normal mean with a normal prior, and posteriors that are right, too narrow and shifted."""
from dataclasses import replace
import numpy as np
from cibench import Draw, Estimand, Estimate, Scenario, dial, estimator, scenario

@scenario("prior/mean")
class Mean(Scenario):
    """Y = effect D + e, the effect drawn from N(0, 1) in each data set."""
    estimand = Estimand.SATE
    reference = "none"
    prior_of = "prior/conjugate"
    shift: float = dial(default=0, grid=(1.0,), within=(-9, 9), breaks="prior is right",
                        unit="s.d. of the prior")

    def draw(self, n, rng):
        effect, e = rng.normal(), rng.normal(size=n)
        d = np.arange(n) % 2.0
        effect += self.shift
        return Draw({"y": effect * d + e, "d": d}, e, np.full(n, effect))

def posterior(mean, sd, problem, rng):
    draws = mean + sd * rng.normal(size=2000)
    return replace(Estimate.wald(mean, sd, problem.level), draws=draws)

@estimator("prior/conjugate", targets=(Estimand.SATE,))
def conjugate(problem, rng, *, wide: float = 1.0):
    y = problem.outcome[problem.treatment == 1]
    precision = 1 + y.size
    return posterior(y.sum() / precision, wide / np.sqrt(precision), problem, rng)

@estimator("prior/flat", targets=(Estimand.SATE,))
def flat(problem, rng):
    y = problem.outcome[problem.treatment == 1]
    return posterior(y.mean(), 1 / np.sqrt(y.size), problem, rng)
'''


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prior")
    (folder / "prior.py").write_text(PLUGIN)
    cell = {"scenario": "prior/mean", "n": 20, "estimators": ["prior/*"], "dials": "grid"}
    narrow = {**cell, "estimators": ["prior/conjugate"], "dials": {}, "n": 30}
    narrow["options"] = {"prior/conjugate": {"wide": 0.7}}
    suite = {
        "name": "prior", "seed": 1, "replicates": 400, "plugins": [str(folder / "prior.py")],
        "cells": [cell, narrow],
    }  # fmt: skip
    return cibench.run(suite, folder / "run")


def test_only_the_estimator_whose_prior_it_is_is_judged_and_only_at_its_defaults(run):
    table = run.calibration
    assert tuple(table.columns) == CALIBRATION
    [line] = table.to_dict("records")
    assert (line["estimator"], line["n"], line["replicates"]) == ("prior/conjugate", 20, 400)
    assert line["calibrated"] and line["p_value"] > 0.001
    assert abs(line["pit_mean"] - 0.5) < 4 * line["pit_mean_mcse"]
    assert abs(line["pit_dispersion"] - 1) < 4 * line["pit_dispersion_mcse"]


def test_it_is_written_and_told(run):
    run.write_scores()
    path = run.write_report()
    written = pd.read_csv(run.folder / "calibration.csv")
    assert len(written) == 1
    page = path.read_text()
    assert 'id="calibration"' in page and "Posteriors are calibrated" in page


def test_distances_and_limits_are_kolmogorovs():
    pit = np.array([0.1, 0.4, 0.45, 0.9])
    found = uniformity(pit, 0.05)
    assert found["distance"] == pytest.approx(0.3)  # 3/4 - 0.45
    assert found["limit"] == pytest.approx(0.62394, abs=1e-5)  # Kolmogorov's table, n = 4


def test_a_distance_counts_on_either_side_and_its_p_value_is_exact():
    pit = np.array([0.1, 0.4, 0.45, 0.9])
    sides = uniformity(pit, 0.05), uniformity(1 - pit, 0.05)
    assert [side["distance"] for side in sides] == pytest.approx([0.3, 0.3])
    # Marsaglia, Tsang and Wang's exact law of the two-sided distance
    assert [side["p_value"] for side in sides] == pytest.approx([kstwo.sf(0.3, 4)] * 2)


def test_all_posteriors_of_a_table_stay_below_their_limits_together(run):
    rows = run.replicates[run.replicates["estimator"] == "prior/conjugate"]
    several = pd.concat([rows, *(rows.assign(n=rows["n"] + 100 * k) for k in range(1, 4))])
    table = cibench.analysis.judge_calibration(several, run.catalogue)
    assert len(table) == 4
    assert table["limit"].to_numpy() == pytest.approx(kstwo.isf(0.05 / 4, 400))


def test_false_alarms_are_as_stated_and_a_narrow_posterior_is_found():
    rng = np.random.default_rng(7)
    trials = 400
    alarms = sum(not uniformity(rng.random(100), ALPHA)["calibrated"] for _ in range(trials))
    assert abs(alarms / trials - ALPHA) < 4 * np.sqrt(ALPHA * (1 - ALPHA) / trials)
    narrow = norm.cdf(rng.normal(size=(50, 1000)) / 0.8)  # posteriors a fifth too narrow
    found = sum(not uniformity(pit, ALPHA)["calibrated"] for pit in narrow)
    assert found >= 0.98 * 50
