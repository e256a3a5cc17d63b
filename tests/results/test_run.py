"""The one function that runs a suite: what it takes, whom it tells, and how it is interrupted."""

import pandas as pd
import pytest

import cibench
from cibench.execution import RunSettings, Tuning
from cibench.storage.schema import MAY_DIFFER
from cibench.utils.errors import BadInput, RunInterrupted

SPEC = {
    "name": "t", "seed": 1, "replicates": 20, "cells": [{
        "scenario": "did/two-group", "n": 20, "estimators": ["naive/difference-in-means"],
    }],
}  # fmt: skip


def stable(run):
    return run.replicates.drop(columns=list(MAY_DIFFER))


def test_settings_say_what_the_arguments_say_and_the_progress_is_heard(tmp_path):
    heard = []
    settings = RunSettings(workers=2, listen=lambda progress: heard.append(progress.done))
    told = cibench.run(SPEC, tmp_path / "told", settings=settings)
    plain = cibench.run(SPEC, tmp_path / "plain", 2)
    pd.testing.assert_frame_equal(stable(told), stable(plain), check_exact=True)
    assert heard == sorted(heard) and heard[-1] == 20


def test_the_settings_update_and_repair(tmp_path):
    cibench.run(SPEC, tmp_path / "r")
    other = {**SPEC, "seed": 2}
    with pytest.raises(BadInput, match="rows that today would be others"):
        cibench.run(other, tmp_path / "r", settings=RunSettings(repair=True))
    run = cibench.run(other, tmp_path / "r", settings=RunSettings(update=True))
    pd.testing.assert_frame_equal(stable(run), stable(cibench.run(other)), check_exact=True)
    (shard,) = (tmp_path / "r" / "replicates").iterdir()
    shard.write_bytes(b"nothing")
    with pytest.raises(BadInput, match="--repair runs again what is missing then"):
        cibench.run(other, tmp_path / "r")
    mended = cibench.run(other, tmp_path / "r", settings=RunSettings(repair=True))
    pd.testing.assert_frame_equal(stable(mended), stable(run), check_exact=True)


@pytest.mark.parametrize(
    "more", [{"workers": 2}, {"update": True}, {"repair": True}, {"executor": "dask://host:1"}]
)
def test_settings_and_arguments_are_not_mixed(more):
    with pytest.raises(
        BadInput, match=r"^settings: they hold workers, executor, update, repair, keep"
    ):
        cibench.run(SPEC, settings=RunSettings(), **more)


def test_less_than_one_worker_is_refused_before_the_suite_is_read():
    with pytest.raises(BadInput, match=r"^workers: 0 is not a number of 1 to 1,000$"):
        cibench.run("no-such-suite", workers=0)


@pytest.mark.parametrize("settings", [RunSettings(), RunSettings(workers=2)], ids=["here", "two"])
def test_ctrl_c_says_what_is_stored_and_the_same_call_goes_on(tmp_path, settings):
    def interrupt(progress):
        if progress.done >= 5:
            raise KeyboardInterrupt

    short = Tuning(block_seconds=1e-9)
    stopped = RunSettings(settings.workers, listen=interrupt, tuning=short)
    with pytest.raises(KeyboardInterrupt) as ended:
        cibench.run(SPEC, tmp_path / "r", settings=stopped)
    assert isinstance(ended.value, RunInterrupted)
    stored = len(pd.read_parquet(tmp_path / "r" / "replicates"))
    assert str(ended.value) == f"{stored} of 20 rows are stored" and 5 <= stored < 20
    whole = cibench.run(SPEC, tmp_path / "r", settings=settings)
    pd.testing.assert_frame_equal(stable(whole), stable(cibench.run(SPEC)), check_exact=True)
