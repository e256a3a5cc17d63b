"""The page on estimands: its blocks run, and its numbers are what it says."""

import re

import pytest
from pages import DOCS, own_processes, run_page

import cibench
from cibench import Estimand
from cibench.model.estimands import BUILT_IN


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    here = tmp_path_factory.mktemp("estimands")
    run_page("estimands.md", here, own_processes(here))
    return here


def test_a_ratio_by_group_is_scored_on_its_scale(folder):
    scores = cibench.load(folder / "run").scores
    mine = scores[scores["estimator"] == "asked/medians"]
    assert len(mine) == 3 and mine["scale"].eq("log").all()
    assert mine["group"].isna().sum() == 1
    for _, row in mine.iterrows():
        assert abs(row["bias"]) < 4 * row["bias_mcse"]
        assert row["coverage"] > 0.85
    zero = scores[scores["estimator"] == "baseline/zero"]
    assert zero["bias"].round(6).eq(zero["truth"].mul(-1).round(6)).all()  # it says: no effect


def test_effects_on_single_units_are_scored(folder):
    scores = cibench.load(folder / "who").scores
    units = scores[scores["estimand"] == "CATE"].set_index("estimator")
    zero, mine = units.loc["baseline/zero"], units.loc["units/interacted"]
    # of 200 standard normal effects: the root's mean, what treating nobody lacks at a cost of 0.2
    assert abs(zero["pehe"] - (1 - 1 / 800)) < 4 * zero["pehe_mcse"]
    lost = 0.3910427 - 0.2 * 0.4207403  # density and tail of a standard normal at 0.2
    assert abs(zero["regret"] - lost) < 4 * zero["regret_mcse"]
    assert zero["policy_value"] == 0 and zero["autoc"] == pytest.approx(0, abs=1e-12)
    assert mine["pehe"] < 0.5 and mine["regret"] < 0.05
    # of a perfect ranking it is the integral of the squared density over the tail, 0.9032
    assert 0.80 < mine["autoc"] < 0.9032 + 4 * mine["autoc_mcse"]


def test_the_table_of_estimands_is_whole():
    page = (DOCS / "estimands.md").read_text(encoding="utf-8")
    listed = re.findall(r"`([A-Z_]+)(?:\([a-z]+\))?`", page.split("## Ratios")[0])
    assert set(BUILT_IN) <= set(listed)
    for line in re.findall(r"^\| (`.*?) \|.*\| ([-0-9, ]*) \|$", page, re.M):
        names = re.findall(r"`([A-Z_]+)", line[0])
        nulls = [float(x) for x in line[1].split(",") if x.strip()]
        for place, name in enumerate(names):
            stated = nulls[place] if len(nulls) == len(names) else nulls[0] if nulls else None
            if stated is not None:
                assert Estimand(name).null == stated, name
