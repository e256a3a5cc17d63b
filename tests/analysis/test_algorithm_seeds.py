"""Refits: who has a seed of its own is fitted again from other streams, and nothing else moves."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from replicates import assert_same_rows, replicate_table
from scipy.stats import norm
from toys import plugin

from cibench.analysis import algorithm_seeds, measure_instability
from cibench.analysis.algorithm_seeds import INSTABILITY, measure
from cibench.execution import RunSettings, execute
from cibench.results.run_folder import Run
from cibench.suite import parse_suite
from cibench.utils.errors import BadInput

PLUGIN = plugin(
    "seeds",
    """
def answer(problem, noise):
    return Estimate.wald(contrast(problem) + noise, 0.3, problem.level)

@estimator("seeds/none", targets=ATE)
def none(problem, rng):
    return answer(problem, 0)

@estimator("seeds/stream", targets=ATE)
def stream(problem, rng):
    problem.frame["y"] = 0.0
    return answer(problem, 0.1 * rng.normal() + problem.frame["y"].sum())

@estimator("seeds/spawned", targets=ATE)
def spawned(problem, rng):
    return answer(problem, 0.1 * rng.spawn(1)[0].normal())

@estimator("seeds/numpy", targets=ATE)
def legacy(problem, rng):
    return answer(problem, 0.1 * np.random.normal())

@estimator("seeds/python", targets=ATE)
def python(problem, rng):
    return answer(problem, 0.1 * random.gauss(0, 1))

@estimator("seeds/oracle", targets=ATE, oracle=True)
def oracle(problem, rng):
    return answer(problem, 0.1 * rng.normal())

@diagnostic("seeds/test", tests=("no confounding",))
def test(problem, rng):
    return Diagnosis(rng.random() < 0.5)

@estimator("seeds/crash", targets=ATE)
def crash(problem, rng):
    if rng.random() < 0.3:
        os._exit(3)
    return answer(problem, 0.1 * rng.normal())
