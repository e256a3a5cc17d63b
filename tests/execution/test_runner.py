import json
from functools import partial

import numpy as np
import pytest
from replicates import assert_same_rows
from toys import plugin

import cibench
from cibench import Estimand, Estimate, estimator
from cibench.execution import RunSettings, Tuning, blocks, execute
from cibench.results.run_folder import Run
from cibench.storage.schema import ADDRESS, TYPES
from cibench.suite.parse import find_suite, parse_suite
from cibench.utils.errors import BadInput
from cibench.workers import workplace

PLUGIN = plugin(
    "test",
    """
@estimator("test/mean", targets=ATE)
def mean(problem, rng):
    return Estimate.wald(contrast(problem), 2 / problem.outcome.size ** 0.5, problem.level)

@estimator("test/jitter", targets=ATE)
def jitter(problem, rng):
    return Estimate.wald(rng.normal(), 1.0, problem.level)

@estimator("test/segfault", targets=ATE)
def segfault(problem, rng):
    if problem.outcome[0] > 0.3:
        ctypes.string_at(0)
    return mean.fit(problem, rng)

@estimator("test/exit", targets=ATE)
def leave(problem, rng):
    os._exit(7)

@estimator("test/hang", targets=ATE)
def hang(problem, rng):
    if problem.outcome[0] > 1:
        time.sleep(60)
    return mean.fit(problem, rng)

@estimator("test/raise", targets=ATE)
def fail(problem, rng):
    raise ValueError("singular")

@estimator("test/nan", targets=ATE)
def nan(problem, rng):
    return Estimate.wald(float("nan"), 1.0, problem.level)

@estimator("test/order", targets=ATE)
def order(problem, rng):
    return Estimate(0.0, 1.0, 1.0, -1.0)

@estimator("test/negative", targets=ATE)
def negative(problem, rng):
    return Estimate(0.0, -1.0, -1.0, 1.0)

@estimator("test/type", targets=ATE)
def wrong_type(problem, rng):
    return 0.0

@estimator("test/decline", targets=ATE)
def decline(problem, rng):
    raise Declined("not for me")
""",
)
BAD = ["raise", "nan", "order", "negative", "type", "decline"]

pytestmark = pytest.mark.usefixtures("shelves")


@pytest.fixture
def plugin(tmp_path):
    path = tmp_path / "badly.py"
    path.write_text(PLUGIN)
    return str(path)


def suite_of(plugin, estimators, replicates=40, **more):
    cell = {"scenario": "test/randomised", "n": [30, 60], "estimators": estimators}
    return parse_suite(
        {
            "name": "t", "seed": 3, "replicates": replicates, "plugins": [plugin],
            "cells": [cell], **more,
        }
    )  # fmt: skip


ONE, TWO = RunSettings(), RunSettings(workers=2)


def rows_of(suite, folder, settings=ONE):
    execute(suite, folder, settings)
    return Run(folder).replicates


# a column of booleans is one of objects where some are null
same_rows = partial(assert_same_rows, check_dtype=False)
GOOD = ["test/mean", "test/jitter"]


@pytest.fixture
def serial(plugin, tmp_path):
    return rows_of(suite_of(plugin, GOOD), tmp_path / "serial")


def test_one_and_two_workers_give_the_same_rows(plugin, tmp_path, serial):
    for workers in (1, 2):
        isolated = RunSettings(workers, isolate=True)
        rows = rows_of(suite_of(plugin, GOOD), tmp_path / f"w{workers}", isolated)
        same_rows(rows, serial)


def test_real_libraries_give_the_same_rows_in_one_process_and_in_two(tmp_path):
    suite = find_suite("quickstart").with_replicates(4)
    here = rows_of(suite, tmp_path / "here")
    there = rows_of(suite, tmp_path / "there", TWO)
    same_rows(here, there)
    assert (here["status"] == "ok").all()


@pytest.mark.parametrize("seconds", [1e-9, 0.003, 1e9])
def test_how_cells_are_cut_into_blocks_changes_nothing(plugin, tmp_path, serial, seconds):
    cut = RunSettings(tuning=Tuning(block_seconds=seconds))
    same_rows(rows_of(suite_of(plugin, GOOD), tmp_path / "cut", cut), serial)


