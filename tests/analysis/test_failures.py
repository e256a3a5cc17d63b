"""The reasons of failures, tallied by cell and estimator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from replicates import joined, replicate_table, write_replicates

import cibench
from cibench.analysis import judge_expectations, score, tally_failures
from cibench.analysis.failures import COLUMNS, commonest_reasons
from cibench.results import RunTables
from cibench.utils.errors import BadInput

MIXED = replicate_table(
    status=["failed", "ok", "failed", "timeout", "failed", "declined"],
    reason=["singular", None, "no units", None, "singular", "too few clusters"],
)


def told(table: pd.DataFrame) -> list[list[Any]]:
    names = ["estimator", "status", "reason", "fits", "of", "share", "first"]
    return tally_failures(table)[names].to_numpy().tolist()


def test_reasons_are_counted_the_most_frequent_first() -> None:
    assert told(MIXED) == [
        ["test/a", "failed", "singular", 2, 6, 2 / 6, 0],
        ["test/a", "failed", "no units", 1, 6, 1 / 6, 2],
        ["test/a", "timeout", "no reason given", 1, 6, 1 / 6, 3],
        ["test/a", "declined", "too few clusters", 1, 6, 1 / 6, 5],
    ]
    assert list(tally_failures(MIXED)) == list(COLUMNS)


def test_a_fit_that_fails_for_several_targets_counts_once_and_refits_not() -> None:
    several = pd.concat([MIXED, MIXED.assign(estimand="ATT"), MIXED.assign(refit=1)])
    assert told(several) == told(MIXED)


def test_a_reason_is_charged_to_the_target_that_was_lost_to_it() -> None:
    """The same 40 fits: `rare` makes most losses of all, of SATE it makes the fewest."""
    status = ["failed"] * 30 + ["ok"] * 10
    reasons = {
        ("ATE", None): ["rare"] * 30 + [None] * 10,
        ("SATE", None): ["rare"] * 5 + ["often"] * 25 + [None] * 10,
        ("ATT", 2): ["late"] * 30 + [None] * 10, ("ATT", 1): [None] * 40,
    }  # fmt: skip
    parts = [
        replicate_table(np.arange(40.0), estimand=estimand, horizon=horizon, reason=why,
                        status=["ok"] * 40 if horizon == 1 else status)
        for (estimand, horizon), why in reasons.items()
    ]  # fmt: skip
    for table in (joined(*parts), joined(*parts[::-1])):
        tally, scores = tally_failures(table), score(table, {})
        why = commonest_reasons(scores, tally)
        charged = zip(scores["estimand"], scores["horizon"], why, strict=True)
        assert {(e, None if pd.isna(h) else h, w) for e, h, w in charged} == {
            ("ATE", None, "rare"), ("SATE", None, "often"), ("ATT", 2, "late"), ("ATT", 1, "")
        }  # fmt: skip
        by = tally.set_index("reason")
        assert json.loads(by.loc["rare", "targets"]) == {"ATE": 30, "SATE": 5}
        assert by.loc["rare", "fits"] == 30 and json.loads(by.loc["late", "targets"]) == {
            "ATT[2]": 30
        }
        notes = judge_expectations(scores, {}, {}, tally).set_index("estimand")["note"]
        assert notes["SATE"].endswith("answered 10 of 40: often")


def test_cells_and_estimators_stand_apart_in_order() -> None:
    moved = {"dial": "d", "setting": 0.5, "dials": '{"d":0.5}'}
    table = pd.concat([
        MIXED.assign(estimator="test/b"), MIXED, MIXED.assign(**moved),
        MIXED.assign(kind="diagnostic", estimand=None), MIXED.assign(options='{"k":1}'),
    ])  # fmt: skip
    found = tally_failures(table)
    assert len(found) == 5 * 4
    assert found["estimator"].tolist()[:8] == ["test/b"] * 4 + ["test/a"] * 4
    assert found["setting"].tolist()[8:12] == [0.5] * 4 and found["setting"][:8].isna().all()


def test_without_failures_the_table_is_empty_with_its_columns() -> None:
    for table in (replicate_table(status=["ok"] * 3), MIXED.iloc[:0]):
        assert tally_failures(table).empty and list(tally_failures(table)) == list(COLUMNS)


def test_a_table_of_another_version_is_refused() -> None:
    with pytest.raises(BadInput, match="lacks columns: reason; was it written by another version"):
        tally_failures(MIXED.drop(columns="reason"))


def test_a_cell_in_several_shards_is_tallied_as_one(tmp_path: Path) -> None:
    table = pd.concat([MIXED, MIXED.assign(scenario="test/other")])
    write_replicates(tmp_path, *(shard for _, shard in table.groupby(table["replicate"] % 2)))
    found = RunTables.of_folder(tmp_path, {})["failures"]
    keys = ["scenario", "status", "reason"]
    expected = tally_failures(table)
    both = [t.sort_values(keys).reset_index(drop=True) for t in (found, expected)]
    pd.testing.assert_frame_equal(*both, check_dtype=False)
    assert found["fits"].tolist() == [2, 1, 1, 1, 2, 1, 1, 1]


def test_a_run_writes_comparisons_ranks_and_failures(tmp_path: Path) -> None:
    suite = {
        "name": "small", "seed": 3, "replicates": 6,
        "compare": "oracle/experiment", "ranking": {"worst": 50, "measure": "rmse"},
        "cells": [{
            "scenario": "did/two-group", "n": 20,
            "estimators": ["naive/difference-in-means", "baseline/zero", "oracle/experiment"],
        }],
    }  # fmt: skip
    run = cibench.run(suite, tmp_path / "run")
    run.write_scores()
    stored = pd.read_parquet(run.folder / "pairs.parquet")
    assert len(stored) == len(run.pairs) > 10
    assert set(stored["other"]) == {"oracle/experiment"}
    ranks = pd.read_csv(run.folder / "ranks.csv", keep_default_na=False)
    assert set(ranks["measure"]) == {"rmse"} and len(ranks) == 3
    assert ranks.set_index("estimator")["role"].to_dict() == {
        "oracle/experiment": "oracle", "baseline/zero": "baseline",
        "naive/difference-in-means": "baseline",
    }  # fmt: skip
    assert pd.read_csv(run.folder / "failures.csv").empty
    assert run.failures.empty
