"""Replicates that share a data set are noticed and told."""

import numpy as np
import pandas as pd
from replicates import joined, replicate_table

import cibench
from cibench.analysis import find_repeated_data
from cibench.storage.schema import CELL

STORED = '''"""y = d + e, from one stored table."""
from dataclasses import dataclass
import numpy as np
from cibench import Draw, Estimand, Roles, Scenario, scenario

@scenario("own/stored")
class Stored(Scenario):
    """One table, again and again."""
    estimand = Estimand.ATE
    def truth(self):
        return 1.0
    def draw(self, n, rng):
        fixed = np.random.default_rng(1)
        d, e = fixed.integers(0, 2, n), fixed.normal(size=n)
        return Draw(columns={"y": d + e, "d": d}, baseline=e, effects=np.ones(n))
'''


def test_hashes_are_counted_cell_by_cell_whoever_answered():
    rng = np.random.default_rng(2)
    own = rng.integers(-(2**62), 2**62, 50)
    again = np.where(np.arange(50) % 5 == 0, own[0], own)
    table = joined(
        *(replicate_table(np.ones(50), estimator=e, data_hash=own, n=50) for e in "ab"),
        *(replicate_table(np.ones(50), estimator=e, data_hash=again, n=60) for e in "ab"),
        replicate_table(
            np.ones(3), data_hash=[2**62, 2**62 + 1, 2**62 + 2], n=70
        ),  # equal as floats
    )
    found = find_repeated_data(table)
    by_hand = table[table["n"] == 60].groupby(list(CELL), dropna=False)["data_hash"].nunique()
    assert found[["n", "replicates", "data_sets"]].to_numpy().tolist() == [[60, 50, 41]]
    assert by_hand.tolist() == [41]


def test_replicates_that_could_not_be_drawn_and_refits_are_no_repetitions():
    drawn = replicate_table(np.ones(10))
    lost = drawn.assign(data_hash=drawn["data_hash"].astype("Int64"))
    lost.loc[lost["replicate"] > 5, "data_hash"] = pd.NA
    again = drawn.assign(refit=1)
    assert find_repeated_data(joined(drawn, again)).empty
    assert find_repeated_data(lost).empty


def test_a_stored_table_is_told_on_the_page_the_terminal_and_in_a_file(tmp_path, shelves, capsys):
    from cibench.cli.display import show_scores

    (tmp_path / "own.py").write_text(STORED)
    cell = {"scenario": "own/stored", "n": 50, "estimators": ["naive/difference-in-means"]}
    spec = {"name": "stored", "seed": 1, "replicates": 30, "cells": [cell]}
    run = cibench.run({**spec, "plugins": [str(tmp_path / "own.py")]}, tmp_path / "run")
    run.write_scores()
    line = "own/stored, n = 50, default: 30 replicates are 1 data set"
    assert pd.read_csv(tmp_path / "run" / "repeated.csv")["data_sets"].tolist() == [1]
    page = run.write_report()
    text = page.read_text(encoding="utf-8")
    assert line in text and "1 cell with repeated data sets" in text
    show_scores(run)
    assert f"equal data sets: {line}" in capsys.readouterr().out
