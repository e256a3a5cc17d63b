"""Effects on single units and rows that a method chose, against loops written out."""

from itertools import pairwise, permutations
from json import loads
from math import isnan, log

import numpy as np
import pytest

import cibench
from cibench import Draw, Estimand, Estimate, Problem, Roles, Target, Truth
from cibench.model import estimator, scenario
from cibench.model.design import Scenario
from cibench.model.method import Estimator
from cibench.workers.block import Entrant, rows_of
from cibench.workers.fit import Answer, Fitted, answer_of
from cibench.workers.unit_answers import (
    UnitAnswer,
    Unusable,
    chosen_truth,
    read_units,
    read_weights,
    reduce_units,
)

CATE = Target(Estimand.CATE)


def drawn(tau, propensity=None):
    zeros = np.zeros(len(tau))
    return Draw({"y": zeros, "d": zeros, "x": zeros}, zeros, np.array(tau), propensity=propensity)


def answer(told, low=None, high=None, treat=None, cost=0.0):
    told = np.array(told, float)
    return UnitAnswer(told, low, high, told > cost if treat is None else treat)


def ranked_by_hand(told, tau, weigh):
    """Average the area over every order that puts larger predictions first."""
    areas = []
    for order in permutations(range(len(told))):
        if all(told[a] >= told[b] for a, b in pairwise(order)):
            tops = [np.mean([tau[i] for i in order[:k]]) for k in range(1, len(told) + 1)]
            n = len(told)
            areas.append(
                np.mean([weigh(k / n) * (t - np.mean(tau)) for k, t in enumerate(tops, 1)])
            )
    return np.mean(areas)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("cost", [0.0, 0.4])
def test_what_a_row_keeps_is_what_loops_say(seed, ties, cost):
    rng = np.random.default_rng(seed)
    tau = rng.standard_normal(6)
    told = tau + rng.standard_normal(6)
    told = np.round(told) if ties else told
    low, high = told - 0.7, told + 0.7
    row = reduce_units(answer(told, low, high, cost=cost), drawn(tau), cost)
    assert row["pehe"] == pytest.approx(
        np.sqrt(np.mean([(a - b) ** 2 for a, b in zip(told, tau, strict=True)]))
    )
    assert row["unit_coverage"] == np.mean(
        [abs(a - b) <= 0.7 for a, b in zip(told, tau, strict=True)]
    )
    assert row["unit_length"] == pytest.approx(1.4)
    slope, intercept = np.polyfit(told, tau, 1)
    assert row["calibration_slope"] == pytest.approx(slope)
    assert row["calibration_intercept"] == pytest.approx(intercept)
    assert row["autoc"] == pytest.approx(ranked_by_hand(told, tau, lambda u: 1))
    assert row["qini"] == pytest.approx(ranked_by_hand(told, tau, lambda u: u))
    value = np.mean([t - cost if h > cost else 0 for t, h in zip(tau, told, strict=True)])
    best = np.mean([max(t - cost, 0) for t in tau])
    assert row["policy_value"] == pytest.approx(value)
    assert row["regret"] == pytest.approx(best - value) and row["regret"] >= 0


def test_the_truth_itself_is_calibrated_and_loses_nothing():
    tau = np.random.default_rng(1).standard_normal(200)
    row = reduce_units(answer(tau), drawn(tau), 0.0)
    assert row["pehe"] == 0 and row["regret"] == 0
    assert row["calibration_slope"] == pytest.approx(1)
    assert row["calibration_intercept"] == pytest.approx(0, abs=1e-12)
    assert "unit_coverage" not in row


def test_one_number_for_all_ranks_nobody_and_has_no_slope():
    tau = np.random.default_rng(1).standard_normal(200)
    row = reduce_units(answer(np.full(200, 0.3)), drawn(tau), 0.0)
    assert row["autoc"] == pytest.approx(0, abs=1e-12) == row["qini"]
    assert "calibration_slope" not in row
    assert row["policy_value"] == pytest.approx(tau.mean())


