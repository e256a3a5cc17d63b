"""Where there is no room for tables or pages, a line says what is kept and what goes on."""

import errno
import os
import tempfile

import pandas as pd
import pytest

import cibench
from cibench.utils import files
from cibench.utils.errors import Unfinished

SUITE = {
    "name": "t", "seed": 1, "replicates": 6, "cells": [
        {"scenario": "did/two-group", "n": 20,
         "estimators": ["did/collapsed", "naive/difference-in-means"]},
    ],
}  # fmt: skip
WRITTEN = {
    "write_scores": r"all rows are kept; to go on from there: cibench score",
    "write_report": r"all rows and scores are kept; to go on from there: cibench report",
}


@pytest.fixture
def run(tmp_path):
    return cibench.run(SUITE, tmp_path / "r")


def refuse(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("name", WRITTEN)
def test_a_temporary_file_without_room_is_one_line(run, monkeypatch, name):
    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "write", refuse)
    place = rf"^{tempfile.gettempdir()}: No space left on device; "
    with pytest.raises(Unfinished, match=place + WRITTEN[name]) as full:
        getattr(run, name)()
    assert "\n" not in str(full.value) and str(run.folder) in str(full.value)
    monkeypatch.undo()
    before = pd.read_parquet(run.folder / "replicates")
    assert getattr(cibench.load(run.folder), name)().exists()
    assert pd.read_parquet(run.folder / "replicates").equals(before)


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO])
def test_a_file_without_room_is_one_line_and_leaves_nothing_half(run, monkeypatch, name, number):
    def create(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files, "_create", create)
    monkeypatch.setattr(pd.DataFrame, "to_csv", create)
    with pytest.raises(Unfinished, match=rf"{os.strerror(number)}; {WRITTEN[name]}"):
        getattr(run, name)()
    assert not list(run.folder.rglob("*.tmp"))