""",
)
RANDOM = ["seeds/stream", "seeds/spawned", "seeds/numpy", "seeds/python"]
OTHERS = ["seeds/none", "seeds/oracle", "seeds/test"]
REFITS = {"replicates": 4, "times": 3}

pytestmark = pytest.mark.usefixtures("shelves")


@pytest.fixture
def run(tmp_path):
    (tmp_path / "seeds.py").write_text(PLUGIN)

    def run_of(estimators, name, refits=None, workers=0, n=(20, 30), replicates=9):
        spec = {
            "name": "t", "seed": 3, "replicates": replicates,
            "plugins": [str(tmp_path / "seeds.py")],
            "cells": [{"scenario": "seeds/randomised", "n": list(n), "estimators": estimators}],
        } | ({"refits": refits} if refits else {})  # fmt: skip
        folder = tmp_path / name
        execute(parse_suite(spec), folder, RunSettings(workers or 1, isolate=bool(workers)))
        return Run(folder)

    return run_of


same = partial(
    assert_same_rows, order=["scenario", "n", "replicate", "estimator", "refit"], check_dtype=False
)


def test_who_draws_random_numbers_is_fitted_again_and_nobody_else(run):
    rows = run([*RANDOM, *OTHERS], "run", REFITS).replicates
    again = rows[rows["refit"] > 0]
    assert sorted(again["estimator"].unique()) == sorted(RANDOM)
    assert set(again["replicate"]) == set(range(4)) and set(again["refit"]) == {1, 2, 3}
    assert len(again) == len(RANDOM) * 2 * 4 * 3
    seeds = rows[rows["estimator"].isin(RANDOM) & (rows["replicate"] < 4)]
    cells = seeds.groupby(["n", "replicate", "estimator"])
    assert (cells["estimate"].nunique() == 4).all()
    assert (cells["data_hash"].nunique() == 1).all()


def test_the_first_fits_are_what_they_are_without_refits(run):
    with_, without = (run([*RANDOM, *OTHERS], str(r), r).replicates for r in (REFITS, None))
    same(with_[with_["refit"] == 0], without)


def test_one_and_two_workers_give_the_same_refits(run):
    here, there = (run([*RANDOM, "seeds/none"], f"w{w}", REFITS, w).replicates for w in (0, 2))
    same(here, there)


def test_a_refit_that_takes_its_worker_down_leaves_the_first_fit_alone(run):
    small = {"workers": 1, "n": [20], "replicates": 4}
    with_, without = (run(["seeds/crash"], str(r), r, **small).replicates for r in (REFITS, None))
    first, again = with_[with_["refit"] == 0], with_[with_["refit"] > 0]
    same(first, without)
    assert set(again["status"]) == {"ok", "crashed"}
    fitted = first[first["status"] == "ok"]
    assert len(again) == 3 * len(fitted)  # nobody asks again who crashed at once


def test_refits_enter_their_own_table_alone(run):
    one, other = (run([*RANDOM, "seeds/none"], str(r), r, n=[20]) for r in (REFITS, None))
    drop = ["seconds"]
    pd.testing.assert_frame_equal(one.scores.drop(columns=drop), other.scores.drop(columns=drop))
    assert one.manifest["stored_rows"] == one.manifest["expected_rows"] == len(other.replicates)
    assert set(one.instability["estimator"]) == set(RANDOM) and other.instability.empty
    page = one.write_report().read_text()
    assert '<section id="seeds">' in page and "Seeds are derived, not chosen" in page
    assert "more of repeated fits" in page
    one.write_scores()
    other.write_scores()
    assert len(pd.read_csv(one.folder / "instability.csv")) == len(RANDOM)
    assert not (other.folder / "instability.csv").exists()


@pytest.mark.parametrize(
    ("refits", "line"),
    [
        ({"replicates": 4}, "refits.times: is missing; it takes a whole number above 0"),
        ({"replicates": 4, "times": 0}, "refits.times: 0 is not a whole number above 0"),
        ({"replicate": 4, "times": 2}, "no key named 'replicate'; did you mean 'replicates'?"),
        (5, "refits: 5 is not a table"),
    ],
)
def test_bad_refits_are_bad_input(refits, line):
    cell = {"scenario": "did/two-group", "n": 20, "estimators": ["panel/twfe"]}
    spec = {"name": "t", "seed": 1, "replicates": 2, "refits": refits, "cells": [cell]}
    with pytest.raises(BadInput) as error:
        parse_suite(spec)
    assert line in str(error.value)


# The measures

K, SEED_SD, SE = 6, 0.4, 1.0


def data_sets(rng, count):
    """Return fits whose estimates vary by SEED_SD over seeds and by SE over data sets."""
    for _ in range(count):
        t = 2 + SE * rng.normal() + SEED_SD * rng.normal(size=K)
        yield {
            "estimate": t, "std_error": np.full(K, SE), "truth": np.full(K, 2.0),
            "ci_low": t - 1.96 * SE, "ci_high": t + 1.96 * SE, "outside": np.zeros(K, bool),
        }  # fmt: skip


def test_instability_is_the_standard_deviation_over_seeds_in_standard_errors():
    found = measure(list(data_sets(np.random.default_rng(4), 4000)))
    for name in ("instability", "limits_instability"):
        assert abs(found[name].value - SEED_SD / SE) < 4 * found[name].mcse
    spread = np.sqrt(SE**2 + SEED_SD**2)
    assert abs(found["rmse_mean"].value - spread) < 4 * found["rmse_mean"].mcse
    mean = found["coverage_mean"]
    assert abs(mean.value - (2 * norm.cdf(1.96 * SE / spread) - 1)) < 4 * mean.mcse


def test_best_of_k_is_what_trying_every_seed_finds():
    fits = list(data_sets(np.random.default_rng(2), 50))
    found = measure(fits)
    best = [min((t - 2) ** 2 for t in fit["estimate"]) for fit in fits]
    assert found["rmse_best"].value == pytest.approx(np.sqrt(np.mean(best)))
    covered = [any(abs(t - 2) <= 1.96 for t in fit["estimate"]) for fit in fits]
    rejected = [any(abs(t) > 1.96 for t in fit["estimate"]) for fit in fits]
    assert found["coverage_best"].value == pytest.approx(np.mean(covered))
    assert found["rejection_best"].value == pytest.approx(np.mean(rejected))
    assert found["rejection_mean"].value < found["rejection_best"].value


def test_the_errors_are_what_repeating_the_study_shows():
    rng = np.random.default_rng(3)
    studies = [measure(list(data_sets(rng, 40))) for _ in range(300)]
    for name in ("instability", "rmse_mean", "rmse_best", "coverage_mean", "rejection_best"):
        values = np.array([study[name].value for study in studies])
        said = np.sqrt(np.mean([study[name].mcse ** 2 for study in studies]))
        assert said == pytest.approx(values.std(ddof=1), rel=0.2)  # its own error is 1/sqrt(600)


def rows(**columns):
    fits = {
        "replicate": [0, 0, 1, 1, 2], "refit": [0, 1, 0, 1, 0], "truth": 0.0, "std_error": 2.0,
        "estimate": [1.0, 2.0, 1.0, 4.0, 9.0], "ci_low": -1.0, "ci_high": 5.0,
    }  # fmt: skip
    return replicate_table(**fits | columns)


def test_by_hand():
    [found] = measure_instability(rows()).to_dict("records")
    ratios = np.array([0.5, 4.5]) / 4  # the variances of 1, 2 and of 1, 4 over a squared 2
    assert (found["data_sets"], found["fits"], found["lost"]) == (2, 2, 0)
    assert found["instability"] == pytest.approx(np.sqrt(ratios.mean()))
    assert found["instability_mcse"] == pytest.approx(
        ratios.std(ddof=1) / np.sqrt(2) / (2 * found["instability"])
    )
    assert found["limits_instability"] == 0 and found["flagged"]


def test_of_ratios_the_seeds_move_the_logarithm():
    """Its standard error is that of the logarithm; the spread of the ratios themselves is not."""
    plain = rows()
    ratios = plain.assign(
        **{n: np.exp(plain[n]) for n in ("estimate", "truth", "ci_low", "ci_high")}, scale="log"
    )
    found, expected = (measure_instability(r).iloc[0] for r in (ratios, plain))
    for name in ("instability", "limits_instability", "rmse_mean"):
        assert found[name] == pytest.approx(expected[name]), name


def test_seeds_that_gave_no_answer_are_lost_whatever_became_of_them():
    fits = {"replicate": np.repeat([0, 1], 4), "refit": [0, 1, 2, 3] * 2, "estimate": 1.0}
    status = ["ok", "ok", "failed", "declined", "ok", "ok", "timeout", "ok"]
    [line] = measure_instability(replicate_table(**fits, std_error=2.0, truth=0.0, status=status)
                                 ).to_dict("records")  # fmt: skip
    assert line["lost"] == 3


@pytest.mark.parametrize(
    ("columns", "note"),
    [
        ({"std_error": np.nan}, "no standard error: instability, limits_instability"),
        ({"ci_low": np.nan, "ci_high": np.nan}, "no finite limits: limits_instability"),
        ({"ci_high": np.inf}, "no finite limits: limits_instability"),
        ({"status": ["ok", "failed", "failed", "ok", "ok"]}, "no seed was answered twice"),
        ({"std_error": 0.0}, "no standard error"),
    ],
)
def test_blanks_have_a_reason(columns, note):
    [found] = measure_instability(rows(**columns)).to_dict("records")
    assert note in found["note"] and np.isnan(found["limits_instability"])


def test_no_refits_no_rows():
    table = measure_instability(rows(refit=0, replicate=range(5)))
    assert table.empty and tuple(table.columns) == INSTABILITY


def test_instability_is_in_the_root_mean_square_of_the_standard_errors():
    fit = {
        "estimate": np.array([0.0, 1.0]), "std_error": np.array([1.0, 3.0]), "truth": np.zeros(2),
        "ci_low": np.array([-2.0, -5.0]), "ci_high": np.array([2.0, 7.0]),
        "outside": np.zeros(2, dtype=bool),
    }  # fmt: skip
    found = algorithm_seeds.measure([fit, fit])
    assert found["instability"].value == pytest.approx(np.sqrt(0.5 / 5))  # (1 + 9) / 2 = 5