def test_a_policy_of_its_own_counts_and_not_the_effects():
    treat = np.array([False, True, True])
    row = reduce_units(answer([9, 9, 9], treat=treat), drawn([1.0, 2.0, -3.0]), 0.5)
    assert row["policy_value"] == pytest.approx((1.5 - 3.5) / 3)


def test_curves_are_means_by_tenths():
    rng = np.random.default_rng(2)
    tau, chance = rng.standard_normal(100), rng.random(100)
    told, wide = tau + 1, np.where(chance > 0.5, 2.0, 0.5)
    row = reduce_units(answer(told, told - wide, told + wide), drawn(tau, chance), 0.0)
    curves = loads(row["unit_curves"])
    predicted, true = curves["calibration"]
    assert predicted == sorted(predicted)
    assert np.allclose(np.array(predicted) - true, 1, atol=1e-3)
    shares, gains = curves["policy"]
    assert shares[0] == gains[0] == 0 and shares[-1] == 1
    assert gains[-1] == pytest.approx(tau.mean(), rel=1e-3)
    chances, covered = curves["coverage"]
    assert chances == sorted(chances) and covered[0] == 0 and covered[-1] == 1


def problem_of(rows=4, points=None, cost=0.0):
    x = np.arange(rows, dtype=float)
    beside = None if points is None else drawn(np.zeros(points))
    draw = Draw({"y": x, "d": x % 2, "x": x}, x, x, points=beside)
    return Problem.of(draw, Roles(covariates=("x",)), (CATE,), cost=cost)


@pytest.mark.parametrize(
    ("estimate", "status", "words"),
    [
        (Estimate(None), "failed", "gave no effects"),
        (Estimate(1.0, effects=np.zeros(3)), "failed", "shape (3,), of 5"),
        (Estimate(1.0, effects=np.zeros((5, 1))), "failed", "shape (5, 1)"),
        (Estimate(1.0, effects="many"), "failed", "no numbers"),
        (Estimate(1.0, effects=np.full(5, np.nan)), "nonfinite", "not all finite"),
        (Estimate(1.0, effects=np.full(5, 1e300)), "nonfinite", "not all finite"),
        (Estimate(1.0, effects=np.zeros(5), effects_low=np.zeros(5)), "failed", "one limit"),
        (
            Estimate(1.0, effects=np.zeros(5), effects_low=np.ones(5), effects_high=np.zeros(5)),
            "failed",
            "wrong order at point 0",
        ),
        (Estimate(1.0, effects=np.zeros(5), treat=np.zeros(5)), "failed", "truth values"),
        (Estimate(1.0, effects=np.zeros(5), treat=np.ones(4, bool)), "failed", "truth values"),
    ],
)
def test_what_is_no_answer_about_units_is_refused(estimate, status, words):
    with pytest.raises(Unusable) as refused:
        read_units(estimate, CATE, problem_of(points=5))
    assert refused.value.status == status and words in str(refused.value)


def test_effects_are_refused_where_one_number_is_asked():
    with pytest.raises(Unusable, match="where ATE is asked"):
        read_units(Estimate(1.0, effects=np.zeros(4)), Target(Estimand.ATE), problem_of())


def test_infinite_limits_hold_everything():
    estimate = Estimate(
        1.0, effects=np.zeros(4), effects_low=np.full(4, -np.inf), effects_high=np.full(4, np.inf)
    )
    read = read_units(estimate, CATE, problem_of())
    row = reduce_units(read, drawn(np.arange(4.0)), 0.0)
    assert row["unit_coverage"] == 1 and row["unit_length"] == np.inf


@pytest.mark.parametrize(
    "weights", [np.zeros(4), -np.ones(4), np.ones(3), np.full(4, np.nan), "all"]
)
def test_what_are_no_weights_of_rows_is_refused(weights):
    with pytest.raises(Unusable):
        read_weights(Estimate(1.0, weights=weights), Target(Estimand.ATE), problem_of())


