"""Whatever estimators return, say or print, rows are short and the driver stays small."""

import json

import pandas as pd
import pytest
from commands import python
from replicates import replicate_arrow
from toys import plugin

from cibench.storage import shards
from cibench.storage.writer import Writer
from cibench.suite.parse import parse_suite
from cibench.utils.errors import REASON_LENGTH
from cibench.workers.containment import MOST_WARNINGS
from cibench.workers.fit import LONGEST_REASON

GROWTH = 120
"""MB that a driver may grow by while it runs; what 60 replicates say below is 3,000 MB."""

PLUGIN = plugin(
    "bounds",
    """
TEXT = "all work and no play " * 500_000  # 10 MB

def bad(fit):
    name = fit.__name__.replace("_", "-")
    return estimator(f"bounds/{name}", targets=ATE)(fit)

@bad
def declines(problem, rng): raise Declined(TEXT)

@bad
def raises(problem, rng): raise ValueError(TEXT)

@bad
def long_name(problem, rng): raise type("X" * 10**7, (Exception,), {})

@bad
def long_type(problem, rng): return type("X" * 10**7, (), {})()

@bad
def long_number(problem, rng): return Estimate(TEXT, 1.0, 0.0, 1.0)

@bad
def arrays(problem, rng): return Estimate(np.zeros(10**6), np.zeros(10**6), 0.0, 1.0)

@bad
def posterior(problem, rng): return Estimate(0.0, 1.0, -1.0, 1.0, draws=rng.normal(size=10**6))

@bad
def mapping(problem, rng):
    return {problem.targets[0]: Estimate(0.0, 1.0, -1.0, 1.0), **{k: TEXT for k in range(10**5)}}

@bad
def prints(problem, rng):
    print(TEXT), print(TEXT, file=sys.stderr)
    return Estimate(0.0, 1.0, -1.0, 1.0)

@bad
def warns_long(problem, rng):
    warnings.warn(TEXT)
    return Estimate(0.0, 1.0, -1.0, 1.0)

@bad
def warns_often(problem, rng):
    for k in range(5_000):
        warnings.warn(f"{k} {'x' * 400}")
    return Estimate(0.0, 1.0, -1.0, 1.0)

@diagnostic("bounds/verdict", tests=())
def verdict(problem, rng): return Diagnosis(TEXT)

class Mute(dict):
    def __contains__(self, key): raise SystemExit(TEXT)

@bad
def leaves(problem, rng): return Mute()

@scenario("bounds/undrawn")
class Undrawn(Randomised):
    def draw(self, n, rng): raise ValueError(TEXT)
""",
)

DRIVER = """
import json, resource, sys
from pathlib import Path
from cibench.execution import RunSettings, execute
from cibench.suite.parse import parse_suite
from cibench.utils.errors import UndrawnData

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000

def main(folder, how):
    spec = json.loads((folder / "suite.json").read_text())
    run(spec | {"replicates": 1}, folder / "small", how)  # what is imported late, and pools
    before = peak()
    longest = run(spec, folder / "run", how)
    print(longest, peak() - before)

def run(spec, folder, how):
    try:
        execute(parse_suite(spec), folder, RunSettings(**how))
    except UndrawnData as error:
        return max(map(len, error.args))
    return 0

if __name__ == "__main__":
    how = json.loads(sys.argv[2])
    if "executor" not in how:
        main(Path(sys.argv[1]), how)
    else:
        import dask, distributed
        dask.config.set({"distributed.worker.daemon": False})
        with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0",
                                      silence_logs=50) as made:
            how["executor"] = made.scheduler_address.replace("tcp://", "dask://")
            main(Path(sys.argv[1]), how)
"""


@pytest.fixture
def drive(tmp_path):
    """Return what runs a suite of the plug-in in a driver of its own: MB it grew by, the longest
    line that it ends with, and rows."""
    (tmp_path / "bounds.py").write_text(PLUGIN)
    (tmp_path / "driver.py").write_text(DRIVER)

    def driven(how, scenario="bounds/randomised", replicates=30):
        spec = {
            "name": "bounds", "seed": 1, "replicates": replicates,
            "plugins": [str(tmp_path / "bounds.py")],
            "cells": [{"scenario": scenario, "n": 10, "estimators": "bounds/*"}],
        }  # fmt: skip
        (tmp_path / "suite.json").write_text(json.dumps(spec))
        how = {"checks": False, "keep_going": True, **how}
        ended = python("driver.py", tmp_path, json.dumps(how), folder=tmp_path)
        assert ended.returncode == 0, ended.stderr[-2000:]
        longest, growth = map(float, ended.stdout.split())
        return growth, longest, pd.read_parquet(tmp_path / "run" / "replicates")

    return driven


@pytest.mark.parametrize("how", [{"workers": 2}, {"executor": "dask"}], ids=["processes", "dask"])
def test_a_driver_stays_small_whatever_estimators_give_back(drive, how):
    if "executor" in how:
        pytest.importorskip("distributed")
    growth, _, rows = drive(how)
    assert growth < GROWTH
    short(rows)


def test_rows_of_one_process_are_as_short(drive):
    short(drive({"workers": 1}, replicates=2)[2])


def short(rows):
    assert rows["reason"].dropna().str.len().max() <= LONGEST_REASON
    lines = rows["warnings"].dropna().str.split("\n")
    assert lines.str.len().max() == MOST_WARNINGS + 1
    assert max(len(line) for some in lines for line in some) <= REASON_LENGTH
    by = rows.groupby("estimator")["status"].agg(set).map(sorted).to_dict()
    fine = {"posterior", "mapping", "prints", "warns-long", "warns-often"}
    assert {name.split("/")[1] for name, statuses in by.items() if statuses == ["ok"]} == fine
    assert by["bounds/declines"] == ["declined"] and by["bounds/leaves"] == ["failed"]
    often = rows[rows["estimator"] == "bounds/warns-often"]["warnings"].iloc[0]
    assert often.endswith(f"\nand {5_000 - MOST_WARNINGS:,} more")


def test_what_a_scenario_says_of_its_fault_is_as_short(drive):
    growth, longest, _ = drive({"workers": 2}, "bounds/[ru]*", replicates=8)
    assert growth < GROWTH
    assert 0 < longest < LONGEST_REASON + 1000


def test_rows_wait_and_stand_in_shards_by_their_bytes_too(tmp_path):
    cell = {"scenario": "did/two-group", "n": 30, "estimators": "did/collapsed"}
    suite = parse_suite({"name": "long", "seed": 1, "replicates": 20, "cells": [cell]})
    entrant = suite.cells[0].entrants[0]
    (tmp_path / "replicates").mkdir()
    writer = Writer(tmp_path, suite, flush_seconds=1e9, waiting_rows=10**9, shard_rows=10**9,
                    most_bytes=10_000)  # fmt: skip

    def add(replicate, text):
        writer.add(0, replicate_arrow(
            1.0, replicate=replicate, estimator=entrant[0], options=entrant[1], reason=text,
        ))  # fmt: skip

    for replicate in range(8):
        add(replicate, "x" * 6_000)
    paths = sorted((tmp_path / "replicates").iterdir())
    assert [shards.read(path).num_rows for path in paths] == [2, 2, 2, 2]