def reordered(cut, *args):
    """Yield blocks in reversed order between those for which one waits for others."""
    batch = []
    for block in cut(*args):
        if block is None:
            yield from reversed(batch)
            batch.clear()
            yield None
        else:
            batch.append(block)
    yield from reversed(batch)


def test_the_order_of_blocks_changes_nothing(plugin, tmp_path, serial, monkeypatch):
    cut = blocks.Cutter.blocks
    monkeypatch.setattr(blocks.Cutter, "blocks", lambda *args: reordered(cut, *args))
    same_rows(rows_of(suite_of(plugin, GOOD), tmp_path / "reversed"), serial)


def test_a_subset_of_estimators_has_the_same_rows(plugin, tmp_path, serial):
    rows = rows_of(suite_of(plugin, ["test/jitter"]), tmp_path / "subset")
    same_rows(rows, serial[serial["estimator"] == "test/jitter"])


def test_more_replicates_begin_with_the_same_rows(plugin, tmp_path, serial):
    rows = rows_of(suite_of(plugin, GOOD, replicates=80), tmp_path / "more")
    same_rows(rows[rows["replicate"] < 40], serial)


def test_another_seed_gives_other_data_and_another_stream(plugin, tmp_path, serial):
    rows = rows_of(suite_of(plugin, GOOD, seed=4), tmp_path / "seed")
    assert not set(rows["data_hash"]) & set(serial["data_hash"])
    assert not set(rows["estimate"]) & set(serial["estimate"])


def test_dials_face_the_same_noise(tmp_path):
    dials = {"trend": [0.1]}
    cell = {"scenario": "did/two-group", "n": 20, "dials": dials, "estimators": ["naive/*"]}
    suite = parse_suite({"name": "t", "seed": 1, "replicates": 5, "cells": [cell]})
    rows = rows_of(suite, tmp_path / "paired")
    default, moved = (rows[rows["dial"].isna() == d]["estimate"].to_numpy() for d in (True, False))
    # the group means of t over treated and untreated rows differ by a constant
    assert np.ptp(moved - default) < 1e-12
    assert (moved - default > 0.1).all()


def test_every_failure_is_a_row_and_leaves_the_others_as_they_were(plugin, tmp_path, serial):
    names = [f"test/{name}" for name in BAD]
    every = RunSettings(2, keep_going=True)
    rows = rows_of(suite_of(plugin, [*names, *GOOD]), tmp_path / "bad", every)
    same_rows(rows[rows["estimator"].isin(GOOD)], serial)
    bad = rows[~rows["estimator"].isin(GOOD)]
    assert len(bad) == len(BAD) * 80
    assert bad["estimate"].isna().all() and bad["reason"].notna().all()
    found = bad.groupby("estimator")[["status", "reason"]].first()
    status, reason = found.loc["test/raise"]
    assert status == "failed" and reason.startswith("ValueError: singular (badly.py:")
    assert found.loc["test/nan"].tolist() == ["nonfinite", "value is nan"]
    assert found.loc["test/order"].tolist() == ["failed", "limits in the wrong order: 1 and -1"]
    assert found.loc["test/negative"].tolist() == ["failed", "negative standard error: -1"]
    assert found.loc["test/type"].tolist() == ["failed", "returned float, not an Estimate"]
    assert found.loc["test/decline"].tolist() == ["declined", "not for me"]


def test_a_crash_is_a_row_and_leaves_the_others_as_they_were(plugin, tmp_path, serial):
    suite = suite_of(plugin, ["test/segfault", *GOOD])
    rows = rows_of(suite, tmp_path / "crash", TWO)
    same_rows(rows[rows["estimator"].isin(GOOD)], serial)
    crashed = rows[rows["status"] == "crashed"]
    assert 10 < len(crashed) < 70
    assert set(crashed["reason"]) == {"the process died: signal SIGSEGV"}
    fine = rows[(rows["estimator"] == "test/segfault") & (rows["status"] == "ok")]
    assert len(crashed) + len(fine) == 80
    by_mean = serial[serial["estimator"] == "test/mean"].set_index(["n", "replicate"])["estimate"]
    fine = fine.set_index(["n", "replicate"])["estimate"]
    assert (fine == by_mean.loc[fine.index]).all()