def test_the_truth_of_chosen_rows_is_their_weighted_mean():
    draw = drawn([1.0, 2.0, 3.0, 10.0])
    weights = np.array([1.0, 1.0, 2.0, 0.0])
    truth, drift = chosen_truth(Target(Estimand.ATE), weights, draw, Truth(4.0))
    assert truth.value == 9 / 4 and drift == 9 / 4 - 4
    assert isnan(chosen_truth(Target(Estimand.ATE), weights, draw, None).drift)


def test_the_distance_of_ratios_is_that_of_their_logarithms():
    base = np.array([0.2, 0.4, 0.5])
    draw = Draw({"y": base, "d": base}, base, np.array([0.2, 0.0, 0.5]))
    weights = np.array([1.0, 1.0, 0.0])
    truth, drift = chosen_truth(Target(Estimand.RISK_RATIO), weights, draw, Truth(2.0))
    assert truth.value == pytest.approx(0.8 / 0.6) and drift == pytest.approx(log(0.8 / 0.6 / 2))


def test_rows_cannot_be_chosen_where_no_functional_tells_their_truth():
    with pytest.raises(Unusable, match="no functional"):
        chosen_truth(
            Target(Estimand.CONDITIONAL_ODDS_RATIO), np.ones(2), drawn([1.0, 2.0]), Truth(1.0)
        )


def test_unit_answers_go_from_fit_to_scores():
    @scenario("units/line")
    class Line(Scenario):
        """tau = X, of 60 units beside the data; every other effect differs by a coin of its own."""

        estimand = (Estimand.ATE, Estimand.CATE)
        roles = Roles(covariates=("x",))
        reference = "here"
        points = 60
        cost = 0.25

        def truth(self):
            return {Target(Estimand.ATE): 0.0}

        def draw(self, n, rng):
            x, e = rng.standard_normal((2, n))
            coin = 2.0 * rng.integers(0, 2, n) - 1
            d = rng.integers(0, 2, n)
            return Draw({"y": e + (x + coin) * d, "d": d, "x": x}, e, x + coin, expected=x)

    seen = []

    @estimator("units/known", targets=(Estimand.CATE,), gives=("effects",))
    def known(problem, rng):
        """Answer tau = X, which is the truth."""
        seen.append((problem.points.shape, problem.cost, problem.draw))
        tau = problem.points[:, 0]
        return Estimate(None, effects=tau, effects_low=tau - 1e-9, effects_high=tau + 1e-9)

    @estimator("units/positive", targets=(Estimand.ATE,), gives=("value", "weights"))
    def positive(problem, rng):
        """Answer 0.8 for the rows whose X is positive, whose mean effect is sqrt(2 / pi)."""
        return Estimate(0.8, weights=problem.covariates[:, 0] > 0)

    cell = {"scenario": "units/line", "n": 40}
    methods = ["units/known", "units/positive", "baseline/zero"]
    suite = {
        "name": "units",
        "seed": 1,
        "replicates": 200,
        "cells": [{**cell, "estimators": methods}],
    }
    run = cibench.run(suite)
    table = run.scores.set_index(["estimator", "estimand"])
    assert seen[0] == ((60, 1), 0.25, None)
    exact = table.loc[("units/known", "CATE")]
    assert exact["pehe"] == 0 == exact["regret"] and exact["unit_coverage"] == 1
    assert exact["calibration_slope"] == pytest.approx(1)
    zero = table.loc[("baseline/zero", "CATE")]
    assert abs(zero["pehe"] - 1) < 0.02  # the root of the mean of X^2
    assert abs(zero["regret"] - 0.2863) < 4 * zero["regret_mcse"] + 1e-3  # E max(X - 1/4, 0)
    chosen = table.loc[("units/positive", "ATE")]
    assert abs(chosen["drift"] - np.sqrt(2 / np.pi)) < 4 * chosen["drift_mcse"]
    assert abs(chosen["bias"] + chosen["truth"] - 0.8) < 1e-12
    assert "pehe" not in chosen["note"] and isnan(chosen["pehe"])
    again = cibench.run({**suite, "replicates": 3}).replicates
    first = run.replicates[run.replicates["replicate"] < 3].reset_index(drop=True)
    assert first.drop(columns=["seconds"]).equals(again.drop(columns=["seconds"]))


