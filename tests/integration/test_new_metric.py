"""A metric is one function under one decorator: what is declared comes out everywhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from cibench import run
from cibench.execution.plans import plan
from cibench.metrics import METRICS, metric
from cibench.metrics.influence import Mean, Share
from cibench.metrics.registry import LIMITS, POINTS, REPORTED, Kind, Loss
from cibench.report.summary import summary
from cibench.suite.parse import parse_suite
from cibench.suite.published import read_published
from cibench.utils.errors import BadInput

Array = NDArray[Any]
SUITE = {
    "name": "small", "seed": 3, "replicates": 40,
    "cells": [{
        "scenario": "did/two-group", "n": 20, "dials": {"trend": [0.1]},
        "estimators": ["naive/difference-in-means", "panel/twfe", "baseline/zero"],
    }],
}  # fmt: skip
TABLES = (*REPORTED, "differences", "paper", "summary")


@pytest.fixture
def thrown_away() -> Any:
    """Declare two metrics for a while: a mean that can rank, and a share."""
    with METRICS.lent():

        @metric(
            POINTS, Kind.RELATIVE, label="root error", meaning="mean root of the absolute error",
            loss=Loss.ITSELF, power=1, tables=TABLES,
        )  # fmt: skip
        def root_error(t: Array, theta: Array) -> Mean:
            return Mean(np.sqrt(np.abs(t - theta)))

        @metric(LIMITS, Kind.SHARE, label="short", meaning="share of short sets", tables=TABLES)
        def short(low: Array, high: Array, outside: Array) -> Share:
            return Share(high - low < 1.5)

        yield


@pytest.mark.usefixtures("thrown_away")
def test_a_new_metric_is_scored_compared_ranked_and_reported(tmp_path: Path) -> None:
    spec = SUITE | {"ranking": {"measure": "root_error"}}
    found = run(spec, out=tmp_path / "run")
    found.write_scores()
    scores = pd.read_csv(tmp_path / "run" / "scores.csv")
    twfe = found.replicates.query("estimator == 'panel/twfe' and dial.isna()")
    roots = np.sqrt((twfe["estimate"] - twfe["truth"]).abs())
    line = scores.query("estimator == 'panel/twfe' and dial.isna()").iloc[0]
    assert line["root_error"] == pytest.approx(roots.mean())
    assert line["root_error_mcse"] == pytest.approx(roots.std(ddof=1) / np.sqrt(len(roots)))
    assert 0 <= line["short_low"] <= line["short"] <= line["short_high"] <= 1

    pairs = pd.read_parquet(tmp_path / "run" / "pairs.parquet").query("dial.isna()")
    pair = pairs[(pairs["other"] == "panel/twfe") & (pairs["measure"] == "root_error")].iloc[0]
    assert pair["other_value"] == pytest.approx(line["root_error"]) and pair["mcse"] > 0
    assert (pairs["measure"] == "short").any()
    assert set(found.ranks["measure"]) == {"root_error"} and len(found.ranks)

    page = found.write_report().read_text(encoding="utf-8")
    heads = [re.sub("<[^>]*>", "", head) for head in re.findall(r"<th\b[^>]*>(.*?)</th>", page)]
    assert {"root error", "short %", "short, points"} <= set(heads)
    assert "mean root of the absolute error" in page  # what the heading means
    assert "mean log ratio of their root error" in page  # the leaderboard
    assert "smaller is better, but of coverage, and of short neither." in page
    paper = (tmp_path / "run" / "tables" / "scores.md").read_text(encoding="utf-8")
    assert "| root error | short % |" in paper
    assert {"root error", "short %"} <= set(
        summary(found.scores, found.expectations, found.catalogue)
    )


@pytest.mark.usefixtures("thrown_away")
def test_a_new_metric_is_planned_for_and_published_figures_may_be_of_it(tmp_path: Path) -> None:
    spec = {k: v for k, v in SUITE.items() if k != "replicates"}
    suite = parse_suite(spec | {"precision": {"root_error": 0.05, "short": 0.1}})
    assert suite.precision is not None
    made = plan(suite, suite.precision.targets, pilot=20)
    assert all(cell.measure in ("root_error", "short") for cell in made.cells)
    figures = tmp_path / "published.csv"
    figures.write_text("measure,value,source\nroot_error,0.5,somebody\n", encoding="utf-8")
    assert read_published(figures)[0]["measure"] == "root_error"


def test_without_its_declaration_nobody_knows_it(tmp_path: Path) -> None:
    spec = {k: v for k, v in SUITE.items() if k != "replicates"}
    with pytest.raises(BadInput, match="no measure named 'root_error'"):
        parse_suite(spec | {"precision": {"root_error": 0.05}})
    figures = tmp_path / "published.csv"
    figures.write_text("measure,value,source\nroot_error,0.5,somebody\n", encoding="utf-8")
    with pytest.raises(BadInput, match="no measure named 'root_error'"):
        read_published(figures)
