"""The one reader: each shard once, whole cells in order, and columns put aside to the bit."""

from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from replicates import put_apart

import cibench
from cibench.execution import RunSettings, Tuning
from cibench.storage import cells, cells_of, shards
from cibench.storage.reader import read_rows, read_table
from cibench.storage.schema import SCORED, schema
from cibench.storage.shards import Span
from cibench.storage.spool import Spool
from cibench.suite import parse_suite
from cibench.utils.errors import BadInput

SPEC = {
    "name": "small", "seed": 1, "replicates": 9,
    "cells": [
        {"scenario": "did/two-group", "n": [10, 14], "dials": {"rho": 0.5},
         "estimators": ["panel/twfe", "baseline/zero"]},
    ],
}  # fmt: skip
CELLS, ROWS = 4, 4 * 9 * 2


@pytest.fixture
def folder(tmp_path):
    """Return a run of four cells, each in two shards."""
    cibench.run(SPEC, tmp_path / "run")
    put_apart(tmp_path / "run", 2)
    return tmp_path / "run"


@pytest.fixture
def opened(monkeypatch):
    """Count how often each shard is opened."""
    counts, real = Counter(), shards.read

    def read(path, *args):
        counts[path.name] += 1
        return real(path, *args)

    monkeypatch.setattr(shards, "read", read)
    return counts


def test_every_shard_is_opened_once_and_every_cell_comes_whole(folder, opened):
    found = list(cells(folder))
    assert len(found) == CELLS < len(opened) and set(opened.values()) == {1}
    assert sum(cell.table.num_rows for cell in found) == ROWS
    for cell in found:
        assert len({(n["scenario"], n["n"], n["dials"]) for n in cell.part.names}) == 1
        assert [g["replicate"].tolist() for g in cell.part.groups] == [list(range(9))] * 2
    assert [cell.part.names[0]["n"] for cell in found] == [10, 10, 14, 14]


def test_one_cell_may_be_asked_for_and_more_columns(folder, opened):
    [third] = cells(folder, also=("reason", "data_hash"), only=[2])
    assert third.part.names[0]["n"] == 14 and third.table["data_hash"].null_count == 0
    assert all(name.startswith("cell-00002") for name in opened)


def test_shards_of_other_names_are_read_so_that_cells_are_whole(folder):
    expected = [cell.part for cell in cells(folder)]
    for i, path in enumerate(sorted(shards.paths(folder), key=lambda p: p.stem[::-1])):
        path.rename(path.with_name(f"part-{i}.parquet"))  # the parts of a cell stand apart
    found = {(p.names[0]["n"], p.names[0]["dials"]): p for p in (c.part for c in cells(folder))}
    assert len(found) == CELLS
    for part in expected:
        same = found[part.names[0]["n"], part.names[0]["dials"]]
        for name in SCORED:
            assert sorted(map(str, same.keys[name].to_pylist())) == sorted(
                map(str, part.keys[name].to_pylist())
            )
        by_name = {n["estimator"]: g for n, g in zip(same.names, same.groups, strict=True)}
        for names, group in zip(part.names, part.groups, strict=True):
            for column, values in group.items():
                np.testing.assert_array_equal(by_name[names["estimator"]][column], values)


def test_one_shard_of_all_cells_is_read_cell_by_cell(folder):
    whole = read_table(folder)
    for path in shards.paths(folder):
        path.unlink()
    shards.write(folder / "replicates" / "all.parquet", whole)
    assert [cell.part.names[0]["n"] for cell in cells(folder)] == [10, 10, 14, 14]


def test_names_that_lie_about_their_cell_are_refused(folder):
    first, *_, last = shards.paths(folder)
    first.rename(shards.place(folder, Span(7, 7), 0))
    with pytest.raises(BadInput, match=r"cell-00007-00000.parquet: .*cell-00000-00001.* its cell"):
        list(cells(folder))
    shards.place(folder, Span(7, 7), 0).rename(first)
    last.write_bytes(b"half")
    with pytest.raises(BadInput, match=rf"{last.name}: not readable"):
        list(cells(folder))


def test_all_rows_are_those_that_pandas_reads(folder):
    plain = pd.read_parquet(folder / "replicates")
    pd.testing.assert_frame_equal(read_rows(folder), plain, check_exact=True)
    assert read_table(folder, ("estimate",)).column_names == ["estimate"]
    for path in shards.paths(folder):
        path.unlink()
    assert read_rows(folder).empty and list(read_rows(folder)) == list(plain)
    assert list(cells(folder)) == []


def test_a_data_frame_is_read_as_its_shards_are(folder):
    rows = pd.read_parquet(folder / "replicates")
    part = cells_of(rows).part
    apart = [group for cell in cells(folder) for group in cell.part.groups]
    assert len(part.groups) == len(apart) == 2 * CELLS
    for one, other in zip(part.groups, apart, strict=True):
        for name, column in one.items():
            np.testing.assert_array_equal(column, other[name])
    with pytest.raises(BadInput, match="lacks columns: truth, reason; was it written by another"):
        cells_of(rows.drop(columns=["truth", "reason"]), also=("reason",))


@pytest.mark.parametrize("in_memory", [1, 2**20])
def test_columns_come_back_to_the_bit_from_memory_and_from_disk(in_memory):
    spool, rng = Spool(in_memory), np.random.default_rng(1)
    awkward = np.array([np.nan, -0.0, 0.0, np.inf, 5e-324])
    columns = [awkward, rng.normal(size=9), rng.random(4) < 0.5, np.empty(0), -awkward]
    slots = [spool.put("x", column) for column in columns]
    for column, slot in reversed(list(zip(columns, slots, strict=True))):
        back = spool.get(slot)
        assert back.dtype == column.dtype and back.tobytes() == column.tobytes()


def test_what_several_put_aside_is_stored_once_and_neighbours_share_their_replicates(folder):
    [first, *_] = cells(folder, only=[0])
    size = first.table.num_rows // 2
    one = first.put_aside(0, ("replicate", "estimate"))
    assert first.spool.size == 2 * 8 * size
    first.put_aside(0, ("estimate",))
    other = first.put_aside(1, ("replicate", "estimate", "ok"))
    assert first.spool.size == 3 * 8 * size + size
    np.testing.assert_array_equal(
        one.read("estimate")["estimate"], first.part.groups[0]["estimate"]
    )
    assert list(other.read()) == ["replicate", "estimate", "ok"]


def test_a_replicate_that_is_there_twice_is_refused(folder):
    path = shards.paths(folder)[0]
    table = shards.read(path)
    shards.write(path, pa.concat_tables([table, table]).cast(schema()))
    with pytest.raises(BadInput, match="replicates more than once"):
        [cell.part for cell in cells(folder)]


def test_all_rows_come_cell_by_cell_in_replicate_order(tmp_path):
    """Whatever shards an extension has left: the order of files is not that of rows."""
    names = ["did/collapsed", "panel/twfe"]
    cell = {"scenario": "did/two-group", "n": [20, 30, 40], "estimators": names}
    settings = RunSettings(checks=False, tuning=Tuning(shard_rows=50))
    for replicates in (10, 20, 23):
        spec = {"name": "t", "seed": 1, "replicates": replicates, "cells": [cell]}
        rows = cibench.run(parse_suite(spec), tmp_path / "run", settings=settings).replicates
    assert len(shards.paths(tmp_path / "run")) > 3
    assert rows["n"].tolist() == [20] * 46 + [30] * 46 + [40] * 46
    assert rows["replicate"].tolist() == [k for k in range(23) for _ in (0, 1)] * 3
    assert rows["estimator"].tolist() == names * 69