def test_units_beside_the_data_are_the_same_whatever_the_size(monkeypatch):
    from cibench.workers.block import draw_replicate

    @scenario("units/sized")
    class Sized(Scenario):
        """Noise."""

        estimand = Estimand.CATE
        roles = Roles(covariates=("x",))
        reference = "here"
        points = 5

        def draw(self, n, rng):
            x = rng.standard_normal(n)
            return Draw({"y": x, "d": np.zeros(n), "x": x}, x, x)

    small, large = (draw_replicate(Sized(), n, 1, 0) for n in (10, 20))
    assert np.array_equal(small.points.effects, large.points.effects)
    assert not np.isin(small.points.columns["x"], large.columns["x"]).any()
    assert not np.array_equal(
        small.points.effects, draw_replicate(Sized(), 10, 1, 1).points.effects
    )


@pytest.mark.parametrize(
    ("units", "mean", "words"),
    [
        ({"effects": np.zeros(4)}, {"value": 1.0, "se": 2.0, "low": 0.0, "high": 3.0}, {}),
        ({}, {"value": 1.0, "se": 2.0, "low": 0.0, "high": 3.0}, {"CATE": "gave no effects"}),
        ({"effects": np.zeros(4)}, {"se": 2.0, "low": 0.0, "high": 3.0}, {"ATE": "gave no value"}),
        ({"effects": np.zeros(4)}, {"value": 1.0, "se": 2.0}, {"ATE": "gave no limits"}),
    ],
)
def test_of_units_effects_are_wanted_and_of_means_the_rest(units, mean, words):
    targets = (Target(Estimand.ATE), CATE)
    everything = ("value", "se", "limits", "effects")
    of_both = (Estimand.ATE, Estimand.CATE)
    method = Estimator("units/both", lambda problem, rng: None, of_both, gives=everything)
    returned = {
        Target(Estimand.ATE): Estimate(**{"value": None, **mean}),
        CATE: Estimate(None, **units),
    }
    for target in targets:
        answer = answer_of(method, returned, target, targets, problem_of())
        assert answer.reason == words.get(str(target))
        assert answer.status == ("failed" if str(target) in words else "ok")


def test_weights_of_rows_are_none_of_units():
    with pytest.raises(Unusable, match="gave weights of rows where CATE is asked of units"):
        read_weights(Estimate(1.0, weights=np.ones(4)), CATE, problem_of())


def test_a_failure_about_chosen_rows_keeps_no_number():
    target = Target(Estimand.CONDITIONAL_ODDS_RATIO)
    method = Estimator("units/chosen", lambda problem, rng: None, (target.estimand,))
    entrant = Entrant(method, {}, "{}", (target,), (target,))
    numbers = {"estimate": 1.0, "std_error": 1.0, "draws": None, "weights": np.ones(2)}
    fitted = Fitted([Answer(target, "ok", None, numbers)], None, 0.0)
    (row,) = rows_of(0, entrant, fitted, {target: Truth(1.5)}, 1, draw=drawn([1.0, 2.0]))
    assert row["status"] == "failed" and "no functional" in row["reason"]
    assert row["truth"] == 1.5 and not {"estimate", "std_error", "weights"} & row.keys()


def test_posterior_draws_are_put_beside_the_truth_of_the_chosen_rows():
    target = Target(Estimand.ATE)
    method = Estimator("units/chosen", lambda problem, rng: None, (target.estimand,))
    entrant = Entrant(method, {}, "{}", (target,), (target,))
    draws = np.linspace(0, 2, 101)
    numbers = {"estimate": 1.0, "draws": draws, "weights": np.array([1.0, 0.0])}
    fitted = Fitted([Answer(target, "ok", None, numbers)], None, 0.0)
    (row,) = rows_of(0, entrant, fitted, {target: Truth(50.0)}, 1, draw=drawn([1.0, 99.0]))
    assert row["truth"] == 1 and row["drift"] == -49
    assert row["pit"] == pytest.approx(0.5, abs=0.01)
