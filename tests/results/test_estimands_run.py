"""Runs of ratios, arms and groups: rows, scores on their scale, joint coverage, old folders."""

import math

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import cibench
from cibench.report.views import unit_of
from cibench.storage.schema import LATER

BINARY = {
    "name": "binary", "seed": 4, "replicates": 60, "cells": [{
        "scenario": "binary/logistic", "n": 400,
        "estimators": ["binary/standardised", "binary/table"],
    }],
}  # fmt: skip
ARMS = {
    "name": "arms", "seed": 4, "replicates": 60,
    "cells": [{"scenario": "arms/trial", "n": 300, "estimators": ["arms/adjusted"]}],
}  # fmt: skip


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    return cibench.run(BINARY, tmp_path_factory.mktemp("binary") / "run")


def test_ratios_are_scored_as_a_loop_of_logarithms_scores_them(binary):
    rows = binary.replicates
    assert rows.loc[rows["estimand"] == "RISK_RATIO", "scale"].eq("log").all()
    mine = rows[(rows["estimand"] == "RISK_RATIO") & (rows["estimator"] == "binary/standardised")]
    scores = binary.scores.set_index(["estimator", "estimand"])
    line = scores.loc[("binary/standardised", "RISK_RATIO")]
    errors = np.log(mine["estimate"]) - np.log(mine["truth"])
    assert line["bias"] == pytest.approx(errors.mean())
    assert line["empirical_se"] == pytest.approx(np.log(mine["estimate"]).std(ddof=1))
    covered = (mine["ci_low"] <= mine["truth"]) & (mine["truth"] <= mine["ci_high"])
    assert line["coverage"] == pytest.approx(covered.mean())
    assert line["rejection"] == pytest.approx(((mine["ci_low"] > 1) | (mine["ci_high"] < 1)).mean())
    assert line["model_se"] == pytest.approx(math.sqrt((mine["std_error"] ** 2).mean()))
    assert line["truth"] == pytest.approx(math.log(mine["truth"].iloc[0]))
    plain = rows[rows["estimand"] == "RISK_DIFFERENCE"]
    assert plain["scale"].isna().all()


def test_no_odds_are_below_zero():
    from cibench import Estimand, Estimate, estimator

    @estimator("test/negative", targets=(Estimand.RISK_RATIO,), gives=("value",))
    def negative(problem, rng):
        return Estimate(-0.5)

    cell = {"scenario": "binary/logistic", "n": 50, "estimators": ["test/negative"]}
    run = cibench.run({"name": "no", "seed": 1, "replicates": 3, "cells": [cell]})
    assert run.replicates["status"].eq("nonfinite").all()
    assert "a ratio is above zero" in run.replicates["reason"].iloc[0]


def test_arms_and_groups_are_rows_of_their_own_and_scored_together():
    run = cibench.run(ARMS)
    rows, scores = run.replicates, run.scores
    assert set(rows["contrast"]) == {f"{k} vs 0" for k in range(1, 5)}
    assert set(rows["group"].dropna()) == {"0", "1"}
    assert len(scores) == 12 and scores["replicates"].eq(60).all()
    held = rows.assign(
        held=(rows["band_low"] <= rows["truth"]) & (rows["truth"] <= rows["band_high"])
    )
    joint = held.groupby("replicate")["held"].all().mean()
    assert scores["simultaneous_coverage"].tolist() == pytest.approx([joint] * 12)


def test_a_folder_of_older_rows_is_read_scored_and_gone_on_with(binary, tmp_path):
    plain = {
        "name": "old", "seed": 4, "replicates": 20,
        "cells": [{"scenario": "did/two-group", "n": 40, "estimators": ["did/collapsed"]}],
    }  # fmt: skip
    folder = tmp_path / "run"
    new = cibench.run(plain, folder)
    expected = new.scores
    for shard in (folder / "replicates").glob("*.parquet"):
        table = pq.read_table(shard)
        pq.write_table(table.drop_columns(list(LATER)), shard)
    again = cibench.load(folder)
    pd.testing.assert_frame_equal(again.scores, expected)
    more = cibench.run({**plain, "replicates": 30}, folder)
    assert more.replicates["replicate"].tolist() == list(range(30))


def test_the_report_says_in_what_errors_are(binary):
    page = binary.write_report().read_text(encoding="utf-8")
    assert "RISK_RATIO (logarithms)" in page
    assert unit_of({"estimand": "RISK_RATIO", "scale": "log"}) == "log of the ratio"
    assert unit_of({"estimand": "RISK_DIFFERENCE", "scale": None}) == "share"
    assert unit_of({"estimand": "ATT", "scale": None}) == "units of the outcome"
    assert "1.3123 (0.27178 in logarithms)" in page
    run = cibench.run(ARMS)
    words = run.write_report().read_text(encoding="utf-8")
    assert "All targets at once" in words and "group 1, 4 vs 0" in words