def test_a_process_that_always_leaves_is_a_row_each_time(plugin, tmp_path):
    suite = suite_of(plugin, ["test/exit", "test/mean"], replicates=4)
    rows = rows_of(suite, tmp_path / "exit", RunSettings(isolate=True))
    left = rows[rows["estimator"] == "test/exit"]
    assert set(left["reason"]) == {"the process died: exit code 7"}
    assert (rows[rows["estimator"] == "test/mean"]["status"] == "ok").all()


def test_a_fit_that_takes_too_long_is_a_row(plugin, tmp_path, serial):
    suite = suite_of(plugin, ["test/hang", *GOOD], replicates=10, timeout=2)
    rows = rows_of(suite, tmp_path / "hang", TWO)
    same_rows(rows[rows["estimator"].isin(GOOD)], serial[serial["replicate"] < 10])
    late = rows[rows["status"] == "timeout"]
    assert len(late) > 1
    assert set(late["reason"]) == {"took longer than 2 s"}
    assert late["seconds"].between(2, 10).all()


def test_sample_estimands_have_their_truth_in_each_draw(tmp_path):
    @cibench.scenario("test/sample")
    class Sample(cibench.Scenario):
        """Y = x D."""

        estimand = Estimand.SATT

        def draw(self, n, rng):
            x, d = rng.normal(size=n), np.arange(n) % 2.0
            return cibench.Draw({"y": x * d, "d": d}, 0 * x, x, d == 1)

    @estimator("test/oracle", targets=(Estimand.SATT,), oracle=True)
    def oracle(problem, rng):
        value = problem.draw.effects[problem.treatment == 1].mean()
        return Estimate.wald(value, 1.0, problem.level)

    suite = parse_suite(
        {"name": "t", "seed": 1, "replicates": 5, "cells": [
            {"scenario": "test/sample", "n": 9, "estimators": ["test/oracle"]}]}
    )  # fmt: skip
    rows = rows_of(suite, tmp_path / "sample")
    assert rows["truth"].nunique() == 5
    assert np.array_equal(rows["truth"], rows["estimate"])


def test_rows_are_complete_unique_and_of_declared_types(plugin, tmp_path):
    suite = suite_of(plugin, [*GOOD, "test/nan"])
    rows = rows_of(suite, tmp_path / "rows", TWO)
    assert list(rows) == list(TYPES)
    assert len(rows) == suite.expected_rows == 40 * 2 * 3
    assert not rows.duplicated(list(ADDRESS)).any()
    assert set(rows["options"]) == {"{}"}
    assert json.loads(rows["parameters"].iloc[0]) == {"effect": 0.5}


def test_code_that_workers_cannot_import_is_refused_by_name(tmp_path):
    def fit(problem, rng):
        return Estimate.wald(0.0, 1.0, 0.95)

    fit.__module__ = "__main__"
    estimator("test/notebook", targets=(Estimand.ATE_AT_CUTOFF,))(fit)
    spec = {"name": "t", "seed": 1, "replicates": 2, "cells": [
        {"scenario": "rd/cct-1", "n": 50, "estimators": ["test/notebook"]}]}  # fmt: skip
    with pytest.raises(BadInput, match=r"'test/notebook' was defined in __main__, which worker"):
        execute(parse_suite(spec), tmp_path / "out", TWO)
    assert not (tmp_path / "out").exists()
    assert len(cibench.run(spec).replicates) == 2


def test_a_folder_that_is_not_empty_is_refused_untouched(plugin, tmp_path):
    folder = tmp_path / "full"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(BadInput, match="not empty"):
        execute(suite_of(plugin, GOOD), folder)
    assert [p.name for p in folder.iterdir()] == ["mine.txt"]


def test_a_run_in_this_process_leaves_the_global_states_alone(plugin, tmp_path):
    np.random.seed(11)
    execute(suite_of(plugin, GOOD, replicates=2), tmp_path / "state")
    assert np.random.random() == np.random.RandomState(11).random()


def test_the_executor_carries_plain_values_only(plugin, tmp_path, monkeypatch):
    seen = []
    real = workplace.run_block
    monkeypatch.setattr(workplace, "run_block", lambda block: seen.append(block) or real(block))
    execute(suite_of(plugin, GOOD, replicates=2), tmp_path / "plain")
    for block in seen:
        content = vars(block) | {"truths": [(str(t), tuple(v)) for t, v in block.truths]}
        assert json.loads(json.dumps(content))["plugins"] == [plugin]
