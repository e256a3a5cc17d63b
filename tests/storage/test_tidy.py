"""Shards get their names without one that is lost, whenever the process ends."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pandas as pd
import pytest
from replicates import assert_same_rows, mark_stored

from cibench.execution import RunSettings, Tuning, execute
from cibench.storage import cells, shards
from cibench.storage.schema import ADDRESS
from cibench.storage.session import opened
from cibench.suite.parse import parse_suite
from cibench.suite.suite import Suite

ORDER = ["n", "replicate"]


class Ended(BaseException):
    """Stands for the end of the process."""


def suite_of(sizes: list[int], replicates: int) -> Suite:
    cell = {"scenario": "did/two-group", "n": sizes, "estimators": "did/collapsed"}
    return parse_suite({"name": "t", "seed": 1, "replicates": replicates, "cells": [cell]})


def end_after(monkeypatch: pytest.MonkeyPatch, renames: int) -> None:
    """End what runs before it renames a shard once more than that."""
    real, numbers = {name: getattr(os, name) for name in ("rename", "replace")}, count(1)

    def end(name: str) -> Callable[..., None]:
        def rename(source: Path, *more: Path, **others: int) -> None:
            if Path(source).suffix == ".parquet" and next(numbers) > renames:
                raise Ended
            real[name](source, *more, **others)

        return rename

    for name in real:
        monkeypatch.setattr(os, name, end(name))


def rows_of(run: Path) -> pd.DataFrame:
    rows = pd.read_parquet(run / "replicates")
    assert not rows.duplicated(list(ADDRESS)).any()
    return rows


def run(suite: Suite, folder: Path, shard_rows: int) -> pd.DataFrame:
    settings = RunSettings(checks=False, tuning=Tuning(shard_rows=shard_rows, block_seconds=1e-9))
    execute(suite, folder, settings)
    return rows_of(folder)


def begin(suite: Suite, folder: Path) -> None:
    """Bring the folder to where the suite can go on, which is all that moves a shard."""
    with opened(folder, suite) as session:
        session.begin()


FIRST, LATER = 25, 30
"""Replicates of the first run and of the others."""
STORIES = {
    "several shards a cell": (10, [50, 60], [[60, 50]]),
    "another edit before going on": (50, [50, 60, 70], [[70, 50, 60, 80], [60, 70, 50, 90, 80]]),
    "both": (10, [50, 60, 70], [[70, 50, 60], [60, 70, 50]]),
}
"""Rows of a shard, the sizes of the first run, and in which order later ones have them."""


@pytest.mark.parametrize("story", STORIES.values(), ids=list(STORIES))
def test_no_row_is_lost_whichever_rename_is_the_last(tmp_path, monkeypatch, story):
    shard_rows, sizes, edits = story
    first, whole = tmp_path / "first", tmp_path / "whole"
    run(suite_of(sizes, FIRST), first, shard_rows)
    mark_stored(first)
    shutil.copytree(first, whole)
    begin(suite_of(edits[-1], LATER), whole)
    for renames in count():
        folder, ended = tmp_path / f"run-{renames}", False
        shutil.copytree(first, folder)
        for edit in edits:
            end_after(monkeypatch, renames)
            try:
                begin(suite_of(edit, LATER), folder)
            except Ended:
                ended = True
            monkeypatch.undo()
            check_whole(folder, len(sizes) * FIRST)
        begin(suite_of(edits[-1], LATER), folder)
        check_whole(folder, len(sizes) * FIRST)
        for path in shards.paths(whole):
            assert shards.read(folder / "replicates" / path.name).equals(shards.read(path))
        if not ended:
            break
    assert renames > len(sizes)
    rows = run(suite_of(edits[-1], LATER), folder, shard_rows)
    fresh = run(suite_of(edits[-1], LATER), tmp_path / "fresh", shard_rows)
    assert_same_rows(rows, fresh, order=ORDER)
    assert (rows["seconds"] == -1).sum() == len(sizes) * FIRST


def check_whole(folder: Path, stored: int) -> None:
    """Assert that rows are read, by anybody and by the one reader, all and none of them twice."""
    rows = rows_of(folder)
    assert len(rows) == stored and (rows["seconds"] == -1).all()
    assert sum(cell.table.num_rows for cell in cells(folder)) == stored
