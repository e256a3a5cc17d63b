"""How a suite is run changes none of its rows, and what no run can keep to is refused."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cibench.execution import RunSettings, Tuning, execute
from cibench.execution.runner import _Flight
from cibench.storage.schema import ADDRESS, MAY_DIFFER
from cibench.suite import parse_suite
from cibench.utils.errors import BadInput
from cibench.workers import Block, Result, Workplace, run_block

SPEC = {
    "name": "t", "seed": 1, "replicates": 30, "cells": [{
        "scenario": "did/two-group", "n": [20, 30],
        "estimators": ["naive/difference-in-means", "baseline/zero"],
    }],
}  # fmt: skip
ODD = Tuning(
    block_seconds=1e-9, tick_seconds=0.01, flush_seconds=0, waiting_rows=5, shard_rows=7,
    first_look=3,
)  # fmt: skip


def rows_of(folder, settings):
    execute(parse_suite(SPEC), folder, settings)
    rows = pd.read_parquet(folder / "replicates").drop(columns=list(MAY_DIFFER))
    return rows.sort_values(list(ADDRESS), ignore_index=True)


@pytest.mark.parametrize(
    "settings",
    [RunSettings(tuning=ODD), RunSettings(isolate=True), RunSettings(workers=2, tuning=ODD)],
    ids=["odd pace", "isolated", "two at an odd pace"],
)
def test_no_row_depends_on_the_settings(tmp_path, settings):
    plain = rows_of(tmp_path / "plain", RunSettings())
    rows = rows_of(tmp_path / "other", settings)
    pd.testing.assert_frame_equal(rows, plain, check_exact=True)
    shards = len(list((tmp_path / "other" / "replicates").iterdir()))
    assert (shards > 10) == (settings.tuning == ODD)  # 60 rows a cell, by seven


def test_fits_are_isolated_where_asked_or_where_there_is_more_than_this_process():
    assert not RunSettings().isolated
    for settings in (
        RunSettings(isolate=True), RunSettings(workers=2), RunSettings(executor="dask://host:1"),
    ):  # fmt: skip
        assert settings.isolated


def test_what_no_run_can_keep_to_is_refused():
    for workers in (0, -1, 10**6):
        with pytest.raises(BadInput, match=rf"^workers: {workers} is not a number of 1 to 1,000$"):
            RunSettings(workers)
    with pytest.raises(BadInput, match=r"^--executor: 'host:8786' is neither 'local' nor a sched"):
        RunSettings(executor="host:8786")
    with pytest.raises(BadInput, match="is not a number of 1 to 1,000"):
        replace(RunSettings(workers=2), workers=0)


class Lost(Exception):  # noqa: N818 - what happened to the block
    """Stand for what a cluster raises once it gives a block up."""


@pytest.mark.parametrize(("losses", "most"), [(0, 0), (2, 2), (3, 3), (1, 0), (3, 2)])
def test_a_lost_block_is_sent_again_as_often_as_the_tuning_says(losses, most):
    block = Block(
        0, {"scenario": "did/two-group", "n": 20, "dials": "{}", "parameters": "{}"}, (), (), 1,
        0.95, 0, 2,
    )  # fmt: skip
    sent = []

    def work(block: Block) -> Result:
        sent.append(block)
        if len(sent) <= losses:
            raise Lost("the workers died")
        return run_block(block)

    with ThreadPoolExecutor(1) as pool:
        place = Workplace(pool, work, lambda: 1, (Lost,))
        flight = _Flight(place, lambda: None, Tuning(tick_seconds=0.01, most_losses=most))
        if losses > most:
            with pytest.raises(
                BadInput, match=r"^workers die whatever they run: Lost: the workers"
            ):
                list(flight.finished(iter([block])))
        else:
            ((done, _),) = flight.finished(iter([block]))
            assert done == block
    assert len(sent) == min(losses, most) + 1


def test_the_clock_ticks_while_no_block_ends():
    ticks = []

    def work(block: object) -> Result:
        while len(ticks) < 3:
            pass
        return Result(None, 0.0)

    with ThreadPoolExecutor(1) as pool:
        place = Workplace(pool, work, lambda: 1)
        flight = _Flight(place, lambda: ticks.append(None), Tuning(tick_seconds=0.01))
        assert len(list(flight.finished(iter([np.arange(1)])))) == 1
    assert len(ticks) > 3
